"""Questions about customers and interactions, with names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from customers.models import Customer, Interaction  # noqa: F401


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
