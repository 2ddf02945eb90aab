import json
import math

import pytest

from segmentation.errors import RuleRefused
from segmentation.rules.fields import FIELDS
from segmentation.rules.tree import (
    Condition,
    Group,
    Money,
    parse,
    read,
    to_json,
)


def one(field: str, op: str, value: object) -> dict:
    return {"field": field, "op": op, "value": value}


def rule(*members: object, how: str = "all") -> dict:
    return {"how": how, "members": list(members)}


ORDERS = one("orders", "at_least", 3)


def nested(depth: int) -> dict:
    found = rule(ORDERS)
    for _ in range(depth - 1):
        found = rule(found)
    return found


def refusal(data: object) -> str:
    with pytest.raises(RuleRefused) as refused:
        parse(data)
    return str(refused.value)


def test_a_rule_reads_back_as_it_was_written():
    data = rule(
        one("segment", "any_of", ["anxious", "mixed"]),
        rule(
            one("valence", "at_most", -0.2),
            one("spent", "at_least", {"amount": "12.50", "currency": "EUR"}),
            how="none",
        ),
        one("tags", "none_of", ["vip"]),
    )
    tree = parse(data)
    assert to_json(tree) == data
    assert parse(to_json(tree)) == read(json.dumps(data)) == tree
    inner = tree.members[1]
    assert (inner.how, inner.members[0].value) == ("none", -0.2)


def test_what_is_written_in_many_ways_is_kept_in_one():
    tree = parse(
        rule(
            one("country", "any_of", ["gb", "GB", "ie"]),
            one("language", "any_of", ["pt-BR"]),
            one("domain", "any_of", ["Example.COM", "bücher.example.org"]),
            one("spent", "at_most", {"amount": 5, "currency": "eur"}),
        )
    )
    values = [each.value for each in tree.members]
    assert values[0] == ("GB", "IE")
    assert values[1] == ("pt-br",)
    assert values[2] == ("example.com", "xn--bcher-kva.example.org")
    assert (str(values[3].amount), values[3].currency) == ("5.00", "EUR")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            rule(ORDERS, one("orders", "at_least", "x")),
            "all › 2 › orders: needs a whole number from 0 to 1,000,000, not 'x'",
        ),
        (rule(), "all: needs a list with at least one condition or group, not an"),
        (rule(rule(how="any")), "all › 1 › any: needs a list with at least one"),
        (rule(ORDERS, how="some"), "how: needs one of all, any, none, not 'some'"),
        (rule(ORDERS, how=["all"]), "how: needs one of all, any, none, not a list"),
        (
            {"members": [ORDERS]},
            "a group with how, members; how is missing, not an obj",
        ),
        ({**rule(ORDERS), "sql": "1"}, "rule: needs nothing but how, members, not 's"),
        (rule({**ORDERS, "x": 1}), "all › 1: needs nothing but field, op, value"),
        (rule({"field": "orders"}), "all › 1: needs a condition or a group with"),
        (rule({}), "all › 1: needs a group with how, members; how is missing"),
        (ORDERS, "rule: needs a group with how, members"),
        (rule("orders"), "all › 1: needs a condition or a group (field, op, value), n"),
        (None, "rule: needs a group (how, members), not nothing"),
        ([rule(ORDERS)], "rule: needs a group (how, members), not a list of 1"),
        (rule(one("password", "any_of", ["x"])), "all › 1 › field: needs one of segme"),
        (rule(one("orders__gt", "at_least", 1)), "all › 1 › field: needs one of"),
        (rule(one(["orders"], "at_least", 1)), "all › 1 › field: needs one of"),
        (rule(one("orders", "within", 1)), "all › 1 › orders › op: needs one of at_l"),
        (rule(one("orders", {"gte": 1}, 1)), "op: needs one of at_least, at_most, ex"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(data, said):
    assert said in refusal(data)


@pytest.mark.parametrize(
    ("field", "op", "value"),
    [
        ("orders", "at_least", True),
        ("orders", "at_least", 3.0),
        ("orders", "at_least", -1),
        ("orders", "at_least", 10**400),
        ("orders", "at_least", 1_000_001),
        ("orders", "at_least", None),
        ("valence", "at_least", math.nan),
        ("valence", "at_least", math.inf),
        ("valence", "at_least", "0.5"),
        ("valence", "at_least", True),
        ("valence", "at_least", -1.01),
        ("valence", "at_least", 10**400),
        ("last_order", "within", 0),
        ("last_order", "within", 3_651),
        ("segment", "any_of", []),
        ("segment", "any_of", "anxious"),
        ("segment", "any_of", ["Anxious"]),
        ("segment", "any_of", [["anxious"]]),
        ("segment", "any_of", {"anxious": 1}),
        ("family", "any_of", ["love"]),
        ("tags", "any_of", [""]),
        ("tags", "any_of", ["  "]),
        ("tags", "any_of", [7]),
        ("tags", "any_of", ["a" * 201]),
        ("tags", "any_of", ["nul\x00"]),
        ("tags", "any_of", ["half \ud83d of a face"]),
        ("tags", "any_of", [str(number) for number in range(201)]),
        ("country", "any_of", ["GBR"]),
        ("country", "any_of", ["ﬁ"]),
        ("language", "any_of", ["en_GB"]),
        ("language", "any_of", ["e%"]),
        ("domain", "any_of", ["ada@example.com"]),
        ("domain", "any_of", ["localhost"]),
        ("spent", "at_least", 12.5),
        ("spent", "at_least", {"amount": 12.5}),
        ("spent", "at_least", {"amount": "1e3", "currency": "EUR"}),
        ("spent", "at_least", {"amount": 0.001, "currency": "EUR"}),
        ("spent", "at_least", {"amount": -1, "currency": "EUR"}),
        ("spent", "at_least", {"amount": math.nan, "currency": "EUR"}),
        ("spent", "at_least", {"amount": 10**5_000, "currency": "EUR"}),
        ("spent", "at_least", {"amount": "٣", "currency": "EUR"}),
        ("spent", "at_least", {"amount": 1, "currency": "EURO"}),
        ("spent", "at_least", {"amount": 1, "currency": None}),
        ("spent", "at_least", {"amount": True, "currency": "EUR"}),
        ("spent", "at_least", {"amount": 1, "currency": "EUR", "x": 1}),
    ],
)
def test_a_value_of_another_kind_is_refused_in_one_line(field, op, value):
    said = refusal(rule(one(field, op, value)))
    assert said.startswith(f"all › 1 › {field}")
    assert ": needs " in said
    assert len(said) < 300
    said.encode()  # whatever came, it can be shown


def test_five_groups_inside_each_other_are_enough():
    parse(nested(5))
    assert "needs at most 5 groups inside each other" in refusal(nested(6))


def test_a_rule_that_is_far_too_deep_is_refused_and_nothing_breaks():
    with pytest.raises(RuleRefused):
        read('{"how":"all","members":[' * 20_000)
    assert "at most 5 groups" in refusal(nested(900))


def test_sixty_conditions_are_enough_wherever_they_stand():
    parse(rule(*[ORDERS] * 60))
    assert "at most 60 conditions" in refusal(rule(*[ORDERS] * 61))
    assert "at most 60 conditions" in refusal(rule(*[ORDERS] * 10_000))
    spread = rule(*[rule(*[ORDERS] * 20) for _ in range(4)])
    assert "at most 60 conditions" in refusal(spread)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        '{"how": "all", "members": [{"field": "valence", "op": "at_least", '
        '"value": NaN}]}',
        '{"how": "all", "members": [{"field": "orders", "op": "at_least", "value": '
        + "9" * 6_000
        + "}]}",
        " " * 600_000,
    ],
)
def test_text_that_is_no_rule_is_refused_in_words(text):
    with pytest.raises(RuleRefused, match="needs"):
        read(text)


def test_equal_rules_are_equal_and_can_be_kept_in_a_set():
    assert {parse(rule(ORDERS)), parse(rule(ORDERS))} == {
        Group("all", (Condition("orders", "at_least", 3),))
    }
    assert hash(Money(1, "EUR")) == hash(Money(1, "EUR"))


def test_every_fact_has_a_label_words_and_operations():
    for key, about in FIELDS.items():
        assert about.key == key
        assert about.label
        for clause in about.clauses.values():
            assert clause.count("{value}") == 1


# What sends under way may have frozen: it stays readable, whatever comes to be asked.
FROZEN = {
    "segment": ("any_of none_of", ["anxious", "mixed", "unknown"]),
    "family": ("any_of none_of", ["anger", "neutral"]),
    "group": ("any_of none_of", ["group-joyful-and-angry"]),
    "evidence": ("at_least at_most", 2.5),
    "texts": ("at_least at_most exactly", 3),
    "valence": ("at_least at_most", -0.2),
    "negativity": ("at_least at_most", 0.45),
    "orders": ("at_least at_most exactly", 3),
    "spent": ("at_least at_most", {"amount": "12.50", "currency": "EUR"}),
    "last_order": ("within not_within", 90),
    "returns": ("at_least at_most exactly", 1),
    "last_visit": ("within not_within", 90),
    "last_click": ("within not_within", 90),
    "last_text": ("within not_within", 90),
    "last_seen": ("within not_within", 3650),
    "known": ("within not_within", 1),
    "country": ("any_of none_of", ["GB"]),
    "language": ("any_of none_of", ["en", "pt-br"]),
    "tags": ("any_of none_of", ["vip"]),
    "domain": ("any_of none_of", ["example.com"]),
}


def test_what_was_frozen_with_a_send_stays_readable():
    for field, (ops, value) in FROZEN.items():
        for op in ops.split():
            data = rule(one(field, op, value))
            assert to_json(parse(data)) == data
    assert FROZEN.keys() <= FIELDS.keys()
