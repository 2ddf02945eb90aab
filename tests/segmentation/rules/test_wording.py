import pytest

from segmentation.rules.tree import parse
from segmentation.rules.wording import OBJECTED, in_words, reaches_objectors


def one(field: str, op: str, value: object) -> dict:
    return {"field": field, "op": op, "value": value}


def words(*members: object, how: str = "all", **more) -> str:
    return in_words(parse({"how": how, "members": list(members)}), **more)


ANXIOUS = one("segment", "any_of", ["anxious"])
BRITISH = one("country", "any_of", ["GB"])


def test_a_rule_is_one_sentence():
    assert words(
        one("segment", "any_of", ["anxious", "frustrated"]),
        one("orders", "at_least", 1),
        {
            "how": "any",
            "members": [
                one("last_order", "within", 90),
                one("spent", "at_least", {"amount": 1250, "currency": "GBP"}),
            ],
        },
        {"how": "none", "members": [one("tags", "any_of", ["vip", "press"])]},
    ) == (
        "Customers who are in Anxious or Frustrated and have at least 1 order and "
        "(ordered in the last 90 days or spent at least 1,250.00 GBP on orders) and "
        "match none of this: [have the tag “vip” or “press”]."
    )


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (one("last_click", "not_within", 1), "did not click in a mail in the last 1 d"),
        (one("valence", "at_most", -0.2), "have a valence of at most −0.2."),
        (one("evidence", "at_least", 2.5), "at least 2.5 texts’ worth of evidence."),
        (one("texts", "exactly", 1), "have exactly 1 text read."),
        (one("returns", "at_most", 2), "have at most 2 returns."),
        (one("family", "any_of", ["joy"]), "wrote texts that read most as joy."),
        (
            one("spent", "at_most", {"amount": 0, "currency": ""}),
            "spent at most 0.00 of no named currency on orders.",
        ),
        (one("tags", "any_of", ["{value}%_"]), "have the tag “{value}%_”."),
    ],
)
def test_every_kind_of_condition_reads_as_words(condition, said):
    assert said in words(condition)


def test_a_renamed_segment_goes_by_its_new_name():
    assert "are in Worriers" in words(ANXIOUS, names={"anxious": "Worriers"})


def test_of_a_long_list_the_rest_is_counted():
    said = words(one("tags", "any_of", [f"t{number}" for number in range(20)]))
    assert "“t6” or 13 others." in said


def test_it_says_when_whoever_objected_can_be_among_them():
    assert OBJECTED in words(ANXIOUS, how="none")
    assert OBJECTED in words({"how": "none", "members": [ANXIOUS]}, BRITISH)
    assert OBJECTED not in words(BRITISH, how="none")
    assert OBJECTED not in words(ANXIOUS)


def test_it_does_not_say_so_where_they_cannot_be():
    both = {"how": "none", "members": [ANXIOUS]}
    tree = {"how": "all", "members": [both, one("texts", "at_least", 1)]}
    assert not reaches_objectors(parse(tree))
    twice = {"how": "none", "members": [both]}
    assert not reaches_objectors(parse(twice))
