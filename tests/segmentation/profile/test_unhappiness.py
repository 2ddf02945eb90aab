import numpy as np
import pytest

from segmentation.profile.events import SOURCES, Texts
from segmentation.profile.unhappiness import LINE, hold_line, lingers

NOTHING = np.zeros(0)


def texts(*said):
    """(days ago, anger) of one customer; what is not anger is neutral."""
    ages = np.array([age for age, _ in said])
    families = np.zeros((len(said), 9))
    families[:, 0] = [anger for _, anger in said]
    families[:, 8] = 1 - families[:, 0]
    return Texts(
        n_customers=1,
        customer=np.zeros(len(said), np.int64),
        age_days=ages,
        source=np.full(len(said), SOURCES.index("review")),
        weight=np.ones(len(said)),
        families=families,
        valence=np.zeros(len(said)),
    )


def goes_on(said, *, reasons=NOTHING, ends=NOTHING, settled=np.inf):
    return lingers(
        said, usual=0.2, line=0.45, reasons=reasons, ends=ends, settled=settled
    )


# 1.5 of everybody at .2 and one at .9: (.3 + .9) / 2.5 = .48.
CROSSES = (20.0, 0.9)


def test_what_crossed_the_line_goes_on_just_below_it():
    # After 5 days, at .891: (.3 + .802) / 2.391 = .461; after 10, at .794: .442.
    assert goes_on(texts((10.0, 0.9)))


def test_it_ends_once_five_hundredths_below_and_does_not_begin_again_by_itself():
    # After 20 days, at .63: (.3 + .567) / 2.13 = .407; after 25: .391.
    assert goes_on(texts(CROSSES))
    assert not goes_on(texts((25.0, 0.9)))
    # A text that brings it back to .43, not over the line, begins nothing.
    assert not goes_on(texts((30.0, 0.9), (1.0, 0.5)))


def test_what_never_crossed_never_began():
    assert not goes_on(texts((20.0, 0.7), (0.0, 0.5)))


def test_another_reason_lasts_to_its_end_and_then_as_long_as_it_is_close():
    close = texts((20.0, 0.5), (18.0, 0.5), (16.0, 0.7), (1.0, 0.5), (0.5, 0.5))
    began, over = np.array([15.0]), np.array([1.0])
    assert not goes_on(close)
    assert goes_on(close, reasons=began, ends=over)
    far = texts((20.0, 0.5), (0.5, 0.1))
    assert not goes_on(far, reasons=began, ends=over)


def test_what_was_made_good_does_not_go_on_but_what_came_after_does():
    assert not goes_on(texts(CROSSES), settled=12.0)
    assert goes_on(texts(CROSSES), settled=21.0)


@pytest.mark.parametrize(
    ("customers", "line"), [(499, LINE), (500, pytest.approx(0.76))]
)
def test_the_line_is_the_most_unhappy_twentieth_of_a_shop_that_has_one(customers, line):
    assert hold_line(np.linspace(0, 0.8, customers)) == line


def test_the_line_is_never_lower_than_it_is_anywhere():
    assert hold_line(np.full(1000, 0.1)) == LINE
