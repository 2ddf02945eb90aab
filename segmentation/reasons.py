"""Names and reasons that a person gave: words on one line that others will read."""

from typing import Final

from segmentation.errors import DecisionRefused, SegmentationError
from segmentation.rules.fields import plain_text

CHARACTERS_MOST: Final = 200
NAME_CHARACTERS: Final = 80


def tidy_reason(text: str, *, why: str) -> str:
    """The reason on one line. why: what needs one, for the refusal.

    Raises DecisionRefused when there is none, or it can't be written down.
    """
    return _tidy(text, f"{why} needs a reason", CHARACTERS_MOST, DecisionRefused)


def tidy_name(text: str, *, whose: str, refused: type[SegmentationError]) -> str:
    """The name on one line. whose: "A rule", for the refusal, which is raised when
    there is none, it is too long, or it can't be written down."""
    return _tidy(text, f"{whose} needs a name", NAME_CHARACTERS, refused)


def _tidy(text: str, needed: str, most: int, refused: type[SegmentationError]) -> str:
    tidy = " ".join(text.split())
    if not plain_text(tidy) or len(tidy) > most:
        raise refused(
            f"{needed} of 1 to {most} characters that can be written; this one has "
            f"{len(tidy)}. Nothing was changed."
        )
    return tidy
