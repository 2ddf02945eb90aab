"""Why a person decided something: words that others will read."""

from typing import Final

from segmentation.errors import DecisionRefused
from segmentation.rules.fields import plain_text

CHARACTERS_MOST: Final = 200


def tidy_reason(text: str, *, why: str) -> str:
    """The reason on one line. why: what needs one, for the refusal.

    Raises DecisionRefused when there is none, or it can't be written down.
    """
    tidy = " ".join(text.split())
    if not plain_text(tidy) or len(tidy) > CHARACTERS_MOST:
        raise DecisionRefused(
            f"{why} needs a reason of 1 to {CHARACTERS_MOST} characters that can be "
            f"written; this one has {len(tidy)}. Nothing was changed."
        )
    return tidy
