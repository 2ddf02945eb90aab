"""Texts that only a person may answer: found, shown, and silent until cleared."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet

from customers.models import Interaction
from customers.prepared import Prepared
from customers.querysets import around
from segmentation.models import SensitiveMatter

SILENT: Final = timedelta(days=90)
"""So long no marketing, unless a person clears it; method.md 3.4."""

REASON: Final = "a message that a person should read"


def keep_matters(found: Sequence[tuple[Interaction, bool]]) -> None:
    """Remember texts for a person, each with whether it is urgent.

    A second time changes nothing, except that what turns out urgent becomes so, and is
    shown again.
    """
    SensitiveMatter.objects.bulk_create(
        [
            SensitiveMatter(
                interaction=row,
                customer_id=row.customer_id,
                occurred_at=row.occurred_at,
                urgent=urgent,
            )
            for row, urgent in found
        ],
        ignore_conflicts=True,
    )
    urgent_ids = [row.pk for row, urgent in found if urgent]
    if urgent_ids:
        SensitiveMatter.objects.filter(
            interaction_id__in=urgent_ids, urgent=False
        ).update(urgent=True, seen_at=None, seen_by=None)


def waiting_matters(*, at: datetime) -> QuerySet[SensitiveMatter]:
    """Nobody has read these yet, the urgent and the newest first.

    What an import brings of long ago is past answering and keeps nothing away.
    """
    return (
        _within_silence(at)
        .filter(seen_at__isnull=True)
        .select_related("interaction", "customer")
        .order_by("-urgent", "-occurred_at")
    )


def silent_matters(*, at: datetime) -> QuerySet[SensitiveMatter]:
    """Read by somebody; marketing is still silent because of them."""
    return (
        _within_silence(at)
        .filter(seen_at__isnull=False)
        .select_related("interaction", "customer", "seen_by")
        .order_by("-occurred_at")
    )


def mark_seen(matter: SensitiveMatter, *, by: Any, at: datetime) -> None:
    """Somebody has read it. Marketing stays silent for the rest of the 90 days."""
    SensitiveMatter.objects.filter(pk=matter.pk, seen_at__isnull=True).update(
        seen_at=at, seen_by=by
    )


def clear_matter(matter: SensitiveMatter, *, by: Any, at: datetime) -> None:
    """It was nothing of the kind, or marketing is welcome again."""
    mark_seen(matter, by=by, at=at)
    SensitiveMatter.objects.filter(pk=matter.pk, cleared_at__isnull=True).update(
        cleared_at=at, cleared_by=by
    )


def silenced(customer_ids: Iterable[int], *, at: datetime) -> dict[int, datetime]:
    """Customers who get no marketing because of such a message, and until when."""
    ids = set(customer_ids)
    found = _SILENCED(who=around(ids), after=at - SILENT, until=at)
    return {customer: when + SILENT for customer, when in found if customer in ids}


_SILENCED: Final = Prepared(
    lambda who, after, until: (
        _uncleared_since(after)
        .filter(who, occurred_at__lte=until)
        .order_by("occurred_at")
        .values_list("customer_id", "occurred_at")
    )
)


def _within_silence(at: datetime) -> QuerySet[SensitiveMatter]:
    return _uncleared_since(at - SILENT)


def _uncleared_since(after: datetime) -> QuerySet[SensitiveMatter]:
    return SensitiveMatter.objects.filter(
        cleared_at__isnull=True, occurred_at__gt=after
    )
