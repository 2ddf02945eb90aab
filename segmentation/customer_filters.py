"""Filters of the list of customers: segment, what their words read as, evidence."""

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from customers.models import Customer
from customers.searching import Search
from segmentation.emotion.families import FAMILIES
from segmentation.models import EmotionProfile, Membership, Segment
from segmentation.places import published_run, segment_called

# Customers of whom each is looked up in the segment: a list of a segment's customers
# takes 0.6 µs for each of them on SQLite, a look-up 1.6 µs for each that is passed
# until the list's last page.
LARGE = 25_000
# The same with another filter, or a search for what many have: more are passed in vain.
LARGE_NARROWED = 250_000
# Evidence in fresh texts: under the first nothing is known, from the last on a profile
# is mostly the customer's own.
EVIDENCE: Final[dict[str, tuple[str, Q]]] = {
    "little": ("under half a fresh text", Q(evidence__lt=0.5)),
    "some": ("half a text to three", Q(evidence__gte=0.5, evidence__lt=3)),
    "much": ("three fresh texts and more", Q(evidence__gte=3)),
}
NOTHING: Final = "none"


class SegmentFilter(admin.SimpleListFilter):
    title = "segment"
    parameter_name = "segment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(segment.key, segment.name) for segment in Segment.objects.all()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Customer]
    ) -> QuerySet[Customer]:
        if not self.value():
            return queryset
        run = published_run()
        asked = segment_called(self.value() or "")
        if asked is None or run is None:
            return queryset.none()
        members = Membership.objects.filter(run=run, segment=asked)
        size = run.quality.get("sizes", {}).get(asked.key, 0)
        if size < LARGE or (size < LARGE_NARROWED and _passes_many(request)):
            return queryset.filter(pk__in=members.values("customer_id"))
        return queryset.filter(Exists(members.filter(customer=OuterRef("pk"))))


def _passes_many(request: HttpRequest) -> bool:
    """Whether many customers are passed before a page of the list is full."""
    searched = Search.on_page(request, request.GET.get(SEARCH_VAR, ""))
    if not searched.is_empty:
        return not searched.finds_few
    others = (FamilyFilter.parameter_name, EvidenceFilter.parameter_name)
    return any(request.GET.get(name) for name in others)


class FamilyFilter(admin.SimpleListFilter):
    """The family that stands out in a customer's profile."""

    title = "emotion"
    parameter_name = "emotion"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(family, family) for family in FAMILIES]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Customer]
    ) -> QuerySet[Customer]:
        if self.value() not in FAMILIES:
            return queryset
        return queryset.filter(Exists(_profiles().filter(dominant_family=self.value())))


class EvidenceFilter(admin.SimpleListFilter):
    """How much was said, as of the last time it was added up."""

    title = "evidence"
    parameter_name = "evidence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        words = [(key, label) for key, (label, _) in EVIDENCE.items()]
        return [(NOTHING, "nothing read"), *words]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Customer]
    ) -> QuerySet[Customer]:
        asked = self.value() or ""
        if asked == NOTHING:
            return queryset.filter(~Exists(_profiles()))
        if asked not in EVIDENCE:
            return queryset
        return queryset.filter(Exists(_profiles().filter(EVIDENCE[asked][1])))


def _profiles() -> QuerySet[EmotionProfile]:
    return EmotionProfile.objects.filter(customer=OuterRef("pk"))
