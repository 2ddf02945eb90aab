"""Lines of CSV for a spreadsheet, one after the other, whatever the size."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from customers.spreadsheets import formula_safe
from segmentation.emotion.families import FAMILIES
from segmentation.frames import families_of
from segmentation.models import (
    EmotionProfile,
    Membership,
    Segment,
    SegmentationRun,
    SegmentChange,
)

ROWS_AT_ONCE = 2000
MEMBERS = (
    "customer_id",
    "email",
    "segment",
    "segment_name",
    "probability",
    "next_best",
    "evidence",
    "since",
    "placed_by_hand",
)
PROFILES = (
    "customer_id",
    "email",
    "as_of",
    "texts",
    "last_text_at",
    "evidence",
    "valence",
    "negativity",
    "strongest",
    *FAMILIES,
)
CHANGES = ("customer_id", "email", "from", "to", "at", "run", "by_hand")


def members_as_csv(run: SegmentationRun, segment: Segment) -> Iterator[str]:
    """Who is in a segment of a run, surest first."""
    rows = (
        Membership.objects.filter(run=run, segment=segment)
        .order_by("-probability", "pk")
        .values_list(
            "customer__external_id",
            "customer__email",
            "segment__key",
            "segment__name",
            "probability",
            "next_best__key",
            "evidence",
            "since",
            "run_segment",
        )
    )
    return _lines(
        MEMBERS,
        (
            (
                *names,
                # Of a placed customer the run's own figures would say something else.
                "" if own else round(sure, 4),
                "" if own else rival or "",
                round(evidence, 3),
                since.isoformat(),
                "yes" if own else "",
            )
            for *names, sure, rival, evidence, since, own in rows.iterator(
                chunk_size=ROWS_AT_ONCE
            )
        ),
    )


def profiles_as_csv() -> Iterator[str]:
    """What customers' texts add up to, by customer; of nobody who objected."""
    rows = (
        EmotionProfile.objects.exclude(composition=b"")
        .filter(customer__profiling_objected_at=None)
        .order_by("customer_id")
        .values_list(
            "customer__external_id",
            "customer__email",
            "as_of",
            "texts",
            "last_text_at",
            "evidence",
            "valence",
            "negativity",
            "dominant_family",
            "composition",
        )
    )
    return _lines(
        PROFILES,
        (
            (
                who,
                email,
                as_of.isoformat(),
                texts,
                last.isoformat() if last else "",
                *(round(figure, 4) for figure in figures),
                strongest,
                *families_of(composition).round(4).tolist(),
            )
            for who, email, as_of, texts, last, *figures, strongest, composition in (
                rows.iterator(chunk_size=ROWS_AT_ONCE)
            )
        ),
    )


def changes_as_csv() -> Iterator[str]:
    """Every change of segment, the oldest first."""
    rows = SegmentChange.objects.order_by("at", "pk").values_list(
        "customer__external_id",
        "customer__email",
        "from_segment__key",
        "to_segment__key",
        "at",
        "publication__run",
        "folded",
    )
    return _lines(
        CHANGES,
        (
            (
                who,
                email,
                start or "",
                end,
                at.isoformat(),
                run or "",
                "" if run or folded else "yes",
            )
            for who, email, start, end, at, run, folded in rows.iterator(
                chunk_size=ROWS_AT_ONCE
            )
        ),
    )


def _lines(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(head)
    yield line.getvalue()
    for row in rows:
        line.seek(0)
        line.truncate()
        writer.writerow([formula_safe(value) for value in row])
        yield line.getvalue()
