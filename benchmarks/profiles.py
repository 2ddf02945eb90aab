"""Profiles, segment fit and assignment on invented texts, beside pandas and k-means.

python benchmarks/profiles.py [--customers 200000] [--rounds 3]

The fold and pandas do the same 25 columns from the same arrays, rounds in turn, and
must agree to 1e-9. The fit and k-means are given the same customers, 30,000 at most;
k-means looks at their mean mixes (square roots, where it does best), the fit at every
text for 50 rounds, and the agreement with the true segments (adjusted Rand index) is
what that buys. Rates are per second of this process's CPU.
"""

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measure import Taken, peak_megabytes, say, take

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from large_shop.sums import pandas_sums

from segmentation.clustering.anchored_mixture import FIT_AT_MOST
from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.model import (
    assign,
    fit_model,
    profile_customers,
)
from segmentation.profile.decay import (
    ProfileSums,
    fold,
)
from segmentation.profile.events import (
    N_FAMILIES,
    SOURCE_WEIGHT,
    SOURCES,
    Texts,
    no_deeds,
)
from tests.segmentation.generator import make_customers

SEED = 11
YEAR_DAYS = 365.0
WRITTEN_IN = ("ticket", "review", "survey", "reply", "chat")
AGREE_TO = 1e-9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    texts, truth = _texts(options.customers)
    few, known = _first_customers(texts, FIT_AT_MOST), truth[:FIT_AT_MOST]
    # The first fit imports scikit-learn, which is not what is measured.
    fit_model(_first_customers(few, 100), no_deeds(), seed=SEED)

    model_fit = take(lambda: fit_model(few, no_deeds(), seed=SEED))
    model = model_fit.result
    fit_everybody = take(lambda: fit_model(texts, no_deeds(), seed=SEED))
    profiling = [
        take(lambda: profile_customers(texts, no_deeds(), model))
        for _ in range(options.rounds)
    ]
    profiles = profiling[-1].result
    assigning = [take(lambda: assign(profiles, model)) for _ in range(options.rounds)]
    found = assigning[-1].result.posterior[: few.n_customers].argmax(axis=1)
    peak = peak_megabytes()

    import pandas as pd
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(take(lambda: fold(texts)))
        theirs.append(take(lambda: pandas_sums(pd, texts)))
    _check_same(ours[-1].result, theirs[-1].result)

    # Unshrunk: shrunk ones would be grouped by how much was written. Everybody wrote.
    sums = profiles.sums
    shares = sums.families / sums.weight[:, None]
    points = np.sqrt(shares[: few.n_customers])
    seven = KMeans(n_clusters=len(SEGMENTS), n_init=1, random_state=SEED)
    k_means = take(lambda: seven.fit(points))

    def texts_per_cpu_s(taken: list[Taken]) -> int:
        return round(len(texts) / _cpu(taken))

    say(
        "profiles",
        customers=options.customers,
        texts=len(texts),
        rounds=options.rounds,
        fold_texts_per_cpu_s=texts_per_cpu_s(ours),
        pandas_texts_per_cpu_s=texts_per_cpu_s(theirs),
        fold_ratio=_cpu(theirs) / _cpu(ours),
        target_fold_ratio=1.5,
        fit_customers=few.n_customers,
        fit_s=model_fit.seconds,
        fit_cpu_s=model_fit.cpu_seconds,
        fit_everybody_s=fit_everybody.seconds,
        k_means_s=k_means.seconds,
        k_means_cpu_s=k_means.cpu_seconds,
        fit_true_segments_ari=float(adjusted_rand_score(known, found)),
        k_means_true_segments_ari=float(
            adjusted_rand_score(known, k_means.result.labels_)
        ),
        profile_customers_per_cpu_s=round(options.customers / _cpu(profiling)),
        assign_customers_per_cpu_s=round(options.customers / _cpu(assigning)),
        peak_mb=peak,
        peak_mb_with_pandas=peak_megabytes(),
    )


def _texts(customers: int) -> tuple[Texts, np.ndarray]:
    """The method's generator (section 9, A.1), spread over a year and five sources."""
    made = make_customers(customers, seed=SEED)
    random = np.random.default_rng(SEED)
    n = len(made.texts)
    source = random.choice([SOURCES.index(name) for name in WRITTEN_IN], n)
    # Texts come in the order they were written, not customer by customer.
    order = random.permutation(n)
    weight_of = np.array(list(SOURCE_WEIGHT.values()))
    texts = replace(
        made.texts,
        customer=made.texts.customer[order],
        families=made.texts.families[order],
        age_days=np.sort(random.uniform(0, YEAR_DAYS, n))[::-1].copy(),
        source=source,
        weight=weight_of[source],
        valence=random.uniform(-1, 1, n),
    )
    return texts, made.truth


def _first_customers(texts: Texts, most: int) -> Texts:
    """The texts of the first so many customers, who are in no order."""
    chosen = texts.customer < most
    return Texts(
        min(most, texts.n_customers),
        *(
            getattr(texts, field.name)[chosen]
            for field in fields(Texts)
            if field.name != "n_customers"
        ),
    )


def _check_same(ours: ProfileSums, theirs: Any) -> None:
    for field in fields(ProfileSums):
        mine = getattr(ours, field.name)
        prefix = {"families": "slow_q", "fast_families": "fast_q"}.get(field.name)
        names = (
            [f"{prefix}{family}" for family in range(N_FAMILIES)]
            if prefix
            else field.name
        )
        apart = float(np.abs(mine - theirs[names].to_numpy()).max())
        assert apart <= AGREE_TO, f"{field.name} differs by {apart}"


def _cpu(taken: list[Taken]) -> float:
    return median(one.cpu_seconds for one in taken)


if __name__ == "__main__":
    main()
