import numpy as np
import pytest

from segmentation.profile.behaviour import DEEDS, habit_deeds
from segmentation.profile.habits import Habits, Thirds, cut_thirds

NAMES = list(DEEDS)


def known(times, days=180.0):
    times = np.array(times, float)
    return Habits(times, np.full(len(times), days))


def thirds_of(habits):
    found = habit_deeds(habits, cut_thirds(habits))
    return [NAMES[code].split()[0] for code in found.code]


def test_customers_fall_into_three_by_how_often_they_come():
    found = thirds_of(known(range(1, 121)))
    assert [found.count(third) for third in ("low", "middling", "high")] == [40, 40, 40]
    assert (found[0], found[60], found[-1]) == ("low", "middling", "high")


@pytest.mark.parametrize(
    ("idle", "third"), [(40, "low"), (60, "low"), (80, "middling"), (99, "middling")]
)
def test_who_do_as_much_are_in_one_third_that_of_the_middle_one(idle, third):
    found = thirds_of(known([0] * idle + [5] * (100 - idle)))
    assert set(found[:idle]) == {third}
    assert set(found[idle:]) <= {"middling", "high"}


def test_who_came_lately_is_measured_by_the_days_they_are_known():
    half = Habits(np.array([3.0, 6.0]), np.array([90.0, 180.0]))
    assert half.rate(half.known) == pytest.approx([1.0, 1.0])


def test_who_is_known_for_less_than_sixty_days_has_no_habit():
    habits = Habits(np.full(3, 9.0), np.array([59.9, 60.0, 0.0]))
    assert habit_deeds(habits, Thirds(0.5, 2.0)).customer.tolist() == [1]


@pytest.mark.parametrize("times", [[0] * 200, [4] * 200, list(range(99))])
def test_where_all_do_as_much_or_few_are_known_nobody_is_seldom_or_often(times):
    assert cut_thirds(known(times)) is None
