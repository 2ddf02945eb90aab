"""The shipped classifier on two real histories: does a profile foretell the next text?

method.md 9, lines 3 and 4. Reading the 24,746 texts takes about a minute.
"""

import numpy as np
import pytest

from segmentation.profile.shrinkage import kappa_of

HISTORIES = (
    "reviews/interactions_musical_instruments",
    "support/interactions_airline_tickets",
)

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.fixture(scope="module", params=HISTORIES)
def history(request, shared_data, read_history):
    """Family mixes (n, 9) and customer numbers (n,), by customer, oldest first."""
    found = read_history(shared_data / f"{request.param}.csv.gz")
    return found.families, found.text_customer


def earlier(families, customer):
    """For each text: how many the same customer wrote before it, and their sum."""
    start = np.r_[True, customer[1:] != customer[:-1]]
    first = np.flatnonzero(start)[np.cumsum(start) - 1]
    running = np.vstack([np.zeros(families.shape[1]), np.cumsum(families, axis=0)])
    rows = np.arange(len(families))
    return rows - first, running[rows] - running[first]


def test_what_was_written_before_is_summed_for_each_customer_alone():
    mixes = np.array([[1.0, 0], [2, 0], [4, 1], [8, 0]])
    count, total = earlier(mixes, np.array([0, 0, 0, 1]))
    assert count.tolist() == [0, 1, 2, 0]
    assert total.tolist() == [[0, 0], [1, 0], [3, 0], [0, 0]]


def test_the_evidence_a_population_is_worth_is_as_measured(history):
    assert 3 <= kappa_of(*history) <= 14


def test_the_shrunk_profile_foretells_the_next_text_best(history):
    families, customer = history
    population = families.mean(axis=0)
    kappa = kappa_of(families, customer)
    count, total = earlier(families, customer)
    later = count > 0
    count, total, truth = count[later][:, None], total[later], families[later]

    def error(guess):
        return float(((truth - guess) ** 2).sum(axis=1).mean())

    shrunk = error((total + kappa * population) / (count + kappa))
    assert shrunk <= 0.98 * error(population)
    assert error(population) < error(total / count)
