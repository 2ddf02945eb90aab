"""News is folded in: the profile and place of whoever it is about, and nobody else's.

A customer with news is computed anew from the readings that are stored, with the model
of the run in use: as much work as there are customers with news, and exact whatever the
order of events, corrections, deletions and merges.
"""

from collections import Counter
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np

from customers.models import Customer
from segmentation import news
from segmentation.bulk_rows import instant, write_rows
from segmentation.clustering.hysteresis import settle_between_runs
from segmentation.clustering.model import SegmentModel
from segmentation.deeds import load_deeds, next_moments
from segmentation.frames import load_people, load_texts
from segmentation.models import (
    Membership,
    News,
    SegmentationRun,
    SegmentChange,
)
from segmentation.pins import standing_pins
from segmentation.places import count_places, published_run, recount
from segmentation.placing import (
    Places,
    lock_customers,
    places_of,
    sort_customers,
    standing_in,
    write_profiles,
)
from segmentation.profile.events import FloatArray
from segmentation.run_lock import between_publications

# Customers a transaction: meanwhile no run comes into use, nobody is placed by hand.
CHUNK: Final = 1000


def fold_news(*, at: datetime) -> int:
    """Fold what is new into profiles and into the run in use; returns of how many.

    Whom another process has under its hands is left to the next turn. Without a run in
    use nothing is folded: the first run will read it all.
    """
    run = published_run()
    if run is None:
        return 0
    news.drop_read(run)
    _follow_customers(run)
    waiting = news.waiting(run, at=at)
    objected = set(
        waiting.exclude(customer__profiling_objected_at=None).values_list(
            "pk", flat=True
        )
    )
    others = [pk for pk in waiting.values_list("pk", flat=True) if pk not in objected]
    # Who objected comes last and together: the figures are counted anew for them.
    return _fold_all(others, at=at) + _fold_all(sorted(objected), at=at)


def _fold_all(ids: list[int], *, at: datetime) -> int:
    folded = 0
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        folded += between_publications(partial(_fold, part, at=at))
    return folded


def _follow_customers(run: SegmentationRun) -> None:
    """Who joined is news; who was erased or merged is no longer counted."""
    places = Membership.objects.filter(run=run).count()
    if places != Customer.objects.count():
        news.mark_newcomers(run)
    if places != sum(run.quality.get("sizes", {}).values()):
        between_publications(_count_anew)


def _count_anew() -> None:
    run = published_run()
    if run is not None:
        count_places(run)
        run.save(update_fields=["quality"])


def _fold(ids: list[int], *, at: datetime) -> int:
    run = published_run()
    if run is None:
        return 0
    there = lock_customers(ids, skip_locked=True)
    marks = list(
        news.waiting(run, at=at)
        .filter(pk__in=list(there))
        .select_for_update(no_key=True, skip_locked=True)
        .values_list("pk", flat=True)
    )
    if not marks:
        return 0
    people = load_people(marks)
    model = SegmentModel.from_json(run.model)
    sorting = sort_customers(
        people,
        load_texts(people, at=at),
        load_deeds(people, at=at, terms=model.terms),
        model,
        before=standing_in(run, people, at=at),
        rule=settle_between_runs,
        at=at,
        usual=usual_composition(run, model),
    )
    rows = np.arange(len(people.ids))
    write_profiles(sorting, rows, there)
    _write_places(run, places_of(sorting, rows, there), there, at=at)
    if any(there[pk] for pk in marks):
        # An objection empties the place at once, and leaves the figures to this.
        _count_anew()
    News.objects.filter(pk__in=marks).update(waiting=False, due=None)
    for pk, due in next_moments(people, at=at).items():
        News.objects.filter(pk=pk).update(waiting=True, due=due)
    return len(marks)


def _write_places(
    run: SegmentationRun, places: Places, there: dict[int, bool], *, at: datetime
) -> None:
    """Places in the run in use, its figures, and the history of who moved."""
    ids = places.customer.tolist()
    before = {
        pk: (segment, own is not None)
        for pk, segment, own in Membership.objects.filter(
            run=run, customer_id__in=ids
        ).values_list("customer_id", "segment_id", "run_segment_id")
    }
    pinned = dict(
        standing_pins(at=at)
        .filter(customer_id__in=ids)
        .values_list("customer_id", "segment_id")
    )
    own = places.segment.tolist()
    segments = [pinned.get(pk, read) for pk, read in zip(ids, own, strict=True)]
    sizes, by_hand = (
        Counter(segments),
        Counter(pinned[pk] for pk in ids if pk in pinned),
    )
    for segment, was_by_hand in before.values():
        sizes[segment] -= 1
        if was_by_hand:
            by_hand[segment] -= 1
    columns = places.columns(run)
    columns["segment"] = segments
    columns["run_segment"] = [
        read if pk in pinned else None for pk, read in zip(ids, own, strict=True)
    ]
    columns["folded_at"] = np.full(len(ids), instant(at))
    write_rows(Membership, columns, instead_of=["run", "customer"])
    SegmentChange.objects.bulk_create(
        SegmentChange(
            customer_id=pk,
            from_segment_id=came_from,
            to_segment_id=segment,
            at=at,
            folded=True,
        )
        for pk, segment in zip(ids, segments, strict=True)
        if (came_from := before.get(pk, (None, False))[0]) != segment and not there[pk]
    )
    recount(run, sizes=sizes, by_hand=by_hand)


def usual_composition(run: SegmentationRun, model: SegmentModel) -> FloatArray:
    """Everybody's mean composition at the fit, (9,)."""
    return np.array(run.quality.get("composition", model.mix), np.float64)
