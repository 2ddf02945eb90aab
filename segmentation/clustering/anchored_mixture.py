"""The segment model: a mixture whose components start at the anchors and stay near.

Each segment s is a family mix A_s. A text with likelihoods lam (families against its
source's everyday mix) is A_s . lam times as likely in s as in everybody. Expectation
maximisation moves the rows, a Dirichlet prior holds them at the anchors, so that a
segment means the same in every shop and at every refit.
Source: method.md 2.2; docs/method.md, "Segments".
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from segmentation.clustering.anchors import LEARN_FROM, SEGMENTS, anchor_matrix
from segmentation.clustering.belief import (
    COLD_STRENGTH,
    SHARE_STRENGTH,
    evidence_of_texts,
    posterior,
)
from segmentation.profile.events import BoolArray, FloatArray, IntArray

TEMPER: Final = 0.8
WARM_STRENGTH: Final = 2000.0
FIT_AT_MOST: Final = 30_000
ROUNDS: Final = 50


class AnchoredMixture(ClusterMixin, BaseEstimator):
    """The anchored mixture as a scikit-learn estimator.

    mix: (9,) everybody's family mix, from which the anchors are made; None takes equal
    shares. start: (7, 9) the rows of an earlier fit, which then hold with strength
    2,000 instead of 100. learn_from: customers below which the anchors stay as they
    are. fit_at_most: customers sampled for the fit.

    fit(X, groups=..., weight=...): X (n, 9) likelihoods of texts; groups (n,) whose
    texts they are, by default one customer a text; weight (n,), by default 1.
    After it: anchors_ (7, 9), shares_ (7,), learned_, n_features_in_, labels_.
    """

    def __init__(
        self,
        mix: FloatArray | None = None,
        start: FloatArray | None = None,
        temper: float = TEMPER,
        rounds: int = ROUNDS,
        learn_from: int = LEARN_FROM,
        fit_at_most: int = FIT_AT_MOST,
        seed: int = 0,
    ) -> None:
        self.mix = mix
        self.start = start
        self.temper = temper
        self.rounds = rounds
        self.learn_from = learn_from
        self.fit_at_most = fit_at_most
        self.seed = seed

    def fit(
        self,
        X: FloatArray,
        y: object = None,
        groups: IntArray | None = None,
        weight: FloatArray | None = None,
    ) -> AnchoredMixture:
        """Move the anchors to where this shop's customers are; y is not used.

        Raises ValueError for likelihoods that are negative or not finite.
        """
        lam, customer, weights = self._checked(X, groups, weight)
        self.n_features_in_ = lam.shape[1]
        anchors = anchor_matrix(
            np.full(lam.shape[1], 1 / lam.shape[1])
            if self.mix is None
            else np.asarray(self.mix, np.float64)
        )
        prior = anchors if self.start is None else np.asarray(self.start, np.float64)
        n_customers = int(customer.max()) + 1 if len(customer) else 0
        self.learned_ = n_customers >= self.learn_from
        self.anchors_ = prior.copy()
        self.shares_ = np.full(len(SEGMENTS), 1 / len(SEGMENTS))
        if n_customers:
            chosen = self._sample(customer, n_customers)
            self._learn(lam[chosen], customer[chosen], weights[chosen], prior)
        self.labels_ = self.predict(lam, groups=customer, weight=weights)
        return self

    def _checked(
        self, X: FloatArray, groups: IntArray | None, weight: FloatArray | None
    ) -> tuple[FloatArray, IntArray, FloatArray]:
        lam = np.asarray(X, np.float64)
        if lam.ndim != 2:
            raise ValueError(f"X needs shape (texts, families); it has {lam.shape}.")
        if not np.isfinite(lam).all() or (lam < 0).any():
            raise ValueError("Likelihoods need to be finite and 0 or more.")
        customer = (
            np.arange(len(lam))
            if groups is None
            else np.unique(groups, return_inverse=True)[1].reshape(-1)
        )
        weights = np.ones(len(lam)) if weight is None else np.asarray(weight, float)
        if not len(customer) == len(weights) == len(lam):
            raise ValueError(
                f"groups and weight need a value for each of {len(lam)} texts."
            )
        return lam, customer.astype(np.int64), weights

    def _sample(self, customer: IntArray, n_customers: int) -> BoolArray:
        if n_customers <= self.fit_at_most:
            return np.ones(len(customer), bool)
        random = np.random.default_rng(self.seed)
        kept = np.zeros(n_customers, bool)
        kept[random.choice(n_customers, self.fit_at_most, replace=False)] = True
        chosen: BoolArray = kept[customer]
        return chosen

    def _learn(
        self,
        lam: FloatArray,
        customer: IntArray,
        weights: FloatArray,
        prior: FloatArray,
    ) -> None:
        _, customer = np.unique(customer, return_inverse=True)
        customer = customer.reshape(-1)
        n = int(customer.max()) + 1
        strength = COLD_STRENGTH if self.start is None else WARM_STRENGTH
        for _ in range(self.rounds):
            density = lam @ self.anchors_.T
            evidence = evidence_of_texts(density, customer, weights, n)
            belief = posterior(evidence, self.shares_, 1.0)
            total = belief.sum(axis=0)
            self.shares_ = (total + SHARE_STRENGTH) / (
                n + SHARE_STRENGTH * len(SEGMENTS)
            )
            if self.learned_:
                pull = (weights[:, None] * belief[customer] / density).T @ lam
                moved = self.anchors_ * pull + strength * prior
                self.anchors_ = moved / moved.sum(axis=1, keepdims=True)

    def evidence(
        self,
        X: FloatArray,
        groups: IntArray | None = None,
        weight: FloatArray | None = None,
    ) -> FloatArray:
        """Log evidence for each segment, one row a customer: (customers, 7)."""
        check_is_fitted(self)
        lam, customer, weights = self._checked(X, groups, weight)
        if lam.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {lam.shape[1]} features, but AnchoredMixture is expecting "
                f"{self.n_features_in_} features as input."
            )
        n = int(customer.max()) + 1 if len(customer) else 0
        return evidence_of_texts(lam @ self.anchors_.T, customer, weights, n)

    def predict_proba(
        self,
        X: FloatArray,
        groups: IntArray | None = None,
        weight: FloatArray | None = None,
    ) -> FloatArray:
        """Probability of each segment, one row a customer."""
        return posterior(self.evidence(X, groups, weight), self.shares_, self.temper)

    def predict(
        self,
        X: FloatArray,
        groups: IntArray | None = None,
        weight: FloatArray | None = None,
    ) -> IntArray:
        """The likeliest segment of each customer, an index into SEGMENTS."""
        best: IntArray = self.predict_proba(X, groups, weight).argmax(axis=1)
        return best

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
