"""Why a customer is where they are: the log-odds of a segment, split by what they said.

Contribution of a text: temper w 2^(-age / H) (e_s - ln sum_s' p_s' exp e_s'); of a deed
the same with its own evidence. They add up to the log-odds against the base mix.
Source: method.md 2.5; docs/method.md, "Why".
"""

from dataclasses import dataclass

import numpy as np

from segmentation.clustering.model import SegmentModel, text_evidence
from segmentation.profile.behaviour import deed_weight, log_evidence
from segmentation.profile.decay import SLOW_DAYS, decay
from segmentation.profile.events import Deeds, FloatArray, Texts

FOR_SHOWN, AGAINST_SHOWN = 3, 1


@dataclass(frozen=True, slots=True)
class Contributions:
    """of_texts (n,), of_deeds (m,): parts of total, in the order they came in."""

    of_texts: FloatArray
    of_deeds: FloatArray
    total: float

    def shown(self) -> list[int]:
        """The largest for and against: indices into texts, then (after them) deeds."""
        parts = np.concatenate([self.of_texts, self.of_deeds])
        order = np.argsort(-parts, kind="stable")
        for_it = [int(i) for i in order[:FOR_SHOWN] if parts[i] > 0]
        against = [int(i) for i in order[::-1][:AGAINST_SHOWN] if parts[i] < 0]
        return [*for_it, *against]


def contributions(
    texts: Texts, deeds: Deeds, model: SegmentModel, *, segment: int
) -> Contributions:
    """What each of one customer's texts and deeds says for or against a segment.

    texts, deeds: of one customer only. segment: an index into SEGMENTS.
    """
    evidence, usual = text_evidence(texts.families, texts.source, model)
    weight = texts.weight * decay(texts.age_days, half_life_days=SLOW_DAYS)
    of_texts = model.temper * weight * (evidence[:, segment] - usual)
    of_deeds = (
        model.temper
        * deed_weight(deeds)
        * log_evidence(model.deeds, model.shares)[deeds.code, segment]
    )
    return Contributions(of_texts, of_deeds, float(of_texts.sum() + of_deeds.sum()))
