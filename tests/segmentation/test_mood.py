import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from customers.models import Customer, Interaction
from segmentation.emotion.families import FAMILIES
from segmentation.models import EmotionScore
from segmentation.mood import REACH_DAYS, Tally, compare, mood_of, shares_by_step
from segmentation.mood_keeping import read_mood

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def one(family: str) -> np.ndarray:
    row = np.zeros(len(FAMILIES))
    row[FAMILIES.index(family)] = 1
    return row


def tally(ages, families):
    found = Tally(newest=NOW)
    found.add(np.array(ages, float), np.array(families))
    return found


def summed(families):
    return tally(np.zeros(len(families)), families).between(0, 7)


def say(customer: Customer, family: str, days_ago: float) -> None:
    moment = NOW - timedelta(days=days_ago)
    interaction = Interaction.objects.create(
        customer=customer,
        occurred_at=moment,
        kind="review",
        key=f"{days_ago}",
        text="x",
    )
    EmotionScore.objects.create(
        interaction=interaction,
        customer=customer,
        occurred_at=moment,
        kind="review",
        families=one(family).astype("<f4").tobytes(),
        analyzer="test",
    )


def test_each_step_is_the_mean_of_its_own_texts():
    ages = np.array([1.0, 3.0, 10.0])
    families = np.vstack([one("joy"), one("anger"), one("trust")])
    shares = shares_by_step(tally(ages, families), step_days=7, steps=2)
    assert shares[0][FAMILIES.index("trust")] == 1
    assert shares[1][FAMILIES.index("joy")] == 0.5


def test_a_week_without_a_text_shows_the_week_before():
    shares = shares_by_step(tally([10.0], [one("joy")]), step_days=7, steps=2)
    assert (shares[0] == shares[1]).all()


def test_a_change_within_its_range_is_not_clear():
    rng = np.random.default_rng(5)
    same = rng.dirichlet(np.ones(9), size=200)
    changes = compare(summed(same[:100]), summed(same[100:]))
    assert sum(change.clear for change in changes) <= 1


def test_a_family_that_doubled_is_clear():
    now = np.tile(0.8 * one("anger") + 0.2 * one("joy"), (30, 1))
    then = np.tile(0.4 * one("anger") + 0.6 * one("joy"), (30, 1))
    now += np.random.default_rng(1).normal(0, 0.01, now.shape)
    anger = compare(summed(now), summed(then))[0]
    assert anger.clear
    assert anger.points == pytest.approx(0.4, abs=0.01)


def test_a_mean_and_its_error_come_from_sums_alone():
    shares = np.random.default_rng(3).dirichlet(np.ones(9), size=500)
    found = summed(shares)
    assert found.mean == pytest.approx(shares.mean(axis=0))
    assert found.error == pytest.approx(shares.std(axis=0, ddof=1) / np.sqrt(500))


def test_a_text_on_an_edge_is_in_the_older_step():
    found = tally([0, 7, 6.999], [one("joy"), one("anger"), one("joy")])
    assert (found.between(0, 7).n, found.between(7, 14).n) == (2, 1)


def test_texts_of_tomorrow_and_of_long_ago_count_for_nothing():
    found = tally([-0.5, REACH_DAYS, REACH_DAYS - 1], [one("joy")] * 3)
    assert found.between(0, REACH_DAYS).n == 1


def test_texts_added_in_parts_are_texts_added_at_once():
    random = np.random.default_rng(4)
    ages, shares = random.uniform(0, 400, 300), random.dirichlet(np.ones(9), size=300)
    in_parts = tally(ages[:100], shares[:100])
    kept = Tally.from_json(json.loads(json.dumps(in_parts.to_json())))
    kept.add(ages[100:], shares[100:])
    at_once = tally(ages, shares)
    assert kept.counts.tolist() == at_once.counts.tolist()
    assert kept.squares == pytest.approx(at_once.squares)
    assert mood_of(kept, as_of=NOW, stale=False).shares == pytest.approx(
        mood_of(at_once, as_of=NOW, stale=False).shares
    )


def test_without_a_text_there_is_no_mood(db):
    assert read_mood(at=NOW) is None


def test_few_texts_are_shown_by_four_weeks_and_not_compared(db):
    customer = Customer.objects.create(external_id="ada")
    for days in (1, 20, 50):
        say(customer, "trust", days)
    mood = read_mood(at=NOW)
    assert mood is not None
    assert (mood.step_days, mood.changes, mood.stale) == (28, None, False)
    assert mood.shares[-1][FAMILIES.index("trust")] == 1


def test_an_old_history_is_read_as_of_its_last_text(db):
    customer = Customer.objects.create(external_id="ada")
    say(customer, "joy", 400)
    mood = read_mood(at=NOW)
    assert mood is not None
    assert mood.stale
    assert mood.as_of == NOW - timedelta(days=400)
