"""How far texts have been read, so that nobody looks through millions for the next one.

A pass over the texts without a score goes up from the mark. The mark goes up when a
pass has come to its end, as far as an earlier one had come ten minutes before: whoever
was recording then has committed since, and was read. It goes down where a text below it
is to be read, in the transaction that makes it so.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Max, Min, QuerySet
from django.db.models.functions import Least

from customers.models import Interaction
from segmentation.models import ReadingMark

# Longer than any of our transactions takes.
COMMITTED_AFTER: Final = timedelta(minutes=10)
# A page counts so many that wait; beyond, "more than" says enough.
COUNTED: Final = 1000
_ONLY: Final = 1


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over what waits: from where, up to what there was, the mark it saw."""

    after: int
    newest: int
    lowered: int
    version: str
    began: datetime


def unscored() -> QuerySet[Interaction]:
    """Texts without a score, of customers who have not objected to being profiled."""
    return (
        Interaction.objects.with_text()
        .filter(emotion_score=None, customer__profiling_objected_at=None)
        .select_related("customer")
        .order_by("pk")
    )


def begin_pass(*, at: datetime) -> Pass:
    mark, _ = ReadingMark.objects.get_or_create(pk=_ONLY)
    newest = Interaction.objects.aggregate(newest=Max("pk"))["newest"] or 0
    return Pass(mark.read_to, newest, mark.lowered, mark.version, at)


def waiting_in(one: Pass) -> QuerySet[Interaction]:
    """What this pass has to read, by id."""
    return unscored().filter(pk__gt=one.after)


def has_come_to(interaction_id: int) -> None:
    ReadingMark.objects.filter(pk=_ONLY).update(reading_at=interaction_id)


def end_pass(one: Pass) -> None:
    """A pass has read all that it saw; not, where the mark went down meanwhile."""
    mark = ReadingMark.objects.filter(pk=_ONLY, lowered=one.lowered)
    mark.filter(passed_at__lte=one.began - COMMITTED_AFTER).update(
        read_to=F("passed_to"), passed_at=None
    )
    mark.filter(passed_at=None).update(passed_to=one.newest, passed_at=one.began)
    mark.update(reading_at=one.newest)


def read_by(version: str) -> None:
    """Every score is of this version; empty: some are of another."""
    ReadingMark.objects.filter(pk=_ONLY).update(version=version)


def all_read_by(version: str) -> bool:
    """Whether the last pass found that every score is of this version."""
    return ReadingMark.objects.filter(pk=_ONLY, version=version).exists()


def hear_changed(customer_ids: Collection[int]) -> None:
    """A text of theirs may have to be read that lies below the mark."""
    theirs = unscored().filter(customer_id__in=list(customer_ids)).order_by()
    first = theirs.aggregate(first=Min("pk"))["first"]
    if first is not None:
        below = first - 1
        ReadingMark.objects.filter(pk=_ONLY).update(
            read_to=Least("read_to", below),
            passed_to=Least("passed_to", below),
            reading_at=Least("reading_at", below),
            lowered=F("lowered") + 1,
        )


def texts_waiting() -> int:
    """How many texts wait to be read; COUNTED + 1 for more."""
    mark = ReadingMark.objects.filter(pk=_ONLY).first() or ReadingMark()
    after = max(mark.read_to, mark.passed_to, mark.reading_at)
    found = unscored().filter(pk__gt=after).order_by().values("pk")
    return found[: COUNTED + 1].count()
