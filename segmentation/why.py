"""Why a customer is in a segment: what each text and deed adds, with its sentence."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from customers.models import Customer
from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.explanation import contributions
from segmentation.clustering.model import SegmentModel
from segmentation.frames import (
    deed_code,
    deed_rows,
    load_deeds,
    load_people,
    load_texts,
)
from segmentation.models import EmotionScore, Membership
from segmentation.profile.behaviour import DEEDS
from segmentation.profile.shrinkage import credibility
from segmentation.showing import strongest_family

_DEED_WORDS = [deed.words for deed in DEEDS.values()]


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
    """The reasons shown, what all others add, and the total they make."""

    reasons: tuple[Reason, ...]
    others: float
    total: float
    own_share: float
    texts: int


def explain(membership: Membership) -> Explanation | None:
    """Split the log-odds of a customer's segment; None where there is nothing to split.

    Recomputed from the stored readings and the run's model, as of its cut-off.
    """
    if membership.segment.key not in SEGMENTS:
        return None
    model = SegmentModel.from_json(membership.run.model)
    at = membership.run.cut_off
    people = load_people([membership.customer_id])
    texts = load_texts(people, at=at, one=membership.customer_id)
    deeds = load_deeds(people, at=at, one=membership.customer_id)
    if not len(texts) and not len(deeds.code):
        return None
    found = contributions(
        texts, deeds, model, segment=SEGMENTS.index(membership.segment.key)
    )
    parts = np.concatenate([found.of_texts, found.of_deeds])
    shown = found.shown()
    labels = _labels(membership.customer, at)
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
        float(credibility(texts.weight.sum(keepdims=True), model.kappa)[0]),
        len(texts),
    )


def _labels(customer: Customer, at: datetime) -> list[tuple[str, str, datetime, str]]:
    """Words, kind, time and family of each text, then of each deed."""
    scores = (
        EmotionScore.objects.filter(customer=customer, occurred_at__lte=at)
        .exclude(families=b"")
        .order_by("customer_id", "occurred_at", "pk")
    )
    labels = []
    for score in scores:
        text, families, *_ = score.sentences[0]
        labels.append(
            (text, score.kind, score.occurred_at, strongest_family(families)[0])
        )
    for _, _, moment, kind, rating in deed_rows(at=at, one=customer.pk):
        labels.append((_DEED_WORDS[deed_code(kind, rating)], kind, moment, ""))
    return labels
