"""Stored profiles beside a full recomputation: the two must be one to 1e-9."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from django.db import transaction

from customers.models import Customer
from segmentation import news
from segmentation.folding import fold_news
from segmentation.frames import SECONDS_A_DAY, load_people, load_texts, unpack_sums
from segmentation.models import EmotionProfile, News
from segmentation.placing import last_texts, lock_customers
from segmentation.profile.decay import ProfileSums, fold
from segmentation.profile.events import BoolArray

# Customers a transaction.
CHUNK: Final = 2000
CLOSE: Final = 1e-9
# Below this a sum is as good as nothing: ten half-lives of the fast clock and more.
AS_GOOD_AS_NOTHING: Final = 1e-12
# Moments are kept to the microsecond.
CLOSE_IN_TIME: Final = timedelta(milliseconds=1)


@dataclass(slots=True)
class Checked:
    """differ: ids of customers; waiting: have news still to be folded, not compared."""

    customers: int = 0
    waiting: int = 0
    differ: list[int] = field(default_factory=list)


def check_profiles(*, at: datetime) -> Checked:
    """Compare every stored profile, advanced to one moment, with all its texts.

    Sums, evidence, number of texts and the last one's time. What is made of these with
    a run's model (composition, segment) is as old as the profile and not compared.
    """
    report, last = Checked(), 0
    while ids := list(
        Customer.objects.filter(pk__gt=last)
        .order_by("pk")
        .values_list("pk", flat=True)[:CHUNK]
    ):
        last = ids[-1]
        _check(ids, report, at=at)
    return report


def mend_profiles(customer_ids: list[int], *, at: datetime) -> None:
    """Fold these customers anew; without a run in use the first run does it."""
    with transaction.atomic():
        news.mark(customer_ids)
    fold_news(at=at)


@transaction.atomic
def _check(ids: list[int], report: Checked, *, at: datetime) -> None:
    # Nobody folds a customer whom we have locked; and whatever changes without that
    # lock is marked by the time we look at the marks, last.
    lock_customers(ids)
    people = load_people(ids)
    stored = {
        profile.customer_id: profile
        for profile in EmotionProfile.objects.filter(customer_id__in=ids)
    }
    at = max([at, *(profile.as_of for profile in stored.values())])
    texts = load_texts(people, at=at)
    fresh, youngest = fold(texts), last_texts(texts)
    waiting = set(
        News.objects.filter(pk__in=ids, waiting=True).values_list("pk", flat=True)
    )
    report.waiting += len(waiting)
    report.customers += len(people.ids)
    for row, pk in enumerate(people.ids.tolist()):
        if pk in waiting:
            continue
        profile = stored.get(pk)
        if profile is None:
            same = not fresh.texts[row]
        else:
            same = _same(profile, fresh, row, float(youngest[row]), at=at)
        if not same:
            report.differ.append(pk)


def _same(
    profile: EmotionProfile,
    fresh: ProfileSums,
    row: int,
    youngest: float,
    *,
    at: datetime,
) -> bool:
    if not fresh.texts[row] or profile.last_text_at is None:
        return False
    days = (at - profile.as_of).total_seconds() / SECONDS_A_DAY
    kept = unpack_sums([bytes(profile.state)])
    return (
        _sums_are_close(kept.advance(days), fresh, row)
        and profile.texts == kept.texts[0]
        and abs(profile.evidence - kept.weight[0]) <= CLOSE
        and abs(profile.last_text_at - (at - timedelta(days=youngest))) < CLOSE_IN_TIME
    )


def _sums_are_close(kept: ProfileSums, fresh: ProfileSums, row: int) -> bool:
    close: list[bool | BoolArray] = [
        np.isclose(
            getattr(kept, name)[0],
            getattr(fresh, name)[row],
            rtol=CLOSE,
            atol=AS_GOOD_AS_NOTHING,
        )
        for name in ProfileSums.__slots__
    ]
    return all(np.all(each) for each in close)
