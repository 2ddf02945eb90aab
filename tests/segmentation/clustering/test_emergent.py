import numpy as np
import pytest

from segmentation.clustering import emergent
from segmentation.clustering.emergent import (
    belonging,
    find_group,
    group_evidence,
    jensen_shannon,
    suggested_name,
)
from segmentation.clustering.model import fit_model, profile_customers
from segmentation.emotion.families import FAMILIES
from segmentation.profile.events import Deeds

NO_DEEDS = Deeds(np.zeros(0, int), np.zeros(0), np.zeros(0, int))
JOY, ANGER = FAMILIES.index("joy"), FAMILIES.index("anger")


JOYFUL_AND_ANGRY = np.full(len(FAMILIES), 0.32 / (len(FAMILIES) - 2))
JOYFUL_AND_ANGRY[[JOY, ANGER]] = 0.36, 0.32


def planted(generator, n, *, share, seed):
    return generator.make_customers(
        n,
        seed=seed,
        archetypes=np.vstack([generator.ARCHETYPES, JOYFUL_AND_ANGRY]),
        shares=np.append(generator.SHARES * (1 - share), share),
    )


def found(made, seed):
    return find_group(made.texts, fit_model(made.texts, NO_DEEDS, seed=seed), seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_group_is_proposed_and_named_by_what_lifts_it(generator, seed):
    made = planted(generator, 10_000, share=0.08, seed=seed)
    model = fit_model(made.texts, NO_DEEDS, seed=seed)
    group = find_group(made.texts, model, seed=seed)
    assert group is not None
    assert group.gain >= 30
    assert group.divergence >= 0.10
    assert suggested_name(group.row, model.mix) in (
        "Joyful and angry",
        "Angry and joyful",
    )
    profiles = profile_customers(made.texts, NO_DEEDS, model)
    own = group_evidence(made.texts, model, group.row)
    rows, sure = belonging(own, profiles.evidence, group.shares, temper=model.temper)
    assert (sure >= 0.45).all()
    # Chance would be 0.08. A hint and no more, as the method says.
    assert (made.truth[rows] == 7).mean() >= 0.3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_where_there_is_no_group_nothing_is_proposed(generator, seed):
    assert found(planted(generator, 10_000, share=0.0, seed=seed), seed) is None


@pytest.mark.slow
def test_the_same_data_and_seed_find_the_same(generator):
    made = planted(generator, 10_000, share=0.12, seed=1)
    one, other = found(made, 1), found(made, 1)
    assert one is not None
    assert np.array_equal(one.row, other.row)
    assert one.stability == other.stability


@pytest.mark.slow
def test_a_group_found_twice_is_nearer_to_itself_than_to_any_segment(generator):
    one = found(planted(generator, 10_000, share=0.12, seed=1), 1)
    other = found(planted(generator, 10_000, share=0.12, seed=2), 2)
    assert jensen_shannon(one.row, other.row) < emergent.SAME_BELOW < one.divergence


def test_too_few_who_wrote_are_not_looked_at(generator):
    assert found(planted(generator, 499, share=0.3, seed=0), 0) is None


def test_the_divergence_is_what_it_is_by_hand():
    same = np.array([0.5, 0.5, 0.0])
    assert jensen_shannon(same, same) == 0
    # Nothing in common: ln 2, whatever the shares.
    apart = jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert apart == pytest.approx(np.log(2))
    # (1, 0) and (1/2, 1/2), middle (3/4, 1/4):
    # (ln 4/3 + 1/2 ln 2/3 + 1/2 ln 2) / 2
    by_hand = (np.log(4 / 3) + np.log(2 / 3) / 2 + np.log(2) / 2) / 2
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == pytest.approx(
        by_hand
    )


def test_in_a_group_is_whom_it_suits_best_and_clearly():
    evidence = np.zeros((3, 7))
    own = np.array([3.0, 0.0, 1.0])
    shares = np.full(8, 1 / 8)
    rows, sure = belonging(own, evidence, shares, temper=1.0)
    # exp(3) / (exp(3) + 7) = 0.742; exp(1) / (exp(1) + 7) = 0.280 is no name's worth.
    assert rows.tolist() == [0]
    assert sure[0] == pytest.approx(np.exp(3) / (np.exp(3) + 7))
