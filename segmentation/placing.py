"""Places and profiles become rows: of everybody at a fit, of a few when news is folded.

Whoever writes them has locked the customers: an objection comes before and is heeded,
or after and deletes what was written.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from customers.models import Customer
from segmentation.bulk_rows import INSTANT, Column, instant, read_columns, write_rows
from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.hysteresis import Standing
from segmentation.clustering.model import (
    LABELS,
    UNKNOWN_LABEL,
    Assignment,
    ProfileTable,
    SegmentModel,
    assign,
    profile_customers,
)
from segmentation.emotion.families import FAMILIES
from segmentation.frames import (
    FAMILY_PACKED,
    MICROSECONDS_A_DAY,
    People,
    days_before,
    pack_rows,
    pack_sums,
)
from segmentation.models import EmotionProfile, Membership, Segment, SegmentationRun
from segmentation.profile.events import BoolArray, Deeds, FloatArray, IntArray, Texts


@dataclass(frozen=True, slots=True)
class Before:
    """Where customers stood in the run in use; since: when they came there, or NaT."""

    standing: Standing
    since: Column


@dataclass(frozen=True, slots=True)
class Sorting:
    """What was found out about some customers; row i of the arrays is people.ids[i].

    youngest: (n,) age in days of the last text, infinite without one. usual: (9,) the
    composition that a dominant family is measured against.
    """

    at: datetime
    people: People
    profiles: ProfileTable
    found: Assignment
    settled: Standing
    before: Before
    youngest: FloatArray
    usual: FloatArray


def sort_customers(
    people: People,
    texts: Texts,
    deeds: Deeds,
    model: SegmentModel,
    *,
    before: Before,
    rule: Callable[[Assignment, Standing], Standing],
    at: datetime,
    usual: FloatArray | None = None,
) -> Sorting:
    """Profiles of these customers and where they are by a model.

    rule: how they come from where they stood to where they are read to be. usual:
    nothing, when these are all customers there are.
    """
    profiles = profile_customers(texts, deeds, model)
    found = assign(profiles, model, objected=people.objected)
    return Sorting(
        at,
        people,
        profiles,
        found,
        rule(found, before.standing),
        before,
        last_texts(texts),
        profiles.composition.mean(axis=0) if usual is None else usual,
    )


def last_texts(texts: Texts) -> FloatArray:
    """The age of each customer's last text in days, (n,); infinite without one."""
    youngest = np.full(texts.n_customers, np.inf)
    np.minimum.at(youngest, texts.customer, texts.age_days)
    return youngest


def standing_in(run: SegmentationRun | None, people: People, *, at: datetime) -> Before:
    """Where these customers stand in a run: of newcomers, and without one, nowhere."""
    n = len(people.ids)
    before = Before(
        Standing(np.full(n, -1, np.int64), np.zeros(n), np.zeros(n, np.int64)),
        np.full(n, np.datetime64("NaT"), INSTANT),
    )
    if run is None:
        return before
    places = Membership.objects.filter(run=run)
    if people.few:
        places = places.filter(customer_id__in=people.ids.tolist())
    found = read_columns(
        # Where the run itself had them: a pin is no reading to hold on to.
        places.annotate(own=Coalesce("run_segment_id", "segment_id")).order_by(),
        {"customer_id": "i8", "own": "i8", "since": INSTANT, "ahead_in_a_row": "i8"},
    )
    # Not of those who joined since the people were loaded.
    known = people.knows(found["customer_id"])
    rows = people.rows_of(found["customer_id"][known])
    since = found["since"][known]
    before.standing.label[rows] = _labels_of(found["own"][known])
    before.standing.days[rows] = np.maximum(days_before(since, at=at), 0.0)
    before.standing.ahead[rows] = found["ahead_in_a_row"][known]
    before.since[rows] = since
    return before


def _segment_ids() -> IntArray:
    """The id of each label's segment."""
    ids = dict(Segment.objects.values_list("key", "pk"))
    return np.array([ids[key] for key in LABELS], np.int64)


def _labels_of(segment_ids: IntArray) -> IntArray:
    ids = _segment_ids()
    order = np.argsort(ids)
    labels: IntArray = order[np.searchsorted(ids, segment_ids, sorter=order)]
    return labels


def lock_customers(
    customer_ids: Iterable[int], *, skip_locked: bool = False
) -> dict[int, bool]:
    """Those of them who are still there, and whether they objected to profiling.

    Locked to the end of the transaction, in the order of their ids. skip_locked: those
    whom somebody else has locked are left out.
    """
    found = Customer.objects.filter(pk__in=list(customer_ids))
    return _lock(found, skip_locked=skip_locked)


def lock_between(first: int, last: int) -> dict[int, bool]:
    """The same of all customers from one id to another: quicker, of thousands."""
    return _lock(Customer.objects.filter(pk__range=(first, last)))


def _lock(found: QuerySet[Customer], *, skip_locked: bool = False) -> dict[int, bool]:
    return {
        pk: objected is not None
        for pk, objected in found.order_by("pk")
        .select_for_update(no_key=True, skip_locked=skip_locked)
        .values_list("pk", "profiling_objected_at")
    }


@dataclass(frozen=True, slots=True)
class Places:
    """Where customers are by the run's own reading: columns of memberships.

    segment, next_best: ids; next_best is 0 where nothing is known. since: datetime64,
    UTC. Every column has a value of each customer.
    """

    customer: IntArray
    segment: IntArray
    probability: FloatArray
    next_best: IntArray
    next_probability: FloatArray
    evidence: FloatArray
    since: Column
    ahead: IntArray

    def __len__(self) -> int:
        return len(self.customer)

    def columns(self, run: SegmentationRun) -> dict[str, Any]:
        """As write_rows() takes them."""
        n = len(self)
        return {
            "run": [run.pk] * n,
            "customer": self.customer,
            "segment": self.segment,
            "probability": self.probability,
            "run_segment": [None] * n,
            "next_best": [pk or None for pk in self.next_best.tolist()],
            "next_probability": self.next_probability,
            "evidence": self.evidence,
            "since": self.since,
            "ahead_in_a_row": self.ahead,
            "folded_at": [None] * n,
        }


def places_of(sorting: Sorting, rows: IntArray, there: dict[int, bool]) -> Places:
    """The places of those of these rows who are there; from lock_customers().

    Whoever objected is unknown, and nothing else is said of them.
    """
    rows, ids, objected = _who_is_there(sorting, rows, there)
    found = sorting.found
    settled = sorting.settled.label[rows]
    label = np.where(objected, UNKNOWN_LABEL, settled)
    known = label != UNKNOWN_LABEL
    belief = found.posterior[rows]
    each = np.arange(len(rows))
    best, second = np.argsort(-belief, axis=1, kind="stable")[:, :2].T
    # The likeliest of the seven that a customer is not in.
    rival = np.where(best == label, second, best)
    named = label < len(SEGMENTS)
    # Where a customer is kept may not be the likeliest.
    own = belief[each, np.where(named, label, 0)]
    probability = np.where(named, own, found.probability[rows])
    before = sorting.before
    stays = ~objected & (settled == before.standing.label[rows])
    stays &= ~np.isnat(before.since[rows])
    segment_ids = _segment_ids()
    return Places(
        customer=ids,
        segment=segment_ids[label],
        probability=np.where(known, probability, 0.0),
        next_best=np.where(known, segment_ids[rival], 0),
        next_probability=np.where(known, belief[each, rival], 0.0),
        evidence=np.where(objected, 0.0, sorting.profiles.sums.weight[rows]),
        since=np.where(stays, before.since[rows], instant(sorting.at)),
        ahead=np.where(objected, 0, sorting.settled.ahead[rows]),
    )


def _who_is_there(
    sorting: Sorting, rows: IntArray, there: dict[int, bool]
) -> tuple[IntArray, IntArray, BoolArray]:
    """Those of the rows who are there, their ids, and which of them objected."""
    ids = sorting.people.ids[rows]
    inside = np.array([pk in there for pk in ids.tolist()], bool)
    rows, ids = rows[inside], ids[inside]
    return rows, ids, np.array([there[pk] for pk in ids.tolist()], bool)


def write_profiles(sorting: Sorting, rows: IntArray, there: dict[int, bool]) -> None:
    """The profiles of those of these rows who are there; from lock_customers().

    Nothing is kept of those of whom no text was read, or who objected.
    """
    rows, ids, objected = _who_is_there(sorting, rows, there)
    profiles = sorting.profiles
    silent = objected | (profiles.sums.texts[rows] == 0)
    EmotionProfile.objects.filter(customer__in=ids[silent].tolist()).delete()
    rows = rows[~silent]
    composition = profiles.composition[rows]
    strongest = (composition / sorting.usual).argmax(axis=1).tolist()
    age = np.rint(sorting.youngest[rows] * MICROSECONDS_A_DAY).astype("m8[us]")
    write_rows(
        EmotionProfile,
        {
            "customer": ids[~silent],
            "as_of": np.full(len(rows), instant(sorting.at)),
            "state": pack_sums(profiles.sums, rows),
            "texts": profiles.sums.texts[rows].astype(np.int64),
            "last_text_at": instant(sorting.at) - age,
            "evidence": profiles.sums.weight[rows],
            "valence": profiles.valence[rows],
            "composition": pack_rows(composition, FAMILY_PACKED),
            "negativity": profiles.negativity[rows],
            "dominant_family": [FAMILIES[family] for family in strongest],
        },
        instead_of=["customer"],
    )
