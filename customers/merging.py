"""Two customers who are one person become one; what either refused stays refused."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from customers.errors import MergeRefused
from customers.intake import FILLED, carry_suppression
from customers.merges import LOCK, MOVE, Merging
from customers.models import (
    Consent,
    Customer,
    Interaction,
    MergedCustomer,
)
from customers.news import tell_changed
from customers.services import object_to_profiling, record_consent

SOURCE: Final = "merge of two customers"
_ADDRESS: Final = ("email", "address_wire", "address_key")


@transaction.atomic
def merge_customers(
    kept: Customer, other: Customer, *, by: Any, at: datetime
) -> MergedCustomer:
    """Give the kept customer all there is of the other, who is one no longer.

    Interactions that both have are stored once. A withdrawal or an objection of either
    stands. An import that names the other goes to the kept one from now on. Raises
    MergeRefused for one and the same, one who is gone, or where a room can't have it.
    """
    if kept.pk == other.pk:
        raise MergeRefused("A customer can't be merged with themselves: choose two.")
    for lock in LOCK:
        lock(kept, other)
    kept, other = _locked(kept, other)
    _heed_objections(kept, other, at=at)
    merging = Merging(kept, other, by, at, _same(kept, other))
    for move in MOVE:
        move(merging)
    _keep_answers(kept, merging.same)
    Interaction.objects.filter(pk__in=merging.same).delete()
    Interaction.objects.filter(customer=other).update(customer=kept)
    _move_consents(kept, other, at=at)
    if kept.email:
        carry_suppression(other.email, kept.email, source=SOURCE, at=at)
    _learn(kept, other)
    MergedCustomer.objects.filter(kept=other).update(kept=kept)
    merged = MergedCustomer.objects.create(
        kept=kept, external_id=other.external_id, merged_by=by, merged_at=at
    )
    tell_changed([kept.pk])
    other.delete()
    return merged


def _keep_answers(kept: Customer, same: Collection[int]) -> None:
    """When the shop answered is not lost with the row that knew it."""
    answered = Interaction.objects.filter(pk__in=same, answered_at__isnull=False)
    for kind, key, moment in answered.values_list("kind", "key", "answered_at"):
        Interaction.objects.filter(
            customer=kept, kind=kind, key=key, answered_at=None
        ).update(answered_at=moment)


def _locked(kept: Customer, other: Customer) -> tuple[Customer, Customer]:
    rows = Customer.objects.filter(pk__in=[kept.pk, other.pk]).order_by("pk")
    found = {one.pk: one for one in rows.select_for_update()}
    for one in (kept, other):
        if one.pk not in found:
            raise MergeRefused(f"{one} is gone, merged or erased meanwhile.")
    return found[kept.pk], found[other.pk]


def _heed_objections(kept: Customer, other: Customer, *, at: datetime) -> None:
    """Who objected did so as a person: nothing is inferred of either any more."""
    moments = [kept.profiling_objected_at, other.profiling_objected_at]
    objected_at = min((moment for moment in moments if moment), default=None)
    if objected_at is not None:
        for one in (kept, other):
            object_to_profiling(one, source=SOURCE, at=at)
        kept.profiling_objected_at = objected_at
        kept.save(update_fields=["profiling_objected_at"])


def _same(kept: Customer, other: Customer) -> dict[int, int]:
    there = {
        (kind, key): pk
        for pk, kind, key in kept.interactions.order_by().values_list(
            "pk", "kind", "key"
        )
    }
    return {
        pk: there[kind, key]
        for pk, kind, key in other.interactions.order_by().values_list(
            "pk", "kind", "key"
        )
        if (kind, key) in there
    }


def _move_consents(kept: Customer, other: Customer, *, at: datetime) -> None:
    """All that was said stays; where either's last word was no, it is no."""
    refused = {
        purpose
        for purpose in Consent.Purpose.values
        for one in (kept, other)
        if _last_word(one, purpose) == Consent.Basis.WITHDRAWN
    }
    Consent.objects.filter(customer=other).update(customer=kept)
    for purpose in sorted(refused):
        if _last_word(kept, purpose) != Consent.Basis.WITHDRAWN:
            record_consent(
                kept,
                purpose=purpose,
                basis=Consent.Basis.WITHDRAWN,
                source=SOURCE,
                at=at,
            )


def _last_word(customer: Customer, purpose: str) -> str | None:
    last = Consent.objects.filter(customer=customer, purpose=purpose).first()
    return last.basis if last else None


def _learn(kept: Customer, other: Customer) -> None:
    """Fill what was empty, add tags, as an import does; blank and replace nothing."""
    for fact in FILLED:
        if not getattr(kept, fact):
            setattr(kept, fact, getattr(other, fact))
    if not kept.email:
        for column in _ADDRESS:
            setattr(kept, column, getattr(other, column))
    kept.tags = list(dict.fromkeys([*kept.tags, *other.tags]))
    kept.added_at = min(kept.added_at, other.added_at)
    kept.save()
