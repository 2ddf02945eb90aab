import pytest

from segmentation.emotion.brand_words import BrandWordRefused, BrandWords
from segmentation.emotion.families import FAMILIES
from segmentation.emotion.reading import TextToRead, read_texts, reading_version

HORROR = "The Horrible Disgusting Rage set came on Monday."


def read(text: str, rules: dict[str, str]):
    return read_texts([TextToRead(text)], brand_words=BrandWords(rules))[0]


def test_a_name_is_read_as_a_plain_thing_whatever_it_says():
    plain = read(HORROR, {})
    named = read(HORROR, {"horrible disgusting rage": ""})
    anger = FAMILIES.index("anger")
    assert named.families[anger] < plain.families[anger] - 0.3
    assert named.notes == ("“Horrible Disgusting Rage” is read as a name",)
    assert named.sentences[0].text == HORROR


def test_a_shop_may_say_what_a_word_means():
    reading = read("These slaps are blue.", {"slaps": "joy"})
    assert FAMILIES[int(reading.families.argmax())] == "joy"
    assert reading.valence > 0.5
    assert "read as joy, by a rule" in reading.notes[0]


def test_a_rule_counts_for_the_sentence_it_stands_in_and_no_other():
    reading = read("It slaps. I am furious about the late parcel!", {"slaps": "joy"})
    joy, anger = (reading.families[FAMILIES.index(name)] for name in ("joy", "anger"))
    assert joy == pytest.approx(reading.sentences[0].share, abs=0.1)
    assert anger > 0.1


def test_part_of_a_word_is_not_the_word():
    assert read("He is slapsilly.", {"slaps": "joy"}).notes == ()


def test_capitals_and_spaces_make_no_difference():
    assert read("KILLER \n queen is here", {"Killer  Queen": ""}).notes


def test_rules_change_the_version_and_their_order_does_not():
    one = BrandWords({"a1": "", "b1": "joy"})
    other = BrandWords({"b1": "joy", "a1": ""})
    assert reading_version(brand_words=one) == reading_version(brand_words=other)
    assert reading_version(brand_words=one) != reading_version()


@pytest.mark.parametrize(
    ("phrase", "family", "said"),
    [
        ("", "", "needs a letter"),
        ("!!", "", "needs a letter"),
        ("x" * 81, "", "at most 80"),
        ("slaps", "hunger", "'hunger' is no family"),
    ],
)
def test_what_can_be_no_rule_is_refused(phrase, family, said):
    with pytest.raises(BrandWordRefused, match=said):
        BrandWords({phrase: family})


def test_letters_that_fold_in_their_own_way_stop_nothing():
    text = "I love the MİNİ KİT and the mını kıt very much, thank you all for both."
    assert len(read(text, {"mini kit": ""}).notes) == 2
    assert read("The Straße set came, thank you.", {"Straße": ""}).notes


def test_marks_of_patterns_in_a_phrase_are_plain_text():
    assert read("I like C++ (new) a lot.", {"C++ (new)": ""}).notes
