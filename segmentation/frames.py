"""Rows ↔ arrays and frames; the one file here that knows both the ORM and pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from django.db.models import Case, Model, QuerySet, Value, When
from numpy.typing import NDArray

from customers.models import Customer
from segmentation.bulk_rows import (
    INSTANT,
    Column,
    instant,
    read_columns,
)
from segmentation.emotion.families import FAMILIES
from segmentation.models import (
    EmotionProfile,
    EmotionScore,
    Membership,
    SegmentationRun,
)
from segmentation.profile.decay import ProfileSums
from segmentation.profile.events import (
    N_FAMILIES,
    SOURCES,
    BoolArray,
    FloatArray,
    IntArray,
    Texts,
)
from segmentation.profile.weights import cap_by_day

if TYPE_CHECKING:
    import pandas as pd

Row = TypeVar("Row", bound=Model)

SECONDS_A_DAY = 86_400.0
MICROSECONDS_A_DAY = 86_400e6
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
        if not len(self.ids):
            return np.zeros(len(customer_ids), bool)
        known: BoolArray = self.ids[self.rows_of(customer_ids)] == customer_ids
        return known

    def may_profile(self, customer_ids: IntArray) -> BoolArray:
        """Which of these ids have a row and did not object."""
        allowed = self.knows(customer_ids)
        allowed[allowed] = ~self.objected[self.rows_of(customer_ids[allowed])]
        return allowed

    def only(self, found: QuerySet[Row]) -> QuerySet[Row]:
        """Of rows that happened to customers those of these, where these are few."""
        return found.filter(customer_id__in=self.ids.tolist()) if self.few else found


def load_people(customer_ids: Iterable[int] | None = None) -> People:
    """All customers, or these, by id."""
    found = Customer.objects.annotate(
        objected=Case(When(profiling_objected_at=None, then=Value(0)), default=Value(1))
    )
    if customer_ids is not None:
        found = found.filter(pk__in=list(customer_ids))
    columns = read_columns(found.order_by("pk"), {"pk": "i8", "objected": "?"})
    return People(columns["pk"], columns["objected"], few=customer_ids is not None)


def load_texts(people: People, *, at: datetime) -> Texts:
    """Their texts that were read, up to this moment, by customer and time."""
    found = EmotionScore.objects.filter(occurred_at__lte=at).exclude(families=b"")
    columns = columns_of(
        people,
        found,
        {"kind": "S10", "weight": "f8", "families": "bytes", "valence": "f8"},
    )
    families = unpack_families(columns.pop("families"))
    order = in_order(people, columns)
    who, moment, kind, weight, valence = (
        columns.pop(name)[order]
        for name in ("customer_id", "occurred_at", "kind", "weight", "valence")
    )
    customer = people.rows_of(who)
    return Texts(
        n_customers=len(people.ids),
        customer=customer,
        age_days=days_before(moment, at=at),
        source=_sources(kind),
        weight=cap_by_day(customer, moment.astype("M8[D]").astype(np.int64), weight),
        families=families[order].astype(np.float64),
        valence=valence,
    )


def columns_of(
    people: People, found: QuerySet[Any], names: dict[str, str]
) -> dict[str, Any]:
    """Columns of rows that happened to customers."""
    usual = {"pk": "i8", "customer_id": "i8", "occurred_at": INSTANT}
    return read_columns(people.only(found).order_by(), {**usual, **names})


def in_order(people: People, columns: dict[str, Any]) -> IntArray:
    """Of those who may be profiled, by customer, time and id: sorted here, since
    neither database is as quick at it."""
    pk, who, moment = columns["pk"], columns["customer_id"], columns["occurred_at"]
    inside = np.flatnonzero(people.may_profile(who))
    ranked = np.lexsort((pk[inside], moment[inside], who[inside]))
    order: IntArray = inside[ranked]
    return order


def days_before(moments: Column, *, at: datetime) -> FloatArray:
    """How many days these moments lie before that one, (n,)."""
    before = (instant(at) - moments).astype("m8[us]").astype(np.float64)
    return before / MICROSECONDS_A_DAY


def _sources(kinds: Column) -> IntArray:
    """The index of each text's source. kinds: (n,) names, ASCII."""
    codes = np.full(len(kinds), -1, np.int64)
    for index, name in enumerate(SOURCES):
        codes[kinds == name.encode()] = index
    if (codes < 0).any():
        unheard = kinds[codes < 0][0].decode()
        raise ValueError(f"A text needs a source of {SOURCES}; it has {unheard!r}.")
    return codes


def pack_sums(sums: ProfileSums, rows: IntArray) -> list[bytes]:
    """The sums of these customers as bytes, one each."""
    flat = [getattr(sums, name)[rows, None] for name in _FLAT]
    wide = [getattr(sums, name)[rows] for name in _WIDE]
    return pack_rows(np.concatenate([*flat, *wide], axis=1), PACKED)


def pack_rows(table: FloatArray, kind: str) -> list[bytes]:
    """Each row's numbers as bytes."""
    packed = table.astype(kind).tobytes()
    width = table.shape[1] * np.dtype(kind).itemsize
    return [packed[start : start + width] for start in range(0, len(packed), width)]


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


def unpack_families(packed: bytes) -> NDArray[np.float32]:
    """Nine shares a text, (n, 9), from the bytes of n scores one after the other."""
    shares: NDArray[np.float32] = np.frombuffer(packed, FAMILY_PACKED)
    return shares.reshape(-1, N_FAMILIES)


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
