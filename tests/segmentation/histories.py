"""Real histories as arrays, read by the shipped classifier: no database.

`customer_id, occurred_at, kind` and, where there are, `rating, subject, text`, as in
the project's public data; a text that is not read is left out.
"""

import csv
import gzip
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from segmentation.emotion.reading import TextToRead, read_texts
from segmentation.profile.behaviour import DEED_CODE, habit_deeds, rating_deed
from segmentation.profile.events import SOURCE_WEIGHT, SOURCES, Deeds, Texts
from segmentation.profile.habits import ENGAGED, WINDOW_DAYS, Habits, cut_thirds
from segmentation.profile.weights import cap_by_day

_SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class History:
    """customers: how many. texts and deeds by customer, oldest first.

    text_day, deed_day: days since 1970, UTC; text_weight: not capped by day.
    """

    customers: int
    text_customer: np.ndarray
    text_day: np.ndarray
    text_source: np.ndarray
    text_weight: np.ndarray
    families: np.ndarray
    valence: np.ndarray
    deed_customer: np.ndarray
    deed_day: np.ndarray
    deed_code: np.ndarray
    # Clicks, replies, visits and orders; and when each customer was first heard of.
    engaged_customer: np.ndarray
    engaged_day: np.ndarray
    first_day: np.ndarray

    @property
    def last_day(self) -> float:
        return float(max(self.text_day.max(), self.deed_day.max(initial=0.0)))

    def until(
        self, day: float, customers: np.ndarray | None = None
    ) -> tuple[Texts, Deeds]:
        """What was there on that day, of all customers or of these, renumbered."""
        row = np.full(self.customers, -1)
        chosen = np.arange(self.customers) if customers is None else customers
        row[chosen] = np.arange(len(chosen))
        kept = (self.text_day <= day) & (row[self.text_customer] >= 0)
        who = row[self.text_customer[kept]]
        texts = Texts(
            n_customers=len(chosen),
            customer=who,
            age_days=day - self.text_day[kept],
            source=self.text_source[kept],
            weight=cap_by_day(
                who,
                np.floor(self.text_day[kept]).astype(np.int64),
                self.text_weight[kept],
            ),
            families=self.families[kept],
            valence=self.valence[kept],
        )
        done = (self.deed_day <= day) & (row[self.deed_customer] >= 0)
        deeds = Deeds(
            row[self.deed_customer[done]],
            day - self.deed_day[done],
            self.deed_code[done],
        )
        habits = self._habits(day, row)
        thirds = cut_thirds(habits)
        return texts, deeds.and_also(habit_deeds(habits, thirds)) if thirds else deeds

    def _habits(self, day: float, row: np.ndarray) -> Habits:
        """Of these rows, -1 of whoever is not meant."""
        lately = (self.engaged_day <= day) & (self.engaged_day > day - WINDOW_DAYS)
        lately &= row[self.engaged_customer] >= 0
        chosen = np.flatnonzero(row >= 0)
        times = np.bincount(
            row[self.engaged_customer[lately]], minlength=len(chosen)
        ).astype(float)
        known = np.zeros(len(chosen))
        known[row[chosen]] = np.clip(day - self.first_day[chosen], 0.0, WINDOW_DAYS)
        return Habits(times, known)


def read_history(path: Path) -> History:
    """Every row of a history file; about a minute for 15,000 texts."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: (row["customer_id"], row["occurred_at"]))
    names, number = np.unique([row["customer_id"] for row in rows], return_inverse=True)
    days = np.array([_day(row["occurred_at"]) for row in rows])
    readings = read_texts(
        [
            TextToRead(row.get("text", ""), row.get("subject", ""), _rating(row))
            for row in rows
        ]
    )
    read = np.array([reading.families is not None for reading in readings])
    told = [reading for reading in readings if reading.families is not None]
    source = np.array([SOURCES.index(row["kind"]) for row in rows])[read]
    codes = np.array([_deed(row) for row in rows])
    done = codes >= 0
    engaged = np.isin([row["kind"] for row in rows], ENGAGED)
    first = np.full(len(names), np.inf)
    np.minimum.at(first, number, days)
    return History(
        customers=len(names),
        text_customer=number[read],
        text_day=days[read],
        text_source=source,
        text_weight=np.array(
            [
                reading.weight * SOURCE_WEIGHT[SOURCES[kind]]
                for reading, kind in zip(told, source, strict=True)
            ]
        ),
        families=np.array([reading.families for reading in told]),
        valence=np.array([reading.valence for reading in told]),
        deed_customer=number[done],
        deed_day=days[done],
        deed_code=codes[done],
        engaged_customer=number[engaged],
        engaged_day=days[engaged],
        first_day=first,
    )


def _day(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() / _SECONDS_A_DAY


def _rating(row: dict[str, str]) -> float | None:
    return float(row["rating"]) if row.get("rating") else None


def _deed(row: dict[str, str]) -> int:
    """As deeds.load_deeds: a rating says more than the return it came with."""
    rating = _rating(row)
    if rating is not None:
        return DEED_CODE[rating_deed(rating)]
    return DEED_CODE["return"] if row["kind"] == "return" else -1
