import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.emotion.sentences import (
    LONGEST_SENTENCE_CHARS,
    first_and_last,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It broke. I am sad! Why?", ["It broke.", "I am sad!", "Why?"]),
        ("it broke. i am sad", ["it broke.", "i am sad"]),
        (
            "Long battery life.Bottom line: good",
            ["Long battery life.", "Bottom line: good"],
        ),
        ("I paid £4.50 today.", ["I paid £4.50 today."]),
        ("Ask Dr. Smith, e.g. by mail.", ["Ask Dr. Smith, e.g. by mail."]),
        ("I met J. R. Smith.", ["I met J. R. Smith."]),
        ("Order No. 7 is late.", ["Order No. 7 is late."]),
        ("They said no. I left.", ["They said no.", "I left."]),
        ("Come at 5 p.m. We wait.", ["Come at 5 p.m.", "We wait."]),
        ("well... maybe. Or... Never", ["well... maybe.", "Or...", "Never"]),
        ("- broken\n- late\n2) rude", ["broken", "late", "rude"]),
        ("1. Broken\n2. Late", ["Broken", "Late"]),
        ("Great product\nLove it", ["Great product", "Love it"]),
        ("I like\nit a lot", ["I like it a lot"]),
        ("It broke. :-( So sad", ["It broke. :-(", "So sad"]),
        ("Nice 😍😍\n🔥", ["Nice 😍😍", "🔥"]),
        ("He said 'no.' Then left.", ["He said 'no.'", "Then left."]),
        ("?!\n...", []),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, sentences):
    assert split_sentences(text) == sentences


def test_a_line_wrapped_by_a_mail_program_goes_on():
    line = "I have been waiting for the parcel since the third of"
    assert len(line) < 55
    wrapped = f"{line} April\nIt is late."
    assert split_sentences(wrapped) == [f"{line} April It is late."]


def test_a_sentence_too_long_for_the_model_is_cut_at_a_comma():
    parts = split_sentences("word " * 70 + "here, " + "more " * 40)
    assert parts[0].endswith("here,")
    assert parts[1].startswith("more")


def test_of_more_than_forty_sentences_the_first_thirty_and_last_ten_are_kept():
    numbers = [str(number) for number in range(50)]
    assert first_and_last(numbers) == numbers[:30] + numbers[40:]
    assert first_and_last(numbers[:40]) == numbers[:40]


@given(st.text(alphabet="ab .!?,\n😀-1:)\t", max_size=900))
def test_no_sentence_is_empty_or_too_long_and_no_letter_is_lost(text):
    parts = split_sentences(text)
    assert all(0 < len(part) <= LONGEST_SENTENCE_CHARS for part in parts)
    assert "".join(parts).count("😀") == text.count("😀")
