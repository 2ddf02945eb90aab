from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from customers.models import Customer, Interaction
from segmentation.emotion.families import FAMILIES
from segmentation.models import EmotionScore
from segmentation.mood import compare, read_mood, shares_by_step

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def one(family: str) -> np.ndarray:
    row = np.zeros(len(FAMILIES))
    row[FAMILIES.index(family)] = 1
    return row


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
    shares = shares_by_step(ages, families, step_days=7, steps=2)
    assert shares[0][FAMILIES.index("trust")] == 1
    assert shares[1][FAMILIES.index("joy")] == 0.5


def test_a_week_without_a_text_shows_the_week_before():
    shares = shares_by_step(np.array([10.0]), one("joy")[None], step_days=7, steps=2)
    assert (shares[0] == shares[1]).all()


def test_a_change_within_its_range_is_not_clear():
    rng = np.random.default_rng(5)
    same = rng.dirichlet(np.ones(9), size=200)
    changes = compare(same[:100], same[100:])
    assert sum(change.clear for change in changes) <= 1


def test_a_family_that_doubled_is_clear():
    now = np.tile(0.8 * one("anger") + 0.2 * one("joy"), (30, 1))
    then = np.tile(0.4 * one("anger") + 0.6 * one("joy"), (30, 1))
    now += np.random.default_rng(1).normal(0, 0.01, now.shape)
    anger = compare(now, then)[0]
    assert anger.clear
    assert anger.points == pytest.approx(0.4, abs=0.01)


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
