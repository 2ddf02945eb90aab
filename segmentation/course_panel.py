"""The customer's page: how the profile went over time, as pictures and tables."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.http import HttpRequest
from django.utils import timezone

from customers.models import Customer
from segmentation.clustering.model import OtherFormat, SegmentModel
from segmentation.emotion.families import FAMILIES
from segmentation.frames import SECONDS_A_DAY, load_people, load_texts
from segmentation.pictures import area, line, spread_labels, stacked_bands
from segmentation.places import published_run
from segmentation.profile.course import Course, course_of, moments_until, trend_of
from segmentation.profile.events import Texts
from segmentation.profile.shrinkage import (
    composition,
    credibility,
    effective_texts,
    mean_valence,
    negativity,
)

# Per cent of the picture's height between two labels at its right end.
LABEL_DISTANCE = 6.5
# More marks than this hide each other.
MARKS_SHOWN = 40
# With more than these they are drawn smaller.
MARKS_LARGE = 12


@dataclass(frozen=True, slots=True)
class Moment:
    """A row of the tables. shares: the nine families' parts of the profile."""

    at: datetime
    evidence: float
    fresh: float
    own_share: float
    lasting: float
    lately: float
    negativity: float
    shares: tuple[float, ...]

    @property
    def known(self) -> bool:
        """There was a text by then: else these are everybody's figures."""
        return self.evidence > 0

    def by_family(self) -> list[tuple[str, float]]:
        return list(zip(FAMILIES, self.shares, strict=True))


@dataclass(frozen=True, slots=True)
class Mark:
    """One text in the picture of the clocks: its family, and where, in per cent."""

    family: str
    left: float
    top: float


def course_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """Composition, both clocks and evidence from the first text until now.

    Computed from the readings as they stand, with the run in use: one measure for all
    moments. Nothing without a run or a text, or of who objected; or while the run in
    use is of another version of the programme.
    """
    run, at = published_run(), timezone.now()
    if run is None:
        return None
    texts = load_texts(load_people([customer.pk]), at=at)
    if not len(texts):
        return None
    try:
        model = SegmentModel.from_json(run.model)
    except OtherFormat:
        return None
    oldest = timedelta(days=float(texts.age_days.max()))
    moments = moments_until(at, first=at - oldest)
    ages = np.array([(at - one).total_seconds() / SECONDS_A_DAY for one in moments])
    course = course_of(texts, ages)
    rows = _rows(course, moments, model)
    across = (100 * (1 - ages / ages[0])).tolist()
    usual = np.array(run.quality.get("composition", model.mix), np.float64)
    return {
        "moments": rows,
        "now": rows[-1],
        "since": at - oldest,
        "middle": moments[0] + (at - moments[0]) / 2,
        "texts": len(texts),
        "families": FAMILIES,
        "stands_out": FAMILIES[int((np.array(rows[-1].shares) / usual).argmax())],
        "bands": _bands(rows, across),
        "clocks": _clocks(rows, across),
        "marks": _marks(texts, ages[0]),
        "many": len(texts) > MARKS_LARGE,
        "marks_left_out": max(0, len(texts) - MARKS_SHOWN),
        "trend": trend_of(texts),
        "equal_texts": float(effective_texts(course.sums)[-1]),
        "peak": float(course.sums.peak[-1]),
    }


def _rows(
    course: Course, moments: list[datetime], model: SegmentModel
) -> tuple[Moment, ...]:
    sums = course.sums
    shares = composition(sums, model.mix, model.kappa)
    own_share = credibility(sums.weight, model.kappa)
    lasting = mean_valence(sums, model.valence, model.kappa)
    lately = course.state_valence(model.valence)
    unhappy = negativity(sums, model.mix)
    return tuple(
        Moment(
            at,
            evidence=float(sums.weight[k]),
            fresh=float(sums.fast_weight[k]),
            own_share=float(own_share[k]),
            lasting=float(lasting[k]),
            lately=float(lately[k]),
            negativity=float(unhappy[k]),
            shares=tuple(shares[k].tolist()),
        )
        for k, at in enumerate(moments)
    )


def _bands(rows: tuple[Moment, ...], across: list[float]) -> list[dict[str, Any]]:
    bands = stacked_bands([row.shares for row in rows], across=across)
    middles = spread_labels([band.middle for band in bands], least=LABEL_DISTANCE)
    return [
        {"family": family, "path": band.path, "middle": middle, "now": share}
        for family, band, middle, share in zip(
            FAMILIES, bands, middles, rows[-1].shares, strict=True
        )
    ]


def _clocks(rows: tuple[Moment, ...], across: list[float]) -> dict[str, Any]:
    """Paths: pleasant is up; evidence fills its own box, which is as high as most."""
    most = max(row.evidence for row in rows)
    return {
        "lasting": line(across, [_height(row.lasting) for row in rows]),
        "lately": line(across, [_height(row.lately) for row in rows]),
        "evidence": area(across, [100 - 100 * row.evidence / most for row in rows]),
        "fresh": line(across, [100 - 100 * row.fresh / most for row in rows]),
        "most": most,
    }


def _height(valence: float) -> float:
    """Where a valence is, in per cent from the top."""
    return 50 - 50 * min(max(valence, -1.0), 1.0)


def _marks(texts: Texts, oldest: float) -> list[Mark]:
    """The newest texts at their own valence."""
    newest = np.argsort(texts.age_days, kind="stable")[:MARKS_SHOWN]
    return [
        Mark(
            FAMILIES[int(texts.families[one].argmax())],
            100 * (1 - float(texts.age_days[one]) / oldest),
            _height(float(texts.valence[one])),
        )
        for one in newest[::-1].tolist()
    ]
