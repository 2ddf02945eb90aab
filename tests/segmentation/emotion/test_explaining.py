from itertools import combinations
from math import comb

import numpy as np
import pytest

from segmentation.emotion.brand_words import BrandWords
from segmentation.emotion.explaining import MOST_UNITS, TOLERANCE, explain_text
from segmentation.emotion.families import FAMILIES
from segmentation.emotion.reading import TextToRead, read_texts

TEXTS = [
    "I am furious!",
    "ok",
    "😡😡",
    "Thank you. The lamp is lovely, but nobody answered my three mails about the bill.",
    "The strap broke on the first day, and I want my money back. " * 12,
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_the_words_carry_adds_up_to_the_reading(text):
    explained = explain_text(TextToRead(text, title="About my order"))
    carried = sum(part.carried for part in explained.sentences)
    assert explained.usual + carried == pytest.approx(explained.model, abs=TOLERANCE)
    assert explained.model == pytest.approx(explained.reading.families)


def test_the_same_reading_is_explained_that_was_given():
    item = TextToRead("It is late. I am worried about the wedding.", rating=2)
    explained = explain_text(item).reading
    assert np.array_equal(explained.families, read_texts([item])[0].families)


def test_the_word_that_says_it_carries_most_of_it():
    explained = explain_text(TextToRead("The parcel came and I am furious about it."))
    assert explained.family == "anger"
    assert explained.strongest("anger")[0] == "furious"


@pytest.mark.parametrize(
    "text",
    [
        "Not good, sadly, but kind staff.",
        "Third mail, still no word. Great.",
        "I never loved a lamp more.",
    ],
)
def test_the_parts_are_those_of_every_order_in_which_the_words_may_come(text):
    explained = explain_text(TextToRead(text))
    words = [word for part in explained.sentences for word in part.words]
    everybody = range(len(words))
    subsets = [
        frozenset(some)
        for size in range(1, len(words) + 1)
        for some in combinations(everybody, size)
    ]
    texts = [" ".join(words[one].text for one in sorted(some)) for some in subsets]
    item = [TextToRead(text, language="en") for text in texts]
    read = {
        some: reading.families if reading.families is not None else explained.usual
        for some, reading in zip(subsets, read_texts(item), strict=True)
    } | {frozenset(): explained.usual}
    n = len(words)
    exact = np.array(
        [
            sum(
                (read[some] - read[some - {one}]) / (n * comb(n - 1, len(some) - 1))
                for some in subsets
                if one in some
            )
            for one in everybody
        ]
    )
    column = FAMILIES.index(explained.family)
    ours = np.array([word.carried for word in words])
    assert np.corrcoef(ours[:, column], exact[:, column])[0, 1] > 0.85
    assert ours[:, column].argmax() == exact[:, column].argmax()


def test_every_word_is_shown_and_in_its_place():
    text = "Well… no. It's 5 o'clock – and 😡 still nothing!"
    words = [
        word.text
        for part in explain_text(TextToRead(text)).sentences
        for word in part.words
    ]
    assert " ".join(words) == "Well… no. It's 5 o'clock – and 😡 still nothing!"


def test_taking_the_strongest_words_away_lowers_the_family_more_than_the_weakest():
    text = "I love the blue lamp so much and thank you all for the quick delivery."
    explained = explain_text(TextToRead(text))
    column = FAMILIES.index(explained.family)
    words = explained.sentences[0].words
    order = sorted(range(len(words)), key=lambda row: -words[row].carried[column])

    def without(rows: list[int]) -> float:
        left = [word.text for row, word in enumerate(words) if row not in rows]
        return read_texts([TextToRead(" ".join(left))])[0].families[column]

    assert without(order[:3]) < without(order[-3:]) - 0.1


def test_a_text_that_was_not_read_has_nothing_to_explain():
    explained = explain_text(TextToRead("Estoy muy enfadado con ustedes"))
    assert (explained.sentences, explained.family) == ((), "")


def test_a_long_text_is_taken_apart_in_runs_and_not_word_by_word():
    parts = explain_text(TextToRead("word and word " * 100)).sentences
    values = {tuple(word.carried) for part in parts for word in part.words}
    assert len(values) <= MOST_UNITS + len(parts)


def test_a_brand_word_is_one_word_and_carries_as_a_name():
    rules = BrandWords({"Killer Queen": ""})
    parts = explain_text(
        TextToRead("The Killer Queen set."), brand_words=rules
    ).sentences
    assert [word.text for word in parts[0].words] == ["The", "Killer Queen", "set."]
