import numpy as np
import pytest

from segmentation.clustering.hysteresis import Standing, settle, settle_between_runs
from segmentation.clustering.model import MIXED_LABEL, UNKNOWN_LABEL, Assignment


def found(posterior, label=None) -> Assignment:
    table = np.array(posterior, float)
    best = table.argmax(1) if label is None else np.array(label)
    rows = np.arange(len(table))
    return Assignment(best, table.max(1), best, table[rows, 0], table)


def standing(label, days=30.0, ahead=0) -> Standing:
    return Standing(np.array([label]), np.array([days]), np.array([ahead]))


def mix(first, second):
    rest = (1 - first - second) / 5
    return [[first, second, rest, rest, rest, rest, rest]]


def test_a_small_lead_changes_nothing():
    after = settle(found(mix(0.40, 0.50)), standing(0, ahead=1))
    assert after.label[0] == 0
    assert after.ahead[0] == 0


def test_a_lead_of_fifteen_points_needs_a_second_look():
    first = settle(found(mix(0.32, 0.50)), standing(0))
    assert (first.label[0], first.ahead[0]) == (0, 1)
    second = settle(
        found(mix(0.32, 0.50)), Standing(first.label, first.days, first.ahead)
    )
    assert (second.label[0], second.days[0]) == (1, 0)


def test_thirty_five_points_change_at_once():
    assert settle(found(mix(0.20, 0.60)), standing(0, days=1)).label[0] == 1


def test_within_fourteen_days_of_a_change_it_waits():
    after = settle(found(mix(0.32, 0.50)), standing(0, days=13, ahead=5))
    assert after.label[0] == 0


def test_the_first_place_is_taken_at_once():
    assert settle(found(mix(0.6, 0.2)), standing(-1)).label[0] == 0


@pytest.mark.parametrize("label", [MIXED_LABEL, UNKNOWN_LABEL])
def test_nobody_is_held_in_mixed_or_unknown(label):
    assert settle(found(mix(0.5, 0.3)), standing(label, days=1)).label[0] == 0


def test_who_falls_silent_becomes_unknown_at_once():
    after = settle(found(mix(0.2, 0.2), [UNKNOWN_LABEL]), standing(0, days=1))
    assert after.label[0] == UNKNOWN_LABEL


def test_a_year_without_true_change_flips_far_less():
    random = np.random.default_rng(7)
    n, weeks = 400, 52
    truth = random.integers(0, 7, n)
    drift = np.zeros((n, 7))
    state = Standing(np.full(n, -1), np.zeros(n), np.zeros(n, int))
    plain = np.full(n, -1)
    flips = {"argmax": 0, "held": 0}
    right = {"argmax": 0, "held": 0}
    for _ in range(weeks):
        # Evidence comes and fades: noise that lasts some weeks.
        drift = 0.9 * drift + random.normal(0, 0.45, (n, 7))
        logits = drift.copy()
        logits[np.arange(n), truth] += 1.3
        posterior = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        best = posterior.argmax(1)
        flips["argmax"] += int(((plain >= 0) & (plain != best)).sum())
        plain = best
        before = state.label
        state = settle(found(posterior), state)
        flips["held"] += int(((before >= 0) & (before != state.label)).sum())
        state = Standing(state.label, state.days + 7, state.ahead)
        right["argmax"] += int((plain == truth).sum())
        right["held"] += int((state.label == truth).sum())
    assert flips["held"] <= 0.6 * flips["argmax"]
    assert right["held"] >= right["argmax"] - 0.01 * n * weeks


def test_between_runs_a_lead_counts_for_nothing_until_it_is_clear_at_once():
    small = settle_between_runs(found(mix(0.32, 0.50)), standing(0, ahead=1))
    assert (small.label[0], small.ahead[0]) == (0, 1)
    clear = settle_between_runs(found(mix(0.20, 0.60)), standing(0, days=1))
    assert (clear.label[0], clear.days[0]) == (1, 0)


def test_between_runs_a_lead_that_is_lost_is_no_longer_in_a_row():
    assert settle_between_runs(found(mix(0.5, 0.3)), standing(0, ahead=1)).ahead[0] == 0


@pytest.mark.parametrize("label", [-1, MIXED_LABEL, UNKNOWN_LABEL])
def test_between_runs_nobody_is_held_nowhere(label):
    after = settle_between_runs(found(mix(0.5, 0.3)), standing(label, days=1))
    assert after.label[0] == 0
