"""Who has opened, clicked, replied or ordered lately: while a sender domain warms up,
mail goes to them first. What somebody feels is never asked here.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Max

from customers.models import Interaction
from customers.querysets import around

# Providers' own plans go to whoever was engaged within 30 days, then 60 or 90, then
# half a year, and to the others last (AdCrux, "IP Warm-up Strategy"; Oracle Responsys,
# "IP Warmup").
RANK_DAYS: Final = (30, 90, 180)
# Whoever was not engaged for longer, or never.
LAST_RANK: Final = len(RANK_DAYS) + 1
KINDS: Final = (
    Interaction.Kind.CLICK,
    Interaction.Kind.REPLY,
    Interaction.Kind.ORDER,
)
# What rooms to the right know of it: of customers' ids, since when; it returns when
# each of them was engaged last.
ENGAGED: Final[list[Callable[[Collection[int], datetime], Mapping[int, datetime]]]] = []


def ranks(ids: Collection[int], *, at: datetime, wanted: bool) -> dict[int, int]:
    """Of each customer the place of their kind: 1 were engaged last, LAST_RANK not for
    long. wanted: False where the order is nobody's matter; then there are none."""
    if not wanted or not ids:
        return {}
    since = at - timedelta(days=RANK_DAYS[-1])
    last = _by_interactions(ids, since)
    for known in ENGAGED:
        for pk, when in known(ids, since).items():
            last[pk] = max(when, last.get(pk, when))
    return {pk: _rank(last.get(pk), at) for pk in ids}


def _by_interactions(ids: Collection[int], since: datetime) -> dict[int, datetime]:
    found = Interaction.objects.filter(
        around(ids), kind__in=KINDS, occurred_at__gte=since
    )
    by_customer = found.order_by().values_list("customer")
    return dict(by_customer.annotate(last=Max("occurred_at")))


def _rank(last: datetime | None, at: datetime) -> int:
    if last is None:
        return LAST_RANK
    ago = at - last
    fitting = (
        rank
        for rank, days in enumerate(RANK_DAYS, start=1)
        if ago <= timedelta(days=days)
    )
    return next(fitting, LAST_RANK)
