"""Who relies on a rule segment; rooms to the right put their answer here.

The import arrow may not turn round: this room knows nothing of campaigns.
"""

from typing import Protocol

from segmentation.models import RuleSegment


class Uses(Protocol):
    """What still relies on this rule, each in words: "the campaign “Spring”"."""

    def __call__(self, segment: RuleSegment) -> list[str]: ...


USES: list[Uses] = []
