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
