import pytest

from segmentation.emotion.corpus.likeness import (
    alike_between,
    alike_within,
    likeness,
    words,
)

FRAME = "I have been waiting {} weeks for my {} and still nothing has come."


def test_a_template_with_other_nouns_and_numbers_is_found():
    texts = [FRAME.format(3, "jacket"), FRAME.format(11, "kettle"), "Thank you, Ann."]
    (pair,) = alike_within(texts)
    assert (pair.first, pair.second) == (0, 1)
    assert pair.likeness == pytest.approx(12 / 14)


def test_two_messages_about_the_same_matter_in_other_words_may_stay():
    texts = [
        "The jacket I ordered in March has not come, and nobody tells me why.",
        "Ordered a jacket three weeks ago. Where is it?",
    ]
    assert alike_within(texts) == []


def test_capitals_and_marks_do_not_make_another_text():
    assert (
        len(alike_within(["Where is it now, please?", "WHERE IS IT NOW PLEASE"])) == 1
    )


def test_short_texts_need_to_be_nearly_the_same():
    assert alike_within(["Where is my order", "Where is my refund then"]) == []
    assert len(alike_within(["never again", "Never again!"])) == 1


def test_a_training_text_near_a_development_text_is_found_earlier():
    text = "You promised a call back on Friday and the phone stayed silent all day."
    near = "You promised a call back; since Monday we wait, it stayed silent all week."
    assert alike_within([text, near]) == []
    assert len(alike_between([text], [near])) == 1


def test_likeness_is_the_common_order_over_the_longer_text():
    assert likeness(words("a b c d"), words("a x c d y")) == pytest.approx(3 / 5)
    assert likeness([], []) == 1.0
