"""The seven canonical segments, mixed and unknown: rows a marketer may rename."""

from typing import Any, Final

from django.apps.registry import Apps
from django.apps.registry import apps as installed

# Key, name, tone, family whose colour and glyph it borrows: method.md 2.2 and 3.2.
CANONICAL: Final = (
    ("frustrated", "Frustrated", "accountable", "anger"),
    ("anxious", "Anxious", "reassuring", "anxiety"),
    ("disappointed", "Disappointed", "repairing", "sadness"),
    ("excited", "Excited", "lively", "excitement"),
    ("trusting", "Trusting", "grateful", "trust"),
    ("questioning", "Questioning", "informative", "curiosity"),
    ("neutral", "Matter-of-fact", "brief", "neutral"),
    ("mixed", "Mixed", "neutral", ""),
    ("unknown", "Unknown", "neutral", ""),
)


def add_missing(*, using: str, apps: Apps = installed, **_: Any) -> None:
    """After every migrate, and every flush: the rows that code relies on are there.

    What a marketer renamed or gave another tone stays as it is.
    """
    try:
        segment: Any = apps.get_model("segmentation", "Segment")
    except LookupError:  # migrated back to nothing
        return
    rows = segment.objects.using(using)
    known = set(rows.values_list("key", flat=True))
    rows.bulk_create(
        (
            segment(key=key, name=name, tone=tone, family=family, position=position)
            for position, (key, name, tone, family) in enumerate(CANONICAL)
            if key not in known
        ),
        ignore_conflicts=True,
    )
