"""From a rule to the customers it holds for, by the ORM alone.

Every condition is true or false of every customer, never NULL, so "none of" is the
exact complement of "any of". A customer who objected to profiling has no feelings on
record: conditions about them are false, whatever still stands in the tables.

Facts count up to `at`. Feelings are those of the last sorting: they have no other time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import (
    BigIntegerField,
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    FloatField,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import (
    Cast,
    Coalesce,
    Concat,
    Lower,
    Round,
    StrIndex,
    Substr,
)
from django.db.models.lookups import Exact, GreaterThanOrEqual, In, LessThanOrEqual

from customers.models import Customer, Interaction
from segmentation.clustering.anchors import UNKNOWN
from segmentation.models import EmotionProfile, GroupMember, Membership, SegmentationRun
from segmentation.rules.fields import (
    AT_LEAST,
    AT_MOST,
    EXACTLY,
    FIELDS,
    NONE_OF,
    NOT_WITHIN,
)
from segmentation.rules.tree import ALL, ANY, Condition, Group, Money

_COMPARE: Final[dict[str, Any]] = {
    AT_LEAST: GreaterThanOrEqual,
    AT_MOST: LessThanOrEqual,
    EXACTLY: Exact,
}
_SUFFIX: Final = {AT_LEAST: "gte", AT_MOST: "lte"}
_KINDS: Final = {
    "last_order": Interaction.Kind.ORDER,
    "last_visit": Interaction.Kind.VISIT,
    "last_click": Interaction.Kind.CLICK,
    "orders": Interaction.Kind.ORDER,
    "returns": Interaction.Kind.RETURN,
}
_CENTS: Final = 100
_DASH, _AT_SIGN = Value("-"), Value("@")


def matching(tree: Group, *, at: datetime) -> QuerySet[Customer]:
    """The customers a rule holds for at that instant, by the run in use."""
    run = SegmentationRun.State.PUBLISHED
    return _matching(tree, at, Membership.objects.filter(run__state=run))


def matching_in_run(
    tree: Group, *, at: datetime, run_id: int | None
) -> QuerySet[Customer]:
    """The same by a run that was frozen with a send; None: nobody had been sorted."""
    return _matching(tree, at, Membership.objects.filter(run_id=run_id or 0))


def _matching(
    tree: Group, at: datetime, places: QuerySet[Membership]
) -> QuerySet[Customer]:
    return Customer.objects.filter(_Facts(at, places).holds(tree))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a customer: places is who is in which segment."""

    at: datetime
    places: QuerySet[Membership]

    def holds(self, member: Group | Condition) -> Q:
        if isinstance(member, Condition):
            return self._condition(member)
        found = self.holds(member.members[0])
        for one in member.members[1:]:
            part = self.holds(one)
            found = found & part if member.how == ALL else found | part
        return found if member.how in (ALL, ANY) else ~found

    def _condition(self, condition: Condition) -> Q:
        found = self._fact(condition)
        if FIELDS[condition.field].feeling:
            return Q(profiling_objected_at__isnull=True) & found
        return found

    def _fact(self, condition: Condition) -> Q:
        value, key, op = condition.value, condition.field, condition.op
        if isinstance(value, tuple):
            return self._listed(key, value, negative=op == NONE_OF)
        if isinstance(value, Money):
            cents = int(value.amount * _CENTS)
            return Q(_COMPARE[op](self._spent(value.currency), cents))
        if key in ("orders", "returns"):
            return Q(_COMPARE[op](self._number_of(_KINDS[key]), value))
        if key in ("evidence", "texts"):
            return Q(_COMPARE[op](self._of_profile(key), value))
        if key in ("valence", "negativity"):
            profiles = self._profiles().filter(**{f"{key}__{_SUFFIX[op]}": value})
            return Q(Exists(profiles))
        within = self._within(key, self.at - timedelta(days=value))
        return ~within if op == NOT_WITHIN else within

    # Lists

    def _listed(self, key: str, values: tuple[str, ...], *, negative: bool) -> Q:
        if key == "family":
            # Without a reading there is no strongest emotion, so none of them either.
            known = self._profiles().exclude(dominant_family="")
            if negative:
                return Q(Exists(known.exclude(dominant_family__in=values)))
            return Q(Exists(known.filter(dominant_family__in=values)))
        found = self._in_list(key, values)
        return ~found if negative else found

    def _in_list(self, key: str, values: tuple[str, ...]) -> Q:
        if key == "segment":
            return self._in_segments(values)
        if key == "group":
            mine = GroupMember.objects.filter(customer=OuterRef("pk"))
            return Q(Exists(mine.filter(group__key__in=values)))
        if key == "country":
            return Q(country__in=values)
        if key == "tags":
            return Q(tags__has_any_of=values)
        # One list each, never a chain of "or": SQLite refuses a thousand links.
        if key == "language":
            whole = Lower("language")
            head = Substr(whole, 1, StrIndex(Concat(whole, _DASH), _DASH) - 1)
            return Q(In(whole, values)) | Q(In(head, values))
        host = Substr("address_key", StrIndex("address_key", _AT_SIGN) + 1)
        return Q(address_key__contains="@") & Q(In(host, values))

    def _in_segments(self, keys: tuple[str, ...]) -> Q:
        """Whoever is in none is unknown, as when an audience is made."""
        mine = self.places.filter(customer=OuterRef("pk"))
        found = Q(Exists(mine.filter(segment__key__in=keys)))
        return found | ~Q(Exists(mine)) if UNKNOWN in keys else found

    # Numbers

    def _profiles(self) -> QuerySet[EmotionProfile]:
        return EmotionProfile.objects.filter(customer=OuterRef("pk"))

    def _of_profile(self, name: str) -> Coalesce:
        """Without a profile nothing was read: 0."""
        output = IntegerField() if name == "texts" else FloatField()
        return Coalesce(
            Subquery(self._profiles().values(name), output_field=output),
            Value(0, output_field=output),
        )

    def _mine(self, found: QuerySet[Interaction]) -> QuerySet[Interaction]:
        """Of these, the customer's own so far."""
        return found.filter(
            customer=OuterRef("pk"), occurred_at__lte=self.at
        ).order_by()

    def _number_of(self, kind: str) -> Coalesce:
        counted = self._mine(Interaction.objects.of_kind(kind)).values("customer")
        number = counted.annotate(number=Count("pk")).values("number")
        return Coalesce(Subquery(number, output_field=IntegerField()), Value(0))

    def _spent(self, currency: str) -> Coalesce:
        """In whole cents: SQLite adds decimals as floats, and 0.1 thrice is not 0.3."""
        orders = self._mine(Interaction.objects.of_kind(Interaction.Kind.ORDER))
        exact = ExpressionWrapper(
            F("amount") * _CENTS,
            output_field=DecimalField(max_digits=16, decimal_places=2),
        )
        total = (
            orders.filter(currency=currency)
            .values("customer")
            .annotate(cents=Sum(Cast(Round(exact), BigIntegerField())))
            .values("cents")
        )
        return Coalesce(
            Subquery(total, output_field=BigIntegerField()),
            Value(0, output_field=BigIntegerField()),
        )

    # Days

    def _within(self, key: str, since: datetime) -> Q:
        if key == "known":
            return Q(added_at__gte=since, added_at__lte=self.at)
        found = Interaction.objects.since(since)
        if key == "last_text":
            found = found.with_text()
        elif key != "last_seen":
            found = found.of_kind(_KINDS[key])
        return Q(Exists(self._mine(found)))
