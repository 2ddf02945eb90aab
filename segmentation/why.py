"""Why a customer is in a segment: what each text and deed adds, with its sentence."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.explanation import contributions
from segmentation.clustering.model import SegmentModel
from segmentation.deeds import load_deeds, tell_deeds
from segmentation.frames import People, load_people, load_texts
from segmentation.models import EmotionScore, Membership
from segmentation.profile.baseline import likelihoods
from segmentation.profile.behaviour import DEED_CODE
from segmentation.profile.decay import SLOW_DAYS, decay
from segmentation.profile.events import SOURCES, FloatArray, Texts
from segmentation.profile.shrinkage import credibility
from segmentation.showing import strongest_family

_SELDOM = DEED_CODE["low engagement"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One text or deed: its part of the log-odds in nats, its words, its family."""

    part: float
    words: str
    kind: str
    occurred_at: datetime
    family: str
    # Place on the waterfall, in per cent of its width.
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reasons shown, what all others add, and the total they make.

    indifferent: texts to the point, and hardly ever seen. Neither tells it alone:
    method.md 1.6.
    """

    reasons: tuple[Reason, ...]
    others: float
    total: float
    own_share: float
    texts: int
    indifferent: bool


def explain(membership: Membership) -> Explanation | None:
    """Split the log-odds of a customer's segment; None where there is nothing to split.

    Recomputed from the stored readings and the run's model, as of its cut-off or of the
    moment that news was folded in for. Raises OtherFormat for a run of another version.
    """
    # Of whom a person has placed: why the run has them where it does.
    read_as = membership.run_segment or membership.segment
    if read_as.key not in SEGMENTS:
        return None
    model = SegmentModel.from_json(membership.run.model)
    at = membership.folded_at or membership.run.cut_off
    people = load_people([membership.customer_id])
    texts = load_texts(people, at=at)
    deeds = load_deeds(people, at=at, terms=model.terms)
    if not len(texts) and not len(deeds.code):
        return None
    segment = SEGMENTS.index(read_as.key)
    found = contributions(texts, deeds, model, segment=segment)
    parts = np.concatenate([found.of_texts, found.of_deeds])
    shown = found.shown()
    labels = _labels(people, at, model, segment, parts)
    span = max(float(np.abs(parts[shown]).sum()), abs(found.total), 1e-9)
    reasons, reached = [], 0.0
    for index in shown:
        words, kind, moment, family = labels[index]
        part = float(parts[index])
        start = min(reached, reached + part)
        reasons.append(
            Reason(
                part,
                words,
                kind,
                moment,
                family,
                max(0.0, 100 * start / span),
                100 * abs(part) / span,
            )
        )
        reached += part
    return Explanation(
        tuple(reasons),
        found.total - reached,
        found.total,
        _own_share(texts, model),
        len(texts),
        read_as.key == "neutral"
        and float(found.of_texts.sum()) > 0
        and bool((deeds.code == _SELDOM).any()),
    )


def _own_share(texts: Texts, model: SegmentModel) -> float:
    aged = texts.weight * decay(texts.age_days, half_life_days=SLOW_DAYS)
    return float(credibility(aged.sum(keepdims=True), model.kappa)[0])


def _labels(
    people: People,
    at: datetime,
    model: SegmentModel,
    segment: int,
    parts: FloatArray,
) -> list[tuple[str, str, datetime, str]]:
    """Words, kind, time and family of each text, then of each deed."""
    scores = (
        EmotionScore.objects.filter(
            customer_id__in=people.ids.tolist(), occurred_at__lte=at
        )
        .exclude(families=b"")
        .order_by("customer_id", "occurred_at", "pk")
    )
    labels = []
    for score, part in zip(scores, parts, strict=False):
        text, families = _carrying(score, model, segment, speaks_for=part >= 0)
        labels.append(
            (text, score.kind, score.occurred_at, strongest_family(families)[0])
        )
    for deed in tell_deeds(people, at=at, terms=model.terms):
        labels.append((deed.words, deed.kind, deed.moment, ""))
    return labels


def _carrying(
    score: EmotionScore, model: SegmentModel, segment: int, *, speaks_for: bool
) -> tuple[str, list[float]]:
    """The kept sentence that carries most of a text's part, for or against.

    A sentence carries its share of the text times what it has more of the segment than
    of everybody's mix.
    """
    shares = np.array([sentence[2] for sentence in score.sentences])
    families = np.array([sentence[1] for sentence in score.sentences])
    source = np.full(len(families), SOURCES.index(score.kind))
    density = likelihoods(families, source, model.baselines) @ model.anchors.T
    carried = shares * (density[:, segment] - density @ model.shares)
    most = int(carried.argmax() if speaks_for else carried.argmin())
    text, its_families, *_ = score.sentences[most]
    return text, its_families
