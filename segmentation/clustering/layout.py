"""Where customers lie on the map of emotions: two fixed directions, pure.

The directions follow from the families' valence and arousal alone and no fit moves
them, so that a place means the same in every shop and after every refit. Square roots
of shares, since equal distances then are about equally sure.
Source: docs/method.md, "Map".
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from segmentation.emotion.families import AROUSAL, VALENCE
from segmentation.profile.events import BoolArray, FloatArray, IntArray

DOTS: Final = 600
# The frame shows all but so many of a thousand on each side, with a margin.
CUT_PER_SIDE: Final = 0.005
MARGIN: Final = 0.06
# An earlier frame is kept while so many are inside and they fill so much of it.
INSIDE_NEEDED: Final = 0.97
FILLED_NEEDED: Final = 0.6
# Under this many standard deviations from everyone's middle it is as with everyone.
AS_EVERYONE: Final = 0.3
CLEARLY: Final = 0.8


def _axes() -> FloatArray:
    """(2, 9): unpleasant to pleasant; calm to stirred, at right angles to it."""
    pleasant = VALENCE - VALENCE.mean()
    pleasant = pleasant / np.linalg.norm(pleasant)
    stirred = AROUSAL - AROUSAL.mean()
    stirred = stirred - (stirred @ pleasant) * pleasant
    return np.stack([pleasant, stirred / np.linalg.norm(stirred)])


AXES: Final = _axes()


def places(composition: FloatArray) -> FloatArray:
    """Places of customers: (n, 2) from compositions (n, 9), rows of which sum to 1."""
    placed: FloatArray = np.sqrt(composition) @ AXES.T
    return placed


@dataclass(frozen=True, slots=True)
class Region:
    """An ellipse that holds half of a segment's customers, those nearest its middle.

    centre: (2,); spread: (2, 2), its edge where (x - centre)' spread^-1 (x - centre)
    is 1; customers: how many it was made of.
    """

    centre: FloatArray
    spread: FloatArray
    customers: int

    def edge(self, points: int = 48) -> FloatArray:
        """Points of its edge, in order: (points, 2)."""
        angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
        circle = np.stack([np.cos(angle), np.sin(angle)])
        edge: FloatArray = self.centre + (np.linalg.cholesky(self.spread) @ circle).T
        return edge

    def distance(self, where: FloatArray) -> FloatArray:
        """(n,) of (n, 2): 1 on the edge, 0 in the middle."""
        gap = where - self.centre
        squared = np.einsum("ij,jk,ik->i", gap, np.linalg.inv(self.spread), gap)
        distances: FloatArray = np.sqrt(np.maximum(squared, 0.0))
        return distances


def region(where: FloatArray) -> Region:
    """The region of customers at these places: (n, 2), n at least 3."""
    centre = where.mean(axis=0)
    # The ridge keeps customers in one line, or in one place, from having no width.
    covariance = np.cov(where.T) + 1e-8 * np.eye(2)
    half = float(np.median(Region(centre, covariance, len(where)).distance(where)))
    return Region(centre, max(half, 1e-3) ** 2 * covariance, len(where))


def nearest(where: FloatArray, regions: list[Region]) -> IntArray:
    """The region whose middle is nearest to each place, in units of its own size."""
    distances = np.stack([one.distance(where) for one in regions], axis=1)
    found: IntArray = distances.argmin(axis=1)
    return found


@dataclass(frozen=True, slots=True)
class Frame:
    """What the map shows: from left to right, from bottom to top."""

    left: float
    right: float
    bottom: float
    top: float

    def percent(self, x: float, y: float) -> tuple[float, float]:
        """Where a place is in the picture, in per cent from its left and its top."""
        return (
            100 * (x - self.left) / (self.right - self.left),
            100 * (self.top - y) / (self.top - self.bottom),
        )

    def holds(self, where: FloatArray) -> BoolArray:
        inside: BoolArray = (
            (where[:, 0] >= self.left)
            & (where[:, 0] <= self.right)
            & (where[:, 1] >= self.bottom)
            & (where[:, 1] <= self.top)
        )
        return inside


def frame_for(where: FloatArray, *, before: Frame | None = None) -> Frame:
    """The frame for customers at these places, (n, 2): the one before while it fits."""
    low = np.quantile(where, CUT_PER_SIDE, axis=0)
    high = np.quantile(where, 1 - CUT_PER_SIDE, axis=0)
    # Somebody alone has a place, but no extent.
    span = np.maximum(high - low, 1e-3)
    if before is not None:
        room = np.array([before.right - before.left, before.top - before.bottom])
        fits = before.holds(where).mean() >= INSIDE_NEEDED
        if fits and (span / room >= FILLED_NEEDED).all():
            return before
    low, high = low - MARGIN * span, high + MARGIN * span
    return Frame(float(low[0]), float(high[0]), float(low[1]), float(high[1]))


def chosen(ids: IntArray, label: IntArray, *, at_most: int = DOTS) -> IntArray:
    """Rows of customers to draw: as many of each label as its share asks for.

    ids: (n,) customers' ids; label: (n,). The same customers at every refit while
    their label stays, as who is drawn depends on the id alone.
    """
    if len(ids) <= at_most:
        return np.arange(len(ids))
    rank = _scattered(ids)
    labels, counts = np.unique(label, return_counts=True)
    exact = at_most * counts / len(ids)
    quota = np.floor(exact).astype(int)
    # Largest remainders get the places that are left.
    order = np.argsort(-(exact - quota), kind="stable")
    quota[order[: at_most - int(quota.sum())]] += 1
    rows = []
    for one, places_left in zip(labels, quota, strict=True):
        mine = np.flatnonzero(label == one)
        rows.append(mine[np.argsort(rank[mine], kind="stable")[:places_left]])
    return np.sort(np.concatenate(rows))


def _scattered(ids: IntArray) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Numbers that look random and depend on the id alone (the end of SplitMix64)."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scattered: np.ndarray[Any, np.dtype[np.uint64]] = mixed ^ (mixed >> np.uint64(31))
    return scattered


def in_words(gap: FloatArray, spread: FloatArray) -> str:
    """Where a middle lies against everyone's: "clearly unpleasant, a little stirred".

    gap: (2,) its distance from everyone's middle; spread: (2,) standard deviations.
    """
    words = [
        _word(float(value), less, more)
        for value, less, more in zip(
            gap / spread, ("unpleasant", "calm"), ("pleasant", "stirred"), strict=True
        )
    ]
    found = [word for word in words if word]
    return ", ".join(found) if found else "about the same"


def _word(value: float, less: str, more: str) -> str:
    if abs(value) < AS_EVERYONE:
        return ""
    how = "clearly" if abs(value) >= CLEARLY else "a little"
    return f"{how} {more if value > 0 else less}"
