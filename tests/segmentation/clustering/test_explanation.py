import numpy as np
import pytest

from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.explanation import contributions
from segmentation.clustering.model import assign, fit_model, profile_customers
from segmentation.profile.behaviour import DEED_CODE
from segmentation.profile.events import Deeds, Texts, no_deeds


def of_one(texts: Texts, customer: int, *, without: int | None = None) -> Texts:
    rows = np.flatnonzero(texts.customer == customer)
    if without is not None:
        rows = np.delete(rows, without)
    return Texts(
        1,
        np.zeros(len(rows), np.int64),
        texts.age_days[rows],
        texts.source[rows],
        texts.weight[rows],
        texts.families[rows],
        texts.valence[rows],
    )


@pytest.fixture(scope="module")
def fitted(generator):
    made = generator.make_customers(2_000, seed=6)
    ages = np.random.default_rng(0).uniform(0, 400, len(made.texts))
    texts = Texts(
        2_000,
        made.texts.customer,
        ages,
        made.texts.source,
        made.texts.weight,
        made.texts.families,
        made.texts.valence,
    )
    return texts, fit_model(texts, no_deeds(), seed=0)


def test_parts_add_up_to_the_log_odds_of_every_customer_and_segment(fitted):
    texts, model = fitted
    whole = profile_customers(texts, no_deeds(), model)
    shown = model.temper * (whole.evidence - whole.base[:, None])
    for customer in range(0, 2_000, 97):
        for segment in range(len(SEGMENTS)):
            parts = contributions(
                of_one(texts, customer), no_deeds(), model, segment=segment
            )
            assert parts.total == pytest.approx(shown[customer, segment], abs=1e-9)
            assert parts.of_texts.sum() == pytest.approx(parts.total, abs=1e-9)


def test_deeds_add_up_too(fitted):
    texts, model = fitted
    one = of_one(texts, 3)
    deeds = Deeds(
        np.zeros(1, np.int64), np.array([10.0]), np.array([DEED_CODE["return"]])
    )
    whole = profile_customers(one, deeds, model)
    parts = contributions(one, deeds, model, segment=0)
    shown = model.temper * (whole.evidence[0, 0] - whole.base[0])
    assert parts.total == pytest.approx(shown, abs=1e-9)
    assert parts.of_deeds[0] > 0


def test_without_its_strongest_text_a_segment_is_less_likely(fitted):
    texts, model = fitted
    counts = np.bincount(texts.customer)
    customer = int(np.flatnonzero(counts >= 5)[0])
    one = of_one(texts, customer)
    before = assign(profile_customers(one, no_deeds(), model), model)
    segment = int(before.posterior[0].argmax())
    parts = contributions(one, no_deeds(), model, segment=segment)
    less = of_one(texts, customer, without=int(parts.of_texts.argmax()))
    after = assign(profile_customers(less, no_deeds(), model), model)
    assert after.posterior[0, segment] < before.posterior[0, segment]


def test_three_for_and_one_against_are_shown(fitted):
    texts, model = fitted
    counts = np.bincount(texts.customer)
    customer = int(np.flatnonzero(counts >= 8)[0])
    parts = contributions(of_one(texts, customer), no_deeds(), model, segment=0)
    shown = parts.shown()
    assert len(shown) <= 4
    assert len(set(shown)) == len(shown)
