"""The tones a segment may be written to in. Their words live in campaigns."""

from typing import Final

TONE_NAMES: Final = (
    "accountable",
    "reassuring",
    "repairing",
    "lively",
    "grateful",
    "informative",
    "brief",
    "neutral",
)
NEUTRAL: Final = "neutral"
# Pressure in these words is not only warned of, it keeps the mail from leaving.
GUARDED_TONES: Final = frozenset({"accountable", "reassuring", "repairing"})
# Whom pressure would hurt: method.md 3.3.
GUARDED_SEGMENTS: Final = frozenset({"frustrated", "anxious", "disappointed"})
# The one tone in which a deadline may be urged: method.md 3.2.
URGING_TONE: Final = "lively"
# Of whom nothing is known, or who objected: nothing is assumed, method.md 1.7.
ALWAYS_NEUTRAL: Final = "unknown"
# Whose tone a segment gets that stays too small: method.md 2.2, step 6. Anxious and
# disappointed have their own already.
PARENTS: Final = {"questioning": "anxious", "excited": "trusting"}


def own_tone_fits(segment_key: str, tone: str) -> bool:
    """Whether a marketer may give a segment this tone."""
    if segment_key == ALWAYS_NEUTRAL:
        return tone == NEUTRAL
    return segment_key not in GUARDED_SEGMENTS or tone != URGING_TONE


def shared_tone_fits(segment_key: str, tone: str) -> bool:
    """Whether a segment may be written to in the tone of another one.

    A segment with a guard keeps it: only tones with a guard, or neutral words.
    """
    if segment_key in GUARDED_SEGMENTS:
        return tone in GUARDED_TONES or tone == NEUTRAL
    return own_tone_fits(segment_key, tone)
