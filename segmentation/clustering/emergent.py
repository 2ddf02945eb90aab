"""A group that no anchor describes: found, measured, and left to a person.

One row more than the anchored mixture has, free of any prior, started where customers
fit worst. It is worth proposing only where the data gain clearly by it, enough
customers are in it, it differs from every anchor and it is found again in samples.
Source: method.md 2.2, step 5; docs/method.md, "Groups that no segment describes".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from segmentation.clustering.anchors import LEARN_FROM, SEGMENTS, anchor_matrix
from segmentation.clustering.belief import (
    COLD_STRENGTH,
    SHARE_STRENGTH,
    evidence_of_texts,
    posterior,
)
from segmentation.clustering.model import PROBABILITY_NEEDED, SegmentModel
from segmentation.emotion.families import FAMILIES
from segmentation.profile.baseline import likelihoods
from segmentation.profile.decay import SLOW_DAYS, decay
from segmentation.profile.events import (
    N_FAMILIES,
    BoolArray,
    FloatArray,
    IntArray,
    Texts,
)
from segmentation.profile.sums import sum_by

TEXTS_NEEDED: Final = 3
WORST_SHARE: Final = 0.10
STARTS: Final = 4
GAIN_NEEDED: Final = 30.0
SHARE_NEEDED: Final = 0.025
PEOPLE_NEEDED: Final = 50
DIVERGENCE_NEEDED: Final = 0.10
STABILITY_NEEDED: Final = 0.6
SAMPLES: Final = 10
BASE_ROUNDS, FIRST_ROUNDS, ROUNDS, SAMPLE_ROUNDS = 40, 15, 60, 25
START_SHARE: Final = 0.05
# Pseudo-texts of everybody's mix in the free row: no family ever has probability 0.
SMOOTHING: Final = 1.0
# Of so many the lines above were measured. Of more, what the model merely gets a little
# wrong would look like a gain as well.
LOOKED_AT: Final = 10_000
# Two finds of one group differ by about 0.01, the nearest anchors by 0.10 and more.
SAME_BELOW: Final = 0.05
# More common among them than this many times everybody's share is worth a word.
LIFT_NAMED: Final = 1.3
READS: Final = {
    "anger": "angry",
    "anxiety": "worried",
    "confusion": "confused",
    "sadness": "sad",
    "excitement": "excited",
    "joy": "joyful",
    "trust": "trusting",
    "curiosity": "curious",
    "neutral": "matter-of-fact",
}


@dataclass(frozen=True, slots=True)
class Group:
    """row (9,): what its words carry; shares (8,): of the seven segments and of it.

    gain: how much the Bayesian information criterion improves; divergence: in nats to
    the nearest anchor; stability: mean Jaccard index over samples with replacement.
    """

    row: FloatArray
    shares: FloatArray
    gain: float
    divergence: float
    stability: float

    @property
    def share(self) -> float:
        return float(self.shares[-1])


def find_group(texts: Texts, model: SegmentModel, *, seed: int) -> Group | None:
    """The group worth proposing, or None.

    texts: of customers who may be profiled; ages play no part, as in the fit itself.
    Looks at 10,000 customers at most.
    """
    data = _Data.of(texts, model, seed=seed)
    if data is None:
        return None
    base = _fit(data, model.anchors, model.shares, rounds=BASE_ROUNDS)
    started = [
        _fit(data, *_with_row(base, row), rounds=FIRST_ROUNDS)
        for row in _starts(data, base, seed=seed)
    ]
    if not started:
        return None
    best = max(started, key=lambda one: one.log_likelihood)
    found = _fit(data, best.rows, best.shares, rounds=ROUNDS)
    row, inside = found.rows[-1], _inside(data, found)
    # Eight free shares of families and the group's size: nine figures more.
    gain = 2 * (found.log_likelihood - base.log_likelihood) - (
        N_FAMILIES * float(np.log(data.n))
    )
    divergence = min(jensen_shannon(row, anchor) for anchor in found.rows[:-1])
    if (
        gain < GAIN_NEEDED
        or found.shares[-1] < SHARE_NEEDED
        or inside.sum() < PEOPLE_NEEDED
        or divergence < DIVERGENCE_NEEDED
    ):
        return None
    stability = _stability(data, found, inside, seed=seed)
    if stability < STABILITY_NEEDED:
        return None
    return Group(row, found.shares, gain, divergence, stability)


def jensen_shannon(one: FloatArray, other: FloatArray) -> float:
    """Jensen-Shannon divergence of two mixes, in nats: 0 for the same, at most ln 2."""
    middle = (one + other) / 2

    def against(mix: FloatArray) -> float:
        some = mix > 0
        return float((mix[some] * np.log(mix[some] / middle[some])).sum())

    return (against(one) + against(other)) / 2


def belonging(
    own: FloatArray, evidence: FloatArray, shares: FloatArray, *, temper: float
) -> tuple[IntArray, FloatArray]:
    """Who is in the group: rows of customers, and the probability of each.

    own: (n,) from group_evidence(); evidence: (n, 7) for the segments; shares: (8,).
    In it is whom the group suits best, clearly enough for a name.
    """
    belief = posterior(np.column_stack([evidence, own]), shares, temper)
    is_best = belief.argmax(axis=1) == belief.shape[1] - 1
    rows = np.flatnonzero(is_best & (belief[:, -1] >= PROBABILITY_NEEDED))
    return rows, belief[rows, -1]


def group_evidence(texts: Texts, model: SegmentModel, row: FloatArray) -> FloatArray:
    """What each customer's texts say for a group's row: log evidence, (n_customers,).

    Decayed as in a profile, so that it stands beside the evidence for the segments.
    """
    density = likelihoods(texts.families, texts.source, model.baselines) @ row
    weight = texts.weight * decay(texts.age_days, half_life_days=SLOW_DAYS)
    return sum_by(texts.customer, weight * np.log(density), texts.n_customers)


def lifted_families(row: FloatArray, mix: FloatArray) -> list[str]:
    """The two families that stand out most against everybody's mix."""
    return [FAMILIES[one] for one in np.argsort(-row / mix, kind="stable")[:2]]


def suggested_name(row: FloatArray, mix: FloatArray) -> str:
    """The two most lifted families in words: "Joyful and angry"."""
    first, second = (READS[family] for family in lifted_families(row, mix))
    return f"{first.capitalize()} and {second}"


@dataclass(frozen=True, slots=True)
class _Data:
    """Texts of n customers: lam (m, 9), customer (m,) below n, weight (m,).

    times: (n,) how often each customer counts.
    """

    lam: FloatArray
    customer: IntArray
    weight: FloatArray
    mix: FloatArray
    times: FloatArray

    @property
    def n(self) -> int:
        return len(self.times)

    @classmethod
    def of(cls, texts: Texts, model: SegmentModel, *, seed: int) -> _Data | None:
        """A sample of those who wrote; None where too few did to learn from."""
        who, customer = np.unique(texts.customer, return_inverse=True)
        if len(who) < LEARN_FROM:
            return None
        lam = likelihoods(texts.families, texts.source, model.baselines)
        weight = texts.weight
        customer = customer.reshape(-1)
        if len(who) > LOOKED_AT:
            random = np.random.default_rng(seed)
            kept = np.zeros(len(who), bool)
            kept[random.choice(len(who), LOOKED_AT, replace=False)] = True
            chosen = kept[customer]
            lam, weight = lam[chosen], weight[chosen]
            customer = np.unique(customer[chosen], return_inverse=True)[1].reshape(-1)
        times = np.ones(int(customer.max()) + 1)
        return cls(lam, customer, weight, model.mix, times)

    def sample(self, random: np.random.Generator) -> _Data:
        """As many customers, drawn with replacement: a customer drawn twice counts
        twice by weight of her whole likelihood, which is what copies of her would do.
        """
        drawn = random.multinomial(self.n, np.full(self.n, 1 / self.n))
        return replace(self, times=drawn.astype(np.float64))


@dataclass(frozen=True, slots=True)
class _Mixture:
    """rows (k, 9), shares (k,): the anchors, and perhaps a free row after them."""

    rows: FloatArray
    shares: FloatArray
    log_likelihood: float


def _with_row(base: _Mixture, row: FloatArray) -> tuple[FloatArray, FloatArray]:
    shares = np.append(base.shares * (1 - START_SHARE), START_SHARE)
    return np.vstack([base.rows, row]), shares


def _fit(data: _Data, rows: FloatArray, shares: FloatArray, *, rounds: int) -> _Mixture:
    """Expectation maximisation as in the anchored mixture; a row more has no anchor."""
    prior = COLD_STRENGTH * anchor_matrix(data.mix)
    if len(rows) > len(SEGMENTS):
        prior = np.vstack([prior, SMOOTHING * data.mix])
    times = data.times
    for _ in range(rounds):
        density, logits = _logits(data, rows, shares)
        belief = np.exp(logits - logits.max(axis=1, keepdims=True))
        belief *= (times / belief.sum(axis=1))[:, None]
        shares = belief.sum(axis=0) + SHARE_STRENGTH
        shares = shares / shares.sum()
        pull = (data.weight[:, None] * belief[data.customer] / density).T @ data.lam
        rows = rows * pull + prior
        rows = rows / rows.sum(axis=1, keepdims=True)
    _, logits = _logits(data, rows, shares)
    per_customer = np.logaddexp.reduce(logits, axis=1)
    return _Mixture(rows, shares, float(times @ per_customer))


def _logits(
    data: _Data, rows: FloatArray, shares: FloatArray
) -> tuple[FloatArray, FloatArray]:
    density = data.lam @ rows.T
    evidence = evidence_of_texts(density, data.customer, data.weight, data.n)
    return density, evidence + np.log(shares)


def _starts(data: _Data, base: _Mixture, *, seed: int) -> list[FloatArray]:
    """Rows to start from: centres of the customers that the segments suit worst."""
    from sklearn.cluster import KMeans

    _, logits = _logits(data, base.rows, base.shares)
    counts = np.bincount(data.customer, minlength=data.n)
    weight = sum_by(data.customer, data.weight, data.n)
    heard = np.flatnonzero((counts >= TEXTS_NEEDED) & (weight > 0))
    if len(heard) * WORST_SHARE < STARTS * TEXTS_NEEDED:
        return []
    fit = np.logaddexp.reduce(logits, axis=1)[heard] / weight[heard]
    worst = heard[np.argsort(fit, kind="stable")[: int(len(heard) * WORST_SHARE)]]
    mixes = data.lam * data.mix
    mixes /= mixes.sum(axis=1, keepdims=True)
    sums = sum_by(data.customer, data.weight[:, None] * mixes, data.n)
    means = sums[worst] / weight[worst, None]
    clusters = KMeans(n_clusters=STARTS, n_init=5, random_state=seed).fit(
        np.sqrt(means)
    )
    centres = np.asarray(clusters.cluster_centers_, np.float64) ** 2
    return [(one + 1e-3) / (one + 1e-3).sum() for one in centres]


def _inside(data: _Data, found: _Mixture) -> BoolArray:
    """(n,) whom the free row suits best."""
    _, logits = _logits(data, found.rows, found.shares)
    inside: BoolArray = logits.argmax(axis=1) == len(found.rows) - 1
    return inside


def _stability(data: _Data, found: _Mixture, inside: BoolArray, *, seed: int) -> float:
    """Mean Jaccard index of the group and of what samples of customers find of it."""
    random = np.random.default_rng(seed)
    indices = []
    for _ in range(SAMPLES):
        again = _fit(
            data.sample(random), found.rows, found.shares, rounds=SAMPLE_ROUNDS
        )
        theirs = _inside(data, again)
        either = int((inside | theirs).sum())
        indices.append(int((inside & theirs).sum()) / either if either else 0.0)
    return float(np.mean(indices))
