"""What moved in customers' texts and between segments: kept with a run, read by a page.

Texts are counted while they are in memory for the fit; the page judges what was kept,
so that its cost does not grow with the shop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.drift import (
    ALARM_FROM,
    COUNTED_NEEDED,
    Drift,
    PartMoved,
    Verdict,
    judge,
    largest_parts,
    moved_since,
)
from segmentation.models import SegmentationRun
from segmentation.profile.events import SOURCES, FloatArray, Texts

# Steps shown, and how far back before them counts as usual.
STEPS: Final = 8
USUAL_DAYS: Final = 364
WEEK, MONTH = 7, 28
RUNS_WEEKS: Final = 12
# A kind of text whose share moved by so much may explain the rest.
KIND_MOVED: Final = 0.10
PARTS_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One week (or month, or run) against what is usual."""

    starts: datetime
    ends: datetime
    counts: FloatArray
    drift: Drift
    run: int | None = None

    @property
    def counted(self) -> int:
        return round(float(self.counts.sum()))


@dataclass(frozen=True, slots=True)
class Watched:
    """A row of steps, oldest first, each judged against the same usual counts."""

    usual: FloatArray
    usual_from: datetime
    steps: tuple[Step, ...]
    # Kinds of text that became more or less common: (kind, share then, share now).
    kinds: tuple[tuple[str, float, float], ...] = ()

    @property
    def latest(self) -> Step | None:
        """The newest step that can be judged."""
        known = [one for one in self.steps if one.drift.verdict != Verdict.TOO_FEW]
        return known[-1] if known else None

    @property
    def since(self) -> Step | None:
        """Where the movement began that has lasted until now."""
        first = moved_since([step.drift for step in self.steps])
        return None if first is None else self.steps[first]

    @property
    def coarse(self) -> bool:
        """So little was counted that only a large shift could be told from chance."""
        return self.latest is not None and self.latest.drift.warning >= ALARM_FROM

    @property
    def alarming(self) -> bool:
        return self.latest is not None and self.latest.drift.verdict == Verdict.ALARM

    @property
    def parts(self) -> list[PartMoved]:
        """What moved most in the newest step that can be judged."""
        if self.latest is None:
            return []
        return largest_parts(self.usual, self.latest.counts, at_most=PARTS_NAMED)

    def rows(self, names: Sequence[str]) -> list[tuple[str, float, float, float]]:
        """Each part: its name, share then, share now, the difference."""
        if self.latest is None:
            return []
        then = self.usual / self.usual.sum()
        now = self.latest.counts / self.latest.counts.sum()
        return [
            (name, float(p), float(q), float(q - p))
            for name, p, q in zip(names, then, now, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class DriftFound:
    """families: texts by week or month; segments: published runs; None: not known."""

    step_days: int
    families: Watched
    segments: Watched | None

    @property
    def moved(self) -> bool:
        return self.families.since is not None or (
            self.segments is not None and self.segments.since is not None
        )


def observed(texts: Texts, sizes: Sequence[int], *, at: datetime) -> dict[str, Any]:
    """What a run keeps: numbers only, whatever the number of texts.

    sizes: of the seven segments, as the run itself has them.
    """
    days = WEEK if _many(texts) else MONTH
    newest = (texts.age_days // days).astype(np.int64)
    usual = (texts.age_days >= STEPS * days) & (
        texts.age_days < STEPS * days + USUAL_DAYS
    )
    oldest = float(texts.age_days[usual].max()) if usual.any() else STEPS * days
    return {
        "at": at.isoformat(),
        "sizes": [int(size) for size in sizes],
        "step_days": days,
        "usual_from": (at - timedelta(days=oldest)).isoformat(),
        "usual": _counted(texts, usual),
        # Oldest first.
        "steps": [_counted(texts, newest == age) for age in range(STEPS - 1, -1, -1)],
        "runs": _published(at=at),
    }


def _many(texts: Texts) -> bool:
    """Enough texts a week to judge every week."""
    recent = int((texts.age_days < STEPS * WEEK).sum())
    return recent >= STEPS * COUNTED_NEEDED


def _counted(texts: Texts, inside: Any) -> dict[str, Any]:
    """Texts by family, a mixed one in parts, and by kind."""
    families = texts.families[inside].sum(axis=0)
    kinds = np.bincount(texts.source[inside], minlength=len(SOURCES))
    return {
        "families": [round(float(count), 3) for count in families],
        "kinds": {
            kind: int(count)
            for kind, count in zip(SOURCES, kinds, strict=True)
            if count
        },
    }


def _published(*, at: datetime) -> list[dict[str, Any]]:
    """The last run of each week that came into use, oldest first."""
    found = SegmentationRun.objects.filter(
        published_at__isnull=False,
        cut_off__gte=at - timedelta(weeks=RUNS_WEEKS),
        cut_off__lt=at,
    )
    last: dict[int, int] = {}
    for pk, cut_off in found.order_by("cut_off").values_list("pk", "cut_off"):
        last[(at - cut_off) // timedelta(weeks=1)] = pk
    runs = SegmentationRun.objects.filter(pk__in=last.values()).order_by("cut_off")
    return [
        {"run": run.pk, "at": run.cut_off.isoformat(), "sizes": _own_sizes(run.quality)}
        for run in runs.only("pk", "cut_off", "quality")
    ]


def _own_sizes(quality: dict[str, Any]) -> list[int]:
    """Sizes without those placed by hand, where they were written down."""
    kept: list[int] | None = quality.get("drift", {}).get("sizes")
    sizes = quality.get("sizes", {})
    return kept or [int(sizes.get(key, 0)) for key in SEGMENTS]


def drift_of(run: SegmentationRun) -> DriftFound | None:
    """What a run kept, judged; None for one that kept nothing."""
    kept = run.quality.get("drift")
    if not kept:
        return None
    at, days = datetime.fromisoformat(kept["at"]), int(kept["step_days"])
    return DriftFound(
        step_days=days,
        families=_families(kept, at=at, days=days),
        segments=_segments(kept, run, at=at),
    )


def _families(kept: dict[str, Any], *, at: datetime, days: int) -> Watched:
    usual = np.array(kept["usual"]["families"], np.float64)
    steps = []
    for age, step in zip(range(STEPS, 0, -1), kept["steps"], strict=True):
        counts = np.array(step["families"], np.float64)
        starts = at - timedelta(days=age * days)
        steps.append(
            Step(starts, starts + timedelta(days=days), counts, judge(usual, counts))
        )
    found = Watched(usual, datetime.fromisoformat(kept["usual_from"]), tuple(steps))
    if found.latest is None:
        return found
    newest = kept["steps"][found.steps.index(found.latest)]["kinds"]
    kinds = _kinds_moved(kept["usual"]["kinds"], newest)
    return Watched(found.usual, found.usual_from, found.steps, kinds)


def _kinds_moved(
    then: dict[str, int], now: dict[str, int]
) -> tuple[tuple[str, float, float], ...]:
    n_then, n_now = sum(then.values()) or 1, sum(now.values()) or 1
    shares = [
        (kind, then.get(kind, 0) / n_then, now.get(kind, 0) / n_now) for kind in SOURCES
    ]
    return tuple(one for one in shares if abs(one[2] - one[1]) >= KIND_MOVED)


def _segments(
    kept: dict[str, Any], run: SegmentationRun, *, at: datetime
) -> Watched | None:
    points = [
        *kept["runs"],
        {"run": run.pk, "at": kept["at"], "sizes": kept["sizes"]},
    ]
    if len(points) < 2:
        return None
    moments = [datetime.fromisoformat(point["at"]) for point in points]
    sizes = [np.array(point["sizes"], np.float64) for point in points]
    return Watched(
        usual=sizes[0],
        usual_from=moments[0],
        steps=tuple(
            Step(before, moment, size, judge(sizes[0], size), int(point["run"]))
            for before, moment, size, point in zip(
                moments, moments[1:], sizes[1:], points[1:], strict=False
            )
        ),
    )
