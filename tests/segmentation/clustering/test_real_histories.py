"""Segments of real histories: names that stay, reasons that add up (method.md 9, 11).

Reading the texts of all three takes about two minutes.
"""

import numpy as np
import pytest

from segmentation.clustering import quality
from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.explanation import contributions
from segmentation.clustering.model import assign, fit_model, profile_customers
from segmentation.profile.events import Deeds, Texts

HISTORIES = (
    "reviews/interactions_musical_instruments",
    "support/interactions_airline_tickets",
    "joined_demo/joined_history",
)

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.fixture(scope="module", params=HISTORIES)
def history(request, shared_data, read_history):
    return read_history(shared_data / f"{request.param}.csv.gz")


@pytest.fixture(scope="module")
def fitted(history):
    texts, deeds = history.until(history.last_day)
    model = fit_model(texts, deeds, seed=0)
    return texts, deeds, model, profile_customers(texts, deeds, model)


def test_a_refit_on_eighty_per_cent_keeps_95_names_in_a_hundred(history, fitted):
    *_, model, profiles = fitted
    before = assign(profiles, model).label
    chance = np.random.default_rng(0)
    some = np.sort(
        chance.choice(history.customers, int(0.8 * history.customers), replace=False)
    )
    texts, deeds = history.until(history.last_day, some)
    refit = fit_model(texts, deeds, seed=1, previous=model)
    after = assign(profile_customers(texts, deeds, refit), refit).label
    renamed = quality.renamed_share(before[some], after, n_named=len(SEGMENTS))
    assert renamed <= 0.05


def test_the_reasons_of_every_customer_add_up_to_their_log_odds(history, fitted):
    texts, deeds, model, profiles = fitted
    of_text = np.split(np.arange(len(texts)), _ends(texts.customer, history.customers))
    # Habits come after all that was done.
    by_customer = np.argsort(deeds.customer, kind="stable")
    of_deed = np.split(by_customer, _ends(deeds.customer, history.customers))
    best = profiles.evidence.argmax(axis=1)
    for customer, segment in enumerate(best):
        parts = contributions(
            _texts_of(texts, of_text[customer]),
            _deeds_of(deeds, of_deed[customer]),
            model,
            segment=int(segment),
        )
        shown = model.temper * (
            profiles.evidence[customer, segment] - profiles.base[customer]
        )
        assert parts.total == pytest.approx(shown, abs=1e-9)


def _ends(customer, customers):
    """Where each customer's rows end: they stand customer by customer."""
    return np.cumsum(np.bincount(customer, minlength=customers))[:-1]


def _texts_of(texts, rows):
    return Texts(
        n_customers=1,
        customer=np.zeros(len(rows), np.int64),
        age_days=texts.age_days[rows],
        source=texts.source[rows],
        weight=texts.weight[rows],
        families=texts.families[rows],
        valence=texts.valence[rows],
    )


def _deeds_of(deeds, rows):
    return Deeds(np.zeros(len(rows), np.int64), deeds.age_days[rows], deeds.code[rows])
