"""Words for what a fit found; what texts read as, never what people are."""

from typing import Final

import numpy as np

from segmentation.clustering.anchors import MIXED, SEGMENTS, UNKNOWN
from segmentation.emotion.families import FAMILIES
from segmentation.profile.events import FloatArray

# A family is named in a subtitle from these on: method.md 2.5.
LIFT_NEEDED: Final = 0.4
SHARE_NEEDED: Final = 0.08
FAMILIES_NAMED: Final = 3
SURE: Final = ((0.70, "quite sure"), (0.60, "fairly sure"), (0.45, "leaning"))

READS_AS: Final = {
    "frustrated": "recent messages read as cross",
    "anxious": "recent messages read as worried",
    "disappointed": "recent messages read as let down",
    "excited": "recent messages read as delighted",
    "trusting": "recent messages read as trusting",
    "questioning": "recent messages ask before they decide",
    "neutral": "recent messages are to the point",
    MIXED: "messages read in more than one way",
    UNKNOWN: "too little was said to tell",
}


def how_sure(probability: float) -> str:
    """Certainty in words: quite sure, fairly sure, leaning, or too close to call."""
    return next(
        (words for least, words in SURE if probability >= least), "too close to call"
    )


def subtitle(row: FloatArray, mix: FloatArray) -> str:
    """The families that a segment's learned row lifts, strongest first, at most three.

    row, mix: (9,) shares of the segment and of everybody.
    """
    lift = np.log(row / mix)
    named = [
        index
        for index in np.argsort(-lift, kind="stable")
        if lift[index] >= LIFT_NEEDED and row[index] >= SHARE_NEEDED
    ]
    words = [FAMILIES[index] for index in named[:FAMILIES_NAMED]]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def reads_as(key: str, name: str, beside: str) -> str:
    """The headline of a segment's page."""
    sentence = READS_AS.get(key, "")
    if key in SEGMENTS and beside and beside != key:
        return f"{name}: {sentence}, with {beside} in them."
    return f"{name}: {sentence}."
