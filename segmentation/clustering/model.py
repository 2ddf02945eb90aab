"""A fitted segment model as numbers that a table can keep, and what it says of people.

The way in for services: fit_model, profile_customers, assign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from segmentation.clustering.anchors import MIXED, SEGMENTS, UNKNOWN
from segmentation.clustering.belief import evidence_of_texts, posterior
from segmentation.clustering.temper import choose_temper
from segmentation.emotion.families import FAMILIES
from segmentation.profile.baseline import likelihoods, overall_mix, source_baselines
from segmentation.profile.behaviour import (
    DEED_WEIGHT,
    DEEDS,
    NO_TERMS,
    Terms,
    deed_weight,
    learn_shares,
    log_evidence,
    start_shares,
    weight_alone,
)
from segmentation.profile.decay import SLOW_DAYS, ProfileSums, decay, fold
from segmentation.profile.events import (
    N_FAMILIES,
    SOURCES,
    Deeds,
    FloatArray,
    IntArray,
    Texts,
)
from segmentation.profile.shrinkage import (
    composition,
    kappa_of,
    mean_valence,
    negativity,
)
from segmentation.profile.sums import sum_by

# Labels of an assignment: indices into SEGMENTS, then these two.
LABELS: Final = (*SEGMENTS, MIXED, UNKNOWN)
MIXED_LABEL, UNKNOWN_LABEL = len(SEGMENTS), len(SEGMENTS) + 1
# Below: unknown, and mixed. method.md 1.7.
EVIDENCE_NEEDED: Final = 0.5
PROBABILITY_NEEDED: Final = 0.45
DEED_ROUNDS: Final = 15
_FORMAT: Final = 2
# Before answers and habits were evidence: ratings and returns only.
_BEFORE_TERMS: Final = 1
_DEEDS_BEFORE_TERMS: Final = 4


class OtherFormat(ValueError):
    """A model that another version of the programme has written down."""


@dataclass(frozen=True, slots=True)
class SegmentModel:
    """anchors (7, 9), baselines (sources, 9), mix (9,), shares (7,), deeds (n, 7).

    terms: what counts as a late answer and as seldom or often, in deeds to come.
    """

    anchors: FloatArray
    baselines: FloatArray
    mix: FloatArray
    shares: FloatArray
    deeds: FloatArray
    kappa: float
    temper: float
    valence: float
    learned: bool
    customers: int
    seed: int
    terms: Terms = NO_TERMS

    def to_json(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "families": list(FAMILIES),
            "segments": list(SEGMENTS),
            "sources": list(SOURCES),
            "anchors": self.anchors.tolist(),
            "baselines": self.baselines.tolist(),
            "mix": self.mix.tolist(),
            "shares": self.shares.tolist(),
            "deeds": self.deeds.tolist(),
            "terms": self.terms.to_json(),
            "kappa": self.kappa,
            "temper": self.temper,
            "valence": self.valence,
            "learned": self.learned,
            "customers": self.customers,
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> SegmentModel:
        """Raises OtherFormat for another format, ValueError for another shape."""
        if kept.get("format") == _BEFORE_TERMS:
            kept = _with_terms(kept)
        for name, expected in {
            "format": _FORMAT,
            "families": list(FAMILIES),
            "segments": list(SEGMENTS),
            "sources": list(SOURCES),
        }.items():
            if kept.get(name) != expected:
                raise OtherFormat(
                    f"A segment model needs {name} {expected}; it has {kept.get(name)}."
                )
        arrays = {
            name: np.array(kept[name], np.float64)
            for name in ("anchors", "baselines", "mix", "shares", "deeds")
        }
        for name, shape in {
            "anchors": (len(SEGMENTS), N_FAMILIES),
            "baselines": (len(SOURCES), N_FAMILIES),
            "mix": (N_FAMILIES,),
            "shares": (len(SEGMENTS),),
            "deeds": (len(DEEDS), len(SEGMENTS)),
        }.items():
            found = arrays[name]
            if found.shape != shape or not np.isfinite(found).all():
                raise ValueError(f"{name} needs finite numbers of shape {shape}.")
        return cls(
            anchors=arrays["anchors"],
            baselines=arrays["baselines"],
            mix=arrays["mix"],
            shares=arrays["shares"],
            deeds=arrays["deeds"],
            kappa=float(kept["kappa"]),
            temper=float(kept["temper"]),
            valence=float(kept["valence"]),
            learned=bool(kept["learned"]),
            customers=int(kept["customers"]),
            seed=int(kept["seed"]),
            terms=Terms.from_json(kept["terms"]),
        )


def _with_terms(kept: dict[str, Any]) -> dict[str, Any]:
    """A model of format 1: it takes no answer for late, and nobody's habits count."""
    more = start_shares()[_DEEDS_BEFORE_TERMS:].tolist()
    return {
        **kept,
        "format": _FORMAT,
        "deeds": [*kept["deeds"], *more],
        "terms": NO_TERMS.to_json(),
    }


@dataclass(frozen=True, slots=True)
class ProfileTable:
    """A row a customer. evidence E (n, 7): decayed log evidence of texts and deeds;
    base (n,): what everybody's mix would have given, so that E - base is the log-odds
    against the base mix; deed_weight (n,): decayed number of deeds that tell alone."""

    sums: ProfileSums
    composition: FloatArray
    valence: FloatArray
    negativity: FloatArray
    evidence: FloatArray
    base: FloatArray
    deed_weight: FloatArray


@dataclass(frozen=True, slots=True)
class Assignment:
    """label: indices into LABELS; next_label: the second best of the seven."""

    label: IntArray
    probability: FloatArray
    next_label: IntArray
    next_probability: FloatArray
    # (n, 7): the whole posterior, for hysteresis.
    posterior: FloatArray


def fit_model(
    texts: Texts,
    deeds: Deeds,
    *,
    seed: int,
    previous: SegmentModel | None = None,
    terms: Terms = NO_TERMS,
) -> SegmentModel:
    """Learn a shop's baselines, shrinkage, segments and what its ratings are worth.

    terms: by which the deeds were found.
    previous: the model in use, which then holds the new one close if it had learned;
    else its rows are the anchors of an older mix, with nothing in them to hold on to.
    """
    # Here and not above: scikit-learn takes over a second to import.
    from segmentation.clustering.anchored_mixture import AnchoredMixture

    mix = overall_mix(texts.families)
    baselines = source_baselines(texts.families, texts.source, n_sources=len(SOURCES))
    lam = likelihoods(texts.families, texts.source, baselines)
    mixture = AnchoredMixture(
        mix=mix,
        start=previous.anchors if previous and previous.learned else None,
        seed=seed,
    ).fit(lam, groups=texts.customer, weight=texts.weight)
    density = lam @ mixture.anchors_.T
    return SegmentModel(
        anchors=mixture.anchors_,
        baselines=baselines,
        mix=mix,
        shares=mixture.shares_,
        deeds=_learn_deeds(texts, deeds, density, mixture.shares_),
        kappa=kappa_of(texts.families, texts.customer),
        temper=choose_temper(texts, density, mixture.shares_),
        valence=float(texts.valence.mean()) if len(texts) else 0.0,
        learned=bool(mixture.learned_),
        customers=len(np.unique(texts.customer)),
        seed=seed,
        terms=terms,
    )


def _learn_deeds(
    texts: Texts, deeds: Deeds, density: FloatArray, shares: FloatArray
) -> FloatArray:
    """What deeds are worth here: expectation maximisation with texts held fixed.

    Only from those of whom more is known than how often they come: the many who never
    wrote would say that habits tell nothing.
    """
    n = texts.n_customers
    told = evidence_of_texts(density, texts.customer, texts.weight, n)
    heard = np.zeros(n, bool)
    heard[texts.customer] = True
    heard[deeds.customer[weight_alone(deeds) > 0]] = True
    from_whom = heard[deeds.customer]
    table = start_shares()
    for _ in range(DEED_ROUNDS):
        said = log_evidence(table, shares)[deeds.code]
        done = sum_by(deeds.customer, DEED_WEIGHT[deeds.code, None] * said, n)
        belief = posterior(told + done, shares, 1.0)
        table = learn_shares(deeds.code[from_whom], belief[deeds.customer[from_whom]])
    return table


def text_evidence(
    families: FloatArray, source: IntArray, model: SegmentModel
) -> tuple[FloatArray, FloatArray]:
    """Of each text: log evidence e (n, 7) and of everybody's mix (n,), undecayed."""
    density = likelihoods(families, source, model.baselines) @ model.anchors.T
    return np.log(density), np.log(density @ model.shares)


def profile_customers(texts: Texts, deeds: Deeds, model: SegmentModel) -> ProfileTable:
    """Every customer's profile as of the moment that ages count from."""
    n = texts.n_customers
    sums = fold(texts)
    per_text, usual = text_evidence(texts.families, texts.source, model)
    weight = texts.weight * decay(texts.age_days, half_life_days=SLOW_DAYS)
    evidence = sum_by(texts.customer, weight[:, None] * per_text, n)
    base = sum_by(texts.customer, weight * usual, n)
    # A deed's evidence is already told against the base mix, so its base is 0.
    evidence += sum_by(
        deeds.customer,
        deed_weight(deeds)[:, None]
        * log_evidence(model.deeds, model.shares)[deeds.code],
        n,
    )
    return ProfileTable(
        sums=sums,
        composition=composition(sums, model.mix, model.kappa),
        valence=mean_valence(sums, model.valence, model.kappa),
        negativity=negativity(sums, model.mix),
        evidence=evidence,
        base=base,
        deed_weight=sum_by(deeds.customer, weight_alone(deeds), n),
    )


def assign(
    profiles: ProfileTable,
    model: SegmentModel,
    *,
    objected: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
) -> Assignment:
    """Which segment each customer is in, or mixed, or unknown.

    objected: (n,) customers who are not to be profiled: always unknown.
    """
    belief = posterior(profiles.evidence, model.shares, model.temper)
    order = np.argsort(-belief, axis=1, kind="stable")[:, :2]
    rows = np.arange(len(belief))
    best, second = order[:, 0], order[:, 1]
    label = best.copy()
    label[belief[rows, best] < PROBABILITY_NEEDED] = MIXED_LABEL
    # Deeds as old as texts that no longer count tell no more than they do.
    unknown = (profiles.sums.weight < EVIDENCE_NEEDED) & (
        profiles.deed_weight < EVIDENCE_NEEDED
    )
    if objected is not None:
        unknown |= objected
    label[unknown] = UNKNOWN_LABEL
    return Assignment(
        label=label,
        probability=belief[rows, best],
        next_label=np.where(label == best, second, best),
        next_probability=np.where(
            label == best, belief[rows, second], belief[rows, best]
        ),
        posterior=belief,
    )
