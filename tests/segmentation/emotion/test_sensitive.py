import pytest

from segmentation.emotion import sensitive
from segmentation.emotion.corpus.texts import development_texts, training_texts
from segmentation.emotion.proof import sensitive_texts
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
        "Sorry for the late answer, we lost mum on Sunday.",
        "My brother Tom sadly died in March.",
        "I found it in my late husband's coat.",
        "We had the dog put to sleep yesterday.",
        "Dad's gone. Please stop the paper.",
        "She starts chemo on Monday.",
        "My dad has dementia and keeps ordering the same drill.",
        "He is in intensive care.",
        "My ex still has a key.",
        "I am in a refuge with the kids.",
        "I've just been made redundant.",
        "They let me go on Friday.",
        "We are two months behind with the rent.",
        "I am with a debt charity now.",
        "We are being evicted.",
        "She left me on Monday.",
        "My husband and I are separating.",
        "There was no heartbeat.",
        "We had a miscarriage in May.",
    ],
)
def test_people_say_it_in_many_plain_ways(text):
    noticed = sensitive_matter(text)
    assert noticed is not None
    assert not noticed.urgent


@pytest.mark.parametrize(
    "text",
    [
        "My son's phone died after a week.",
        "My husband said the pump died.",
        "She left me on hold for an hour.",
        "He left me a voicemail.",
        "They let me go to the front.",
        "I am struggling to pay with my card on your page.",
        "We broke up the delivery into two.",
        "We lost our baby's hat in your shop.",
        "You nearly gave me a heart attack.",
        "I almost had a heart attack at the price.",
        "The film put me to sleep.",
        "My plants were killed by the frost.",
        "It is at terminal 3.",
        "The flight attendant left me waiting.",
        "Is there a discount in the breast cancer awareness week?",
        "My member points disappeared for ever.",
        "I cut myself on the edge.",
        "She's dead keen on the blue one.",
        "I passed on the offer.",
        "My dad passed by your shop.",
    ],
)
def test_the_same_words_about_other_things_are_left_alone(text):
    assert sensitive_matter(text) is None


def test_no_sentence_is_passed_by_that_a_pattern_would_have_found(monkeypatch):
    """Most sentences have none of the words of a kind; those words must be all."""
    texts = [row.text for row in (*training_texts(), *development_texts())][::4]
    texts += [row.text for row in sensitive_texts("sensitive_development")]
    quick = [sensitive_matter(text) for text in texts]
    monkeypatch.setattr(
        sensitive, "_is_of", lambda kind, text, _: bool(kind.pattern.search(text))
    )
    assert [sensitive_matter(text) for text in texts] == quick
    assert sum(one is not None for one in quick) > 100


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
