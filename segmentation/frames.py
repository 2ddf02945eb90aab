"""Rows ↔ arrays and frames; the one file here that knows both the ORM and pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from django.db.models import Min, Q, QuerySet

from customers.models import Customer, Interaction
from segmentation.emotion.families import FAMILIES
from segmentation.models import (
    EmotionProfile,
    EmotionScore,
    Membership,
    SegmentationRun,
)
from segmentation.profile.behaviour import DEED_CODE, rating_deed
from segmentation.profile.decay import ProfileSums
from segmentation.profile.events import (
    N_FAMILIES,
    SOURCES,
    BoolArray,
    Deeds,
    FloatArray,
    IntArray,
    Texts,
)
from segmentation.profile.weights import cap_by_day

if TYPE_CHECKING:
    import pandas as pd

SECONDS_A_DAY = 86_400.0
ROWS_AT_ONCE = 20_000
_IS_DEED = Q(rating__isnull=False) | Q(kind=Interaction.Kind.RETURN)
_SOURCE_INDEX = {name: index for index, name in enumerate(SOURCES)}
# The sums of one profile, packed in this order as little-endian float64.
_FLAT = ("weight", "weight_sq", "valence", "valence_sq", "fast_weight", "peak", "texts")
_WIDE = ("families", "fast_families")
PACKED = "<f8"
FAMILY_PACKED = "<f4"


@dataclass(frozen=True, slots=True)
class People:
    """The customers of a table of profiles: row i is ids[i]; few: not all there are.

    Texts, deeds and places are loaded for these and no others: who joins or goes while
    they are being loaded changes nothing.
    """

    ids: IntArray
    objected: BoolArray
    few: bool = False

    def rows_of(self, customer_ids: IntArray) -> IntArray:
        """The row of each id; of one that has none any row, see knows()."""
        rows: IntArray = np.searchsorted(self.ids, customer_ids)
        return np.minimum(rows, max(len(self.ids) - 1, 0))

    def knows(self, customer_ids: IntArray) -> BoolArray:
        """Which of these ids have a row."""
        known: BoolArray = np.isin(customer_ids, self.ids)
        return known

    def row_of(self, customer_id: int) -> int | None:
        """The row of one id, if it has one."""
        row = int(np.searchsorted(self.ids, customer_id))
        return row if row < len(self.ids) and self.ids[row] == customer_id else None


def load_people(customer_ids: Iterable[int] | None = None) -> People:
    """All customers, or these, by id."""
    found = Customer.objects.order_by("pk")
    if customer_ids is not None:
        found = found.filter(pk__in=list(customer_ids))
    rows = list(
        found.values_list("pk", "profiling_objected_at").iterator(
            chunk_size=ROWS_AT_ONCE
        )
    )
    return People(
        np.array([pk for pk, _ in rows], np.int64),
        np.array([moment is not None for _, moment in rows], bool),
        few=customer_ids is not None,
    )


def load_texts(people: People, *, at: datetime) -> Texts:
    """Their texts that were read, up to this moment."""
    found = EmotionScore.objects.filter(
        occurred_at__lte=at, customer__profiling_objected_at=None
    ).exclude(families=b"")
    if people.few:
        found = found.filter(customer_id__in=people.ids.tolist())
    rows = found.order_by("customer_id", "occurred_at", "pk").values_list(
        "customer_id", "occurred_at", "kind", "weight", "families", "valence"
    )
    who, ages, days, sources, weights, valences = [], [], [], [], [], []
    packed = bytearray()
    for customer, moment, kind, weight, families, valence in rows.iterator(
        chunk_size=ROWS_AT_ONCE
    ):
        who.append(customer)
        ages.append((at - moment).total_seconds() / SECONDS_A_DAY)
        days.append(moment.astimezone(UTC).toordinal())
        sources.append(_SOURCE_INDEX[kind])
        weights.append(weight)
        valences.append(valence)
        packed += families
    ids = np.array(who, np.int64)
    there = people.knows(ids)
    customer_rows = people.rows_of(ids[there])
    mixes = np.frombuffer(bytes(packed), FAMILY_PACKED).reshape(-1, N_FAMILIES)
    return Texts(
        n_customers=len(people.ids),
        customer=customer_rows,
        age_days=np.array(ages, np.float64)[there],
        source=np.array(sources, np.int64)[there],
        weight=cap_by_day(
            customer_rows,
            np.array(days, np.int64)[there],
            np.array(weights, np.float64)[there],
        ),
        families=mixes[there].astype(np.float64),
        valence=np.array(valences, np.float64)[there],
    )


def deed_rows(
    people: People, *, at: datetime
) -> QuerySet[Interaction, tuple[int, int, datetime, str, float | None]]:
    """Their ratings and returns up to this moment, if they may be profiled."""
    found = Interaction.objects.filter(
        _IS_DEED,
        occurred_at__lte=at,
        customer__profiling_objected_at=None,
    )
    if people.few:
        found = found.filter(customer_id__in=people.ids.tolist())
    return found.order_by("customer_id", "occurred_at", "pk").values_list(
        "pk", "customer_id", "occurred_at", "kind", "rating"
    )


def load_deeds(people: People, *, at: datetime) -> Deeds:
    """Ratings and returns as arrays, in the order of deed_rows()."""
    who, ages, codes = [], [], []
    for _, customer, moment, kind, rating in deed_rows(people, at=at).iterator(
        chunk_size=ROWS_AT_ONCE
    ):
        who.append(customer)
        ages.append((at - moment).total_seconds() / SECONDS_A_DAY)
        codes.append(deed_code(kind, rating))
    ids = np.array(who, np.int64)
    there = people.knows(ids)
    return Deeds(
        people.rows_of(ids[there]),
        np.array(ages, np.float64)[there],
        np.array(codes, np.int64)[there],
    )


def next_moments(people: People, *, at: datetime) -> dict[int, datetime]:
    """When the first of their texts and deeds after this moment happens, by customer.

    Clocks differ: what is recorded may lie a day ahead.
    """
    texts = EmotionScore.objects.exclude(families=b"")
    deeds = Interaction.objects.filter(_IS_DEED)
    found: dict[int, datetime] = {}
    for rows in (texts, deeds):
        later = rows.filter(occurred_at__gt=at, customer__profiling_objected_at=None)
        if people.few:
            later = later.filter(customer_id__in=people.ids.tolist())
        for pk, first in (
            later.order_by()
            .values_list("customer_id")
            .annotate(Min("occurred_at"))
            .iterator(chunk_size=ROWS_AT_ONCE)
        ):
            found[pk] = min(first, found.get(pk, first))
    return found


def deed_code(kind: str, rating: float | None) -> int:
    """A rating says more than the return it came with."""
    return DEED_CODE["return" if rating is None else rating_deed(rating)]


def pack_sums(sums: ProfileSums, row: int) -> bytes:
    """One customer's sums as bytes."""
    flat = [float(getattr(sums, name)[row]) for name in _FLAT]
    wide = [getattr(sums, name)[row] for name in _WIDE]
    return np.concatenate([flat, *wide]).astype(PACKED).tobytes()


def unpack_sums(states: Sequence[bytes]) -> ProfileSums:
    """Sums of several customers, a row each, from pack_sums()."""
    table = np.frombuffer(b"".join(bytes(state) for state in states), PACKED)
    table = table.reshape(len(states), len(_FLAT) + len(_WIDE) * N_FAMILIES)
    columns: dict[str, FloatArray] = {
        name: table[:, index].copy() for index, name in enumerate(_FLAT)
    }
    for index, name in enumerate(_WIDE):
        start = len(_FLAT) + index * N_FAMILIES
        columns[name] = table[:, start : start + N_FAMILIES].copy()
    return ProfileSums(**columns)


def families_of(packed: bytes | memoryview) -> FloatArray:
    """Nine shares from a score's or profile's bytes; zeros when not read."""
    if not packed:
        return np.zeros(N_FAMILIES)
    return np.frombuffer(bytes(packed), FAMILY_PACKED).astype(np.float64)


def members_frame(run: SegmentationRun) -> pd.DataFrame:
    """Who is in which segment of a run, one row a customer, for export and analysis."""
    import pandas as pd

    rows = (
        Membership.objects.filter(run=run)
        .order_by("customer_id")
        .values_list(
            "customer__external_id",
            "customer__email",
            "segment__key",
            "segment__name",
            "probability",
            "next_best__key",
            "evidence",
        )
    )
    return pd.DataFrame.from_records(
        list(rows),
        columns=[
            "customer_id",
            "email",
            "segment",
            "segment_name",
            "probability",
            "next_best",
            "evidence",
        ],
    )


def profiles_frame(customer_ids: Iterable[int] | None = None) -> pd.DataFrame:
    """The emotional composition of customers, one row each, a column a family."""
    import pandas as pd

    profiles = EmotionProfile.objects.exclude(composition=b"").order_by("customer_id")
    if customer_ids is not None:
        profiles = profiles.filter(customer_id__in=list(customer_ids))
    rows = list(
        profiles.values_list("customer__external_id", "evidence", "composition")
    )
    frame = pd.DataFrame(
        [families_of(packed) for *_, packed in rows], columns=list(FAMILIES)
    )
    frame.insert(0, "customer_id", [row[0] for row in rows])
    frame.insert(1, "evidence", [row[1] for row in rows])
    return frame
