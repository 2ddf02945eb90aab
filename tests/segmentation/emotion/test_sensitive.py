import pytest

from segmentation.emotion.reading import TextToRead, read_texts
from segmentation.emotion.sensitive import Sensitive, sensitive_matter, stronger


def found(text: str) -> Sensitive | None:
    return read_texts([TextToRead(text)])[0].sensitive


@pytest.mark.parametrize(
    "text",
    [
        "My mother passed away last week. Please cancel her order.",
        "I was diagnosed with MS and can't carry the box upstairs.",
        "We were made redundant in May and can't pay the mortgage.",
        "There is a restraining order, please do not give out my address.",
        "I am going through a divorce, the account is mine now.",
    ],
)
def test_plain_words_are_noticed_whatever_the_encoder_says(text):
    assert sensitive_matter(text) is not None
    assert found(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "The battery died and I would kill for a new one.",
        "My old kettle died on Sunday, do you have the blue one?",
        "The price gave me a heart attack, but the cake is to die for.",
        "Is the funeral scene in the film for children?",
        "Please cancel the order.",
    ],
)
def test_words_that_only_sound_like_it_are_left_alone(text):
    assert found(text) is None


def test_danger_to_life_is_urgent_wherever_it_stands_in_the_text():
    text = "My husband passed away in May. The vase is lovely. I don't want to live."
    assert found(text).urgent
    assert found(text).sentence == "I don't want to live."


def test_half_a_sentence_in_a_cheerful_message_does_not_drown():
    text = (
        "What a lovely shop, and what a lovely girl at the till! The scarf is just the "
        "blue I wanted and you even found me the last box for it. It is for my sister, "
        "whose husband passed away in May and who is always cold. I will be back for "
        "the gloves, and do keep playing that music, it made my whole afternoon."
    )
    assert found(text) is not None


def test_a_text_in_another_language_is_still_looked_at_for_plain_words():
    reading = read_texts([TextToRead("Hola, kill myself, no puedo más, adiós a todos")])
    assert reading[0].sensitive is not None


def test_the_urgent_one_of_two_findings_counts():
    calm, urgent = Sensitive("a", urgent=False), Sensitive("b", urgent=True)
    assert stronger(calm, urgent) == stronger(urgent, calm) == urgent
    assert stronger(None, calm) == stronger(calm, None) == calm
    assert stronger(None, None) is None
