"""The corpus keeps what GUIDELINES.md says of it."""

import json
import re
from collections import Counter

import pytest

from segmentation.emotion.corpus.likeness import alike_between, alike_within
from segmentation.emotion.corpus.texts import (
    TRAINING,
    development_texts,
    held_out_texts,
    training_texts,
)
from segmentation.emotion.families import FAMILIES, FAMILY_LABELS
from segmentation.emotion.proof import judging_texts

FAMILY_OF = {label: name for name, labels in FAMILY_LABELS.items() for label in labels}
# Files of sentences of reviews, as GUIDELINES.md has them.
REVIEWS = {"92", "93", "98", "102", "107", "108", *map(str, range(111, 117))}
REVIEWS |= {*map(str, range(120, 128)), *map(str, range(140, 146)), "148"}
REVIEWS |= {*map(str, range(150, 157))}
NEGATIVE = {"anger", "anxiety", "confusion", "sadness"}
# Words that name a feeling, whatever their ending.
NAMED = re.compile(
    r"\b(?:ang(?:er|ry)|furious|annoy\w*|livid|frustrat\w*|disappoint\w*|sad\w*|upset\w*"
    r"|worr(?:y|ied|ying)\w*|anxious\w*|nervous\w*|afraid|scared|fear\w*|unacceptable"
    r"|terribl\w*|horribl\w*|ridiculous\w*|disgust\w*|outrag\w*|hate\w*|confus\w*"
    r"|heartbroken|gutted|devastat\w*|ashamed|embarrass\w*|awful\w*|appall\w*)\b",
    re.I,
)


@pytest.fixture(scope="module")
def texts():
    return training_texts()


def first(text) -> str:
    return FAMILY_OF[text.readers[0][0]]


def test_there_are_at_least_five_thousand_texts_of_all_families(texts):
    assert len(texts) >= 5_000
    shares = Counter(map(first, texts))
    assert set(shares) == set(FAMILIES)
    assert min(shares.values()) >= 1_500


def test_no_family_is_rare_among_what_customers_write_to_a_shop():
    """Reviews apart, which hold few questions however many there are."""
    shares = Counter(
        FAMILY_OF[json.loads(line)["readers"][0][0]]
        for path in TRAINING.glob("*.jsonl")
        if path.stem not in REVIEWS
        for line in path.read_text("utf-8").splitlines()
    )
    assert shares.total() >= 15_000
    assert min(shares.values()) >= 0.05 * shares.total()


def test_every_text_has_two_readers_a_trade_and_a_situation(texts):
    assert all(len(text.readers) == 2 and text.situation for text in texts)
    assert len({text.trade for text in texts}) >= 100


def test_at_least_half_of_the_negative_texts_name_no_feeling(texts):
    negative = [text for text in texts if first(text) in NEGATIVE]
    plain = [text for text in negative if not NAMED.search(text.text)]
    assert len(plain) >= len(negative) / 2


def test_lengths_run_from_two_words_to_ninety(texts):
    words = sorted(len(text.text.split()) for text in texts)
    assert sum(count <= 4 for count in words) >= 300
    assert sum(count >= 60 for count in words) >= 500
    assert words[-1] <= 110


@pytest.mark.slow
def test_no_two_texts_are_near_duplicates_or_one_template(texts):
    assert alike_within([text.text for text in texts]) == []


@pytest.mark.slow
def test_no_training_text_is_close_to_what_models_are_judged_by(texts):
    own = [text.text for text in texts]
    assert alike_between(own, judging_texts()) == []


def test_the_development_set_has_four_hundred_texts_of_all_families_and_kinds():
    rows = development_texts()
    assert len(rows) >= 400
    assert min(Counter(row.family for row in rows).values()) >= 30
    assert all(row.valence is not None and row.kind for row in rows)
    trades = alike_between(
        [row.text for row in rows], [row.text for row in held_out_texts()]
    )
    assert trades == []
