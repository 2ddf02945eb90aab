"""Free clusters beside the anchored segments: why Attune does not let groups be found.

k-means on square roots of compositions, for 2 to 10 clusters: how far apart they are,
whether a sample of customers gives the same ones, whether they are the segments.
Source: method.md 2.1 and 2.4; docs/method.md, "Diagnostics".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from segmentation.clustering.anchors import LEARN_FROM, SEGMENTS
from segmentation.clustering.emergent import suggested_name
from segmentation.clustering.model import (
    MIXED_LABEL,
    SegmentModel,
    assign,
    profile_customers,
)
from segmentation.profile.baseline import likelihoods
from segmentation.profile.events import FloatArray, IntArray, Texts, no_deeds

CUSTOMERS: Final = 5000
TEXTS_NEEDED: Final = 3
CUSTOMERS_NEEDED: Final = 200
CLUSTERS: Final = range(2, 11)
# Of each number of clusters so many fits to samples of this share of customers.
SAMPLES: Final = 5
SAMPLE_SHARE: Final = 0.8
STARTS: Final = 4
# The silhouette compares every two customers: this many are enough.
SILHOUETTE_OF: Final = 2000
# Hellinger distance of two middles, above which a cluster is a new one: method.md 2.4.
SAME_BELOW: Final = 0.15


@dataclass(frozen=True, slots=True)
class Clustering:
    """k clusters, or the segments. silhouette: -1 to 1; stability: mean adjusted Rand
    index of fits to samples with the fit to all; kept: the share of customers whose
    group keeps its name in them; agreement: adjusted Rand index with the segments.
    """

    groups: int
    silhouette: float
    stability: float
    kept: float
    agreement: float


@dataclass(frozen=True, slots=True)
class FreeCluster:
    """One of seven free clusters, beside the segment it is nearest to.

    name: its two most lifted families; distance: Hellinger, 0 to 1; in_segments: how
    many of its customers are in each of the seven and in mixed.
    """

    name: str
    customers: int
    segment: str
    distance: float
    in_segments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    customers: int
    texts: int
    # False: too few to learn from, so their fits to samples differ in shares alone.
    learned: bool
    segments: Clustering
    free: tuple[Clustering, ...]
    clusters: tuple[FreeCluster, ...]

    @property
    def seven(self) -> Clustering:
        """As many free clusters as there are segments."""
        return next(one for one in self.free if one.groups == len(SEGMENTS))

    @property
    def best_apart(self) -> Clustering:
        """The number of clusters a silhouette would choose."""
        return max(self.free, key=lambda one: one.silhouette)

    @property
    def without_a_cluster(self) -> list[str]:
        """Segments that no cluster is nearest to."""
        found = {one.segment for one in self.clusters}
        return [segment for segment in SEGMENTS if segment not in found]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Diagnosis:
        return cls(
            **kept
            | {
                "segments": Clustering(**kept["segments"]),
                "free": tuple(Clustering(**one) for one in kept["free"]),
                "clusters": tuple(
                    FreeCluster(**one | {"in_segments": tuple(one["in_segments"])})
                    for one in kept["clusters"]
                ),
            }
        )


def diagnose(texts: Texts, model: SegmentModel, *, seed: int) -> Diagnosis:
    """Measure free clusters and the segments on the same customers.

    texts: of a sample of customers, all of whom wrote; about 5,000 at most, as the
    cost grows with them. Deeds play no part, since free clusters know none.
    """
    from threadpoolctl import threadpool_limits

    # Hundreds of small fits: threads that wait for each other take longer than one.
    with threadpool_limits(limits=1):
        return _diagnose(texts, model, seed=seed)


def _diagnose(texts: Texts, model: SegmentModel, *, seed: int) -> Diagnosis:
    from sklearn.metrics import adjusted_rand_score

    profiles = profile_customers(texts, no_deeds(), model)
    found = assign(profiles, model)
    roots = np.sqrt(profiles.composition)
    best: IntArray = found.posterior.argmax(axis=1)
    random = np.random.default_rng(seed)
    samples = [
        np.sort(
            random.choice(len(roots), round(SAMPLE_SHARE * len(roots)), replace=False)
        )
        for _ in range(SAMPLES)
    ]
    free, seven = [], None
    for groups in CLUSTERS:
        labels, centres = _k_means(roots, groups, seed=seed)
        refits = [_k_means_elsewhere(roots, rows, groups, seed) for rows in samples]
        free.append(
            Clustering(
                groups,
                _silhouette(roots, labels, seed=seed),
                _mean(adjusted_rand_score(labels, other) for other, _ in refits),
                _mean(kept_share(labels, centres, *refit) for refit in refits),
                float(adjusted_rand_score(best, labels)),
            )
        )
        if groups == len(SEGMENTS):
            seven = labels, centres
    if seven is None:
        raise ValueError(f"CLUSTERS needs {len(SEGMENTS)} among its numbers.")
    label = np.where(found.label < len(SEGMENTS), found.label, MIXED_LABEL)
    return Diagnosis(
        customers=len(roots),
        texts=len(texts),
        learned=len(roots) >= LEARN_FROM,
        segments=_anchored(texts, model, roots, best, samples, seed=seed),
        free=tuple(free),
        clusters=_described(*seven, roots, best, label, model.mix),
    )


def hellinger(one: FloatArray, other: FloatArray) -> FloatArray:
    """Distances of mixes given as square roots: (k, 9), (m, 9) to (k, m), 0 to 1."""
    gap = one[:, None, :] - other[None, :, :]
    distances: FloatArray = np.sqrt((gap**2).sum(axis=2) / 2)
    return distances


def kept_share(
    labels: IntArray, centres: FloatArray, other: IntArray, other_centres: FloatArray
) -> float:
    """The share of customers whose cluster keeps its name in another fit.

    labels, other: (n,); centres, other_centres: (k, 9) square roots. Names go to the
    nearest middles, all pairs together (Hungarian method), unless a middle is so far
    off that it is a new cluster.
    """
    # Here and not above: pages that only read figures need neither it nor scikit-learn.
    from scipy.optimize import linear_sum_assignment

    distances = hellinger(centres, other_centres)
    mine, theirs = linear_sum_assignment(distances)
    name = np.full(len(other_centres), -1)
    close = distances[mine, theirs] < SAME_BELOW
    name[theirs[close]] = mine[close]
    return float((name[other] == labels).mean())


def _k_means(
    roots: FloatArray, groups: int, *, seed: int
) -> tuple[IntArray, FloatArray]:
    from sklearn.cluster import KMeans

    fit = KMeans(groups, n_init=STARTS, random_state=seed).fit(roots)
    return fit.labels_.astype(np.int64), fit.cluster_centers_


def _k_means_elsewhere(
    roots: FloatArray, rows: IntArray, groups: int, seed: int
) -> tuple[IntArray, FloatArray]:
    """Everybody's clusters by a fit to these customers."""
    _, centres = _k_means(roots[rows], groups, seed=seed)
    nearest: IntArray = hellinger(roots, centres).argmin(axis=1)
    return nearest, centres


def _anchored(
    texts: Texts,
    model: SegmentModel,
    roots: FloatArray,
    best: IntArray,
    samples: list[IntArray],
    *,
    seed: int,
) -> Clustering:
    """The same for the segments: fitted from the anchors to all, and to each sample."""
    from sklearn.metrics import adjusted_rand_score

    from segmentation.clustering.anchored_mixture import AnchoredMixture

    lam = likelihoods(texts.families, texts.source, model.baselines)

    def labels_by(inside: Any) -> IntArray:
        fit = AnchoredMixture(mix=model.mix, seed=seed).fit(
            lam[inside], groups=texts.customer[inside], weight=texts.weight[inside]
        )
        return fit.predict(lam, groups=texts.customer, weight=texts.weight)

    everybody = labels_by(np.ones(len(lam), bool))
    refits = [labels_by(np.isin(texts.customer, rows)) for rows in samples]
    return Clustering(
        len(SEGMENTS),
        _silhouette(roots, best, seed=seed),
        _mean(adjusted_rand_score(everybody, other) for other in refits),
        _mean((everybody == other).mean() for other in refits),
        1.0,
    )


def _described(
    labels: IntArray,
    centres: FloatArray,
    roots: FloatArray,
    best: IntArray,
    label: IntArray,
    mix: FloatArray,
) -> tuple[FreeCluster, ...]:
    """The clusters, largest first, beside the segments' own middles."""
    known = [segment for segment in range(len(SEGMENTS)) if (best == segment).any()]
    middles = np.stack([roots[best == segment].mean(axis=0) for segment in known])
    distances = hellinger(centres, middles)
    found = []
    for cluster, centre in enumerate(centres):
        inside = labels == cluster
        row = np.maximum(centre**2, 1e-9)
        nearest = int(distances[cluster].argmin())
        found.append(
            FreeCluster(
                suggested_name(row / row.sum(), mix),
                int(inside.sum()),
                SEGMENTS[known[nearest]],
                float(distances[cluster, nearest]),
                tuple(np.bincount(label[inside], minlength=MIXED_LABEL + 1).tolist()),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.customers))


def _silhouette(roots: FloatArray, labels: IntArray, *, seed: int) -> float:
    """How much nearer customers are to their own group than to the next, -1 to 1."""
    from sklearn.metrics import silhouette_score

    if len(np.unique(labels)) < 2:
        return 0.0
    size = min(SILHOUETTE_OF, len(roots))
    return float(silhouette_score(roots, labels, sample_size=size, random_state=seed))


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
