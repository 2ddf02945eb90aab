"""Places and profiles become rows: of everybody at a fit, of a few when news is folded.

Whoever writes them has locked the customers: an objection comes before and is heeded,
or after and deletes what was written.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db.models.functions import Coalesce

from customers.models import Customer
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
    ROWS_AT_ONCE,
    SECONDS_A_DAY,
    People,
    pack_sums,
)
from segmentation.models import EmotionProfile, Membership, Segment, SegmentationRun
from segmentation.places import nowhere
from segmentation.profile.events import Deeds, FloatArray, Texts

_PROFILE_FIELDS = [
    "as_of",
    "state",
    "texts",
    "last_text_at",
    "evidence",
    "valence",
    "composition",
    "negativity",
    "dominant_family",
]


@dataclass(frozen=True, slots=True)
class Before:
    """Where customers stood in the run in use; since: when they came there, or None."""

    standing: Standing
    since: list[datetime | None]


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
    label = np.full(n, -1, np.int64)
    days, ahead = np.zeros(n), np.zeros(n, np.int64)
    moments: list[datetime | None] = [None] * n
    if run is not None:
        index = {key: position for position, key in enumerate(LABELS)}
        places = Membership.objects.filter(run=run)
        if people.few:
            places = places.filter(customer_id__in=people.ids.tolist())
        rows = (
            places.order_by("customer_id")
            # Where the run itself had them: a pin is no reading to hold on to.
            .values_list(
                "customer_id",
                Coalesce("run_segment__key", "segment__key"),
                "since",
                "ahead_in_a_row",
            )
        )
        for customer, key, since, in_a_row in rows.iterator(chunk_size=ROWS_AT_ONCE):
            row = people.row_of(customer)
            if row is None:  # joined since the people were loaded
                continue
            label[row] = index[key]
            days[row] = max(0.0, (at - since).total_seconds() / SECONDS_A_DAY)
            ahead[row] = in_a_row
            moments[row] = since
    return Before(Standing(label, days, ahead), moments)


def lock_customers(
    customer_ids: Iterable[int], *, skip_locked: bool = False
) -> dict[int, bool]:
    """Those of them who are still there, and whether they objected to profiling.

    Locked to the end of the transaction, in the order of their ids. skip_locked: those
    whom somebody else has locked are left out.
    """
    return {
        pk: objected is not None
        for pk, objected in Customer.objects.filter(pk__in=list(customer_ids))
        .order_by("pk")
        .select_for_update(no_key=True, skip_locked=skip_locked)
        .values_list("pk", "profiling_objected_at")
    }


def memberships(
    run: SegmentationRun, sorting: Sorting, rows: Sequence[int], there: dict[int, bool]
) -> list[Membership]:
    """Their places by the run's own reading; there: from lock_customers()."""
    segments = {segment.key: segment for segment in Segment.objects.all()}
    label_ids = [segments[key].pk for key in LABELS]
    found, settled = sorting.found, sorting.settled
    made = []
    for row in rows:
        pk = int(sorting.people.ids[row])
        if pk not in there:
            continue
        if there[pk]:
            unknown = nowhere(segments[LABELS[UNKNOWN_LABEL]], since=sorting.at)
            made.append(Membership(run=run, customer_id=pk, **unknown))
            continue
        label = int(settled.label[row])
        rival = _rival(found, row, label)
        known = label != UNKNOWN_LABEL
        stays = label == sorting.before.standing.label[row]
        made.append(
            Membership(
                run=run,
                customer_id=pk,
                segment_id=label_ids[label],
                probability=_own_probability(found, row, label) if known else 0.0,
                next_best_id=label_ids[rival] if known else None,
                next_probability=float(found.posterior[row, rival]) if known else 0.0,
                evidence=float(sorting.profiles.sums.weight[row]),
                since=(sorting.before.since[row] if stays else None) or sorting.at,
                ahead_in_a_row=int(settled.ahead[row]),
            )
        )
    return made


def _own_probability(found: Assignment, row: int, label: int) -> float:
    """The probability of where a customer is kept, which may not be the best one."""
    named = label < len(LABELS) - 2
    return float(found.posterior[row, label] if named else found.probability[row])


def _rival(found: Assignment, row: int, label: int) -> int:
    """The likeliest of the seven that a customer is not in."""
    first, second = np.argsort(-found.posterior[row], kind="stable")[:2]
    return int(second if first == label else first)


def write_profiles(
    sorting: Sorting, rows: Sequence[int], there: dict[int, bool]
) -> None:
    """Their profiles; there: from lock_customers().

    Nothing is kept of those of whom no text was read, or who objected.
    """
    profiles = sorting.profiles
    strongest = (profiles.composition[rows] / sorting.usual).argmax(axis=1)
    made, silent = [], []
    for row, dominant in zip(rows, strongest, strict=True):
        pk = int(sorting.people.ids[row])
        if pk not in there:
            continue
        if there[pk] or not profiles.sums.texts[row]:
            silent.append(pk)
            continue
        made.append(
            EmotionProfile(
                customer_id=pk,
                as_of=sorting.at,
                state=pack_sums(profiles.sums, row),
                texts=int(profiles.sums.texts[row]),
                last_text_at=sorting.at - timedelta(days=float(sorting.youngest[row])),
                evidence=float(profiles.sums.weight[row]),
                valence=float(profiles.valence[row]),
                composition=profiles.composition[row].astype(FAMILY_PACKED).tobytes(),
                negativity=float(profiles.negativity[row]),
                dominant_family=FAMILIES[int(dominant)],
            )
        )
    EmotionProfile.objects.filter(customer_id__in=silent).delete()
    EmotionProfile.objects.bulk_create(
        made,
        update_conflicts=True,
        unique_fields=["customer"],
        update_fields=_PROFILE_FIELDS,
    )
