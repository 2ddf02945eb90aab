"""Questions about customers and interactions, with names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db import models

if TYPE_CHECKING:
    from customers.models import Customer, Interaction  # noqa: F401

# Ids so close together are asked for as one range of an index.
CLOSE: Final = 4


def around(customer_ids: Collection[int], *, field: str = "customer_id") -> models.Q:
    """Where these customers are, to be filtered by: a few others may lie between.

    Whoever asks drops those whom they did not mean. field: what holds the id.
    """
    if not customer_ids:
        return models.Q(pk__in=[])
    first, last = min(customer_ids), max(customer_ids)
    if last - first < CLOSE * len(customer_ids):
        return models.Q(**{f"{field}__gte": first, f"{field}__lte": last})
    return models.Q(**{f"{field}__one_of": list(customer_ids)})


class CustomerQuerySet(models.QuerySet["Customer"]):
    def profiled(self) -> CustomerQuerySet:
        """Those who have not objected to having their texts read for feelings."""
        return self.filter(profiling_objected_at__isnull=True)


class InteractionQuerySet(models.QuerySet["Interaction"]):
    def since(self, day: datetime) -> InteractionQuerySet:
        return self.filter(occurred_at__gte=day)

    def of_kind(self, *kinds: str) -> InteractionQuerySet:
        return self.filter(kind__in=kinds)

    def with_text(self) -> InteractionQuerySet:
        return self.exclude(text="", subject="")

    def of_customers(self, ids: Iterable[int]) -> InteractionQuerySet:
        return self.filter(customer_id__in=list(ids))
