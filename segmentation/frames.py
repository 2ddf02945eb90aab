"""Rows ↔ arrays and frames; the one file here that knows both the ORM and pandas."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from django.db.models import Q, QuerySet

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
_SOURCE_INDEX = {name: index for index, name in enumerate(SOURCES)}
# The sums of one profile, packed in this order as little-endian float64.
_FLAT = ("weight", "weight_sq", "valence", "valence_sq", "fast_weight", "peak", "texts")
_WIDE = ("families", "fast_families")
PACKED = "<f8"
FAMILY_PACKED = "<f4"


@dataclass(frozen=True, slots=True)
class People:
    """The customers of a table of profiles: row i is ids[i]."""

    ids: IntArray
    objected: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def rows_of(self, customer_ids: IntArray) -> IntArray:
        rows: IntArray = np.searchsorted(self.ids, customer_ids)
        return rows


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
    )


def load_texts(
    people: People, *, at: datetime, of: Collection[int] | None = None
) -> Texts:
    """Every read text up to this moment; of: of these customers only."""
    found = EmotionScore.objects.filter(
        occurred_at__lte=at, customer__profiling_objected_at=None
    ).exclude(families=b"")
    if of is not None:
        found = found.filter(customer_id__in=of)
    rows = found.order_by("customer_id", "occurred_at", "pk").values_list(
        "customer_id", "occurred_at", "kind", "weight", "families", "valence"
    )
    who, ages, sources, weights, valences = [], [], [], [], []
    packed = bytearray()
    for customer, moment, kind, weight, families, valence in rows.iterator(
        chunk_size=ROWS_AT_ONCE
    ):
        who.append(customer)
        ages.append((at - moment).total_seconds() / SECONDS_A_DAY)
        sources.append(_SOURCE_INDEX[kind])
        weights.append(weight)
        valences.append(valence)
        packed += families
    customer_rows = people.rows_of(np.array(who, np.int64))
    age = np.array(ages, np.float64)
    return Texts(
        n_customers=len(people.ids),
        customer=customer_rows,
        age_days=age,
        source=np.array(sources, np.int64),
        weight=cap_by_day(
            customer_rows, np.floor(age).astype(np.int64), np.array(weights, np.float64)
        ),
        families=np.frombuffer(bytes(packed), FAMILY_PACKED)
        .reshape(-1, N_FAMILIES)
        .astype(np.float64),
        valence=np.array(valences, np.float64),
    )


def deed_rows(
    *, at: datetime, of: Collection[int] | None = None
) -> QuerySet[Interaction, tuple[int, int, datetime, str, float | None]]:
    """Ratings and returns up to this moment, of customers who may be profiled."""
    found = Interaction.objects.filter(
        Q(rating__isnull=False) | Q(kind=Interaction.Kind.RETURN),
        occurred_at__lte=at,
        customer__profiling_objected_at=None,
    )
    if of is not None:
        found = found.filter(customer_id__in=of)
    return found.order_by("customer_id", "occurred_at", "pk").values_list(
        "pk", "customer_id", "occurred_at", "kind", "rating"
    )


def load_deeds(
    people: People, *, at: datetime, of: Collection[int] | None = None
) -> Deeds:
    """Ratings and returns as arrays, in the order of deed_rows()."""
    who, ages, codes = [], [], []
    for _, customer, moment, kind, rating in deed_rows(at=at, of=of).iterator(
        chunk_size=ROWS_AT_ONCE
    ):
        who.append(customer)
        ages.append((at - moment).total_seconds() / SECONDS_A_DAY)
        codes.append(deed_code(kind, rating))
    return Deeds(
        people.rows_of(np.array(who, np.int64)),
        np.array(ages, np.float64),
        np.array(codes, np.int64),
    )


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
