from dataclasses import fields

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from segmentation.clustering.anchored_mixture import AnchoredMixture
from segmentation.clustering.anchors import SEGMENTS, anchor_matrix
from segmentation.clustering.hysteresis import Standing, settle
from segmentation.clustering.model import (
    MIXED_LABEL,
    UNKNOWN_LABEL,
    SegmentModel,
    assign,
    fit_model,
    profile_customers,
)
from segmentation.clustering.quality import calibration_error
from segmentation.clustering.segmenters import SEGMENTERS
from segmentation.profile.behaviour import DEED_CODE
from segmentation.profile.events import Deeds, Texts, no_deeds


@pytest.fixture(scope="module")
def fits(generator):
    """Three seeds of 10,000 customers: truth, counts, posterior, k-means labels."""
    found = []
    for seed in (1, 2, 3):
        made = generator.make_customers(10_000, seed=seed)
        model = fit_model(made.texts, no_deeds(), seed=0)
        profiles = profile_customers(made.texts, no_deeds(), model)
        shares = np.sqrt(
            (profiles.sums.families + 2 * model.mix)
            / (profiles.sums.weight[:, None] + 2)
        )
        free = KMeans(7, n_init=3, random_state=0).fit_predict(shares)
        found.append((made, model, assign(profiles, model), free))
    return found


def mean_ari(fits, *, least: int, free: bool) -> float:
    return float(
        np.mean(
            [
                adjusted_rand_score(
                    made.truth[made.counts >= least],
                    (labels if free else found.posterior.argmax(1))[
                        made.counts >= least
                    ],
                )
                for made, _, found, labels in fits
            ]
        )
    )


def test_known_segments_are_found_better_than_by_free_clustering(fits):
    all_of_them = mean_ari(fits, least=1, free=False)
    with_eight_texts = mean_ari(fits, least=8, free=False)
    assert all_of_them >= 0.135
    assert with_eight_texts >= 0.36
    assert all_of_them - mean_ari(fits, least=1, free=True) >= 0.02
    assert with_eight_texts - mean_ari(fits, least=8, free=True) >= 0.06


def test_how_sure_is_how_often_right(fits):
    for made, _, found, _ in fits:
        right = found.posterior.argmax(1) == made.truth
        assert calibration_error(found.posterior.max(1), right.astype(float)) <= 0.04


def test_from_one_half_on_two_in_three_are_right(fits):
    for made, _, found, _ in fits:
        sure = found.posterior.max(1) >= 0.5
        right = found.posterior.argmax(1) == made.truth
        assert sure.mean() >= 0.25
        assert right[sure].mean() >= 0.65


def test_truly_negative_people_are_hardly_ever_shown_as_pleased(fits):
    for made, _, found, _ in fits:
        negative = made.truth <= 2
        pleased = np.isin(found.label, [3, 4])
        assert (pleased & negative).sum() / negative.sum() <= 0.05


def test_a_warm_refit_keeps_names(fits, generator):
    made, model, found, _ = fits[0]
    random = np.random.default_rng(9)
    kept = random.random(10_000) < 0.6
    rows = kept[made.texts.customer]
    part = Texts(
        10_000,
        made.texts.customer[rows],
        made.texts.age_days[rows],
        made.texts.source[rows],
        made.texts.weight[rows],
        made.texts.families[rows],
        made.texts.valence[rows],
    )
    again = fit_model(part, no_deeds(), seed=1, previous=model)
    after = assign(profile_customers(made.texts, no_deeds(), again), again)
    before = found.posterior.argmax(1)
    assert (after.posterior.argmax(1) != before).mean() <= 0.05


def test_a_warm_refit_on_another_sample_renames_nobody_once_people_stay_put(fits):
    made = fits[0][0]
    one, other = (_sample(made.texts, seed=seed) for seed in (9, 10))
    first = fit_model(one, no_deeds(), seed=0)
    second = fit_model(other, no_deeds(), seed=1, previous=first)
    then, now = (
        assign(profile_customers(made.texts, no_deeds(), model), model)
        for model in (first, second)
    )
    assert (then.posterior.argmax(1) != now.posterior.argmax(1)).mean() <= 0.05
    held = settle(now, Standing(then.label, np.full(10_000, 30.0), np.zeros(10_000)))
    named = then.label < MIXED_LABEL
    assert (held.label != then.label)[named].mean() <= 0.005


def _sample(texts: Texts, *, seed: int) -> Texts:
    """What six in ten of the customers wrote."""
    kept = np.random.default_rng(seed).random(texts.n_customers) < 0.6
    rows = kept[texts.customer]
    return Texts(
        texts.n_customers,
        *(getattr(texts, field.name)[rows] for field in fields(texts)[1:]),
    )


def test_fewer_than_500_customers_leave_the_anchors_alone(generator):
    made = generator.make_customers(499, seed=4)
    model = fit_model(made.texts, no_deeds(), seed=0)
    assert not model.learned
    assert model.anchors == pytest.approx(anchor_matrix(model.mix))


def test_a_customer_without_texts_is_unknown_and_as_likely_anything(generator):
    made = generator.make_customers(600, seed=5)
    nobody = Texts(
        601,
        made.texts.customer,
        made.texts.age_days,
        made.texts.source,
        made.texts.weight,
        made.texts.families,
        made.texts.valence,
    )
    model = fit_model(nobody, no_deeds(), seed=0)
    found = assign(profile_customers(nobody, no_deeds(), model), model)
    assert found.label[600] == UNKNOWN_LABEL
    assert found.posterior[600] == pytest.approx(model.shares)


def test_a_shop_where_nobody_wrote_is_sorted_by_what_they_did():
    nobody_wrote = Texts(
        n_customers=2,
        customer=np.zeros(0, np.int64),
        age_days=np.zeros(0),
        source=np.zeros(0, np.int64),
        weight=np.zeros(0),
        families=np.zeros((0, 9)),
        valence=np.zeros(0),
    )
    returned = Deeds(np.array([0]), np.zeros(1), np.array([DEED_CODE["return"]]))
    model = fit_model(nobody_wrote, returned, seed=0)
    found = assign(profile_customers(nobody_wrote, returned, model), model)
    frustrated = SEGMENTS.index("frustrated")
    assert found.posterior[0, frustrated] > found.posterior[1, frustrated]
    assert found.label[1] == UNKNOWN_LABEL


def test_someone_who_objected_is_unknown_whatever_they_wrote(generator):
    made = generator.make_customers(600, seed=5)
    model = fit_model(made.texts, no_deeds(), seed=0)
    profiles = profile_customers(made.texts, no_deeds(), model)
    objected = np.ones(600, bool)
    assert (assign(profiles, model, objected=objected).label == UNKNOWN_LABEL).all()


def test_below_45_per_cent_it_is_mixed(fits):
    for _, _, found, _ in fits:
        close = found.posterior.max(1) < 0.45
        assert (found.label[close] == MIXED_LABEL).all()
        assert (found.label[~close] < MIXED_LABEL).all()


def test_the_model_survives_being_kept_as_numbers(fits):
    _, model, _, _ = fits[0]
    again = SegmentModel.from_json(model.to_json())
    assert again.to_json() == model.to_json()


def test_a_model_from_before_habits_counted_is_read_as_it_was(fits):
    new = fits[0][1]
    old = {**new.to_json(), "format": 1, "deeds": new.deeds[:4].tolist()}
    del old["terms"]
    read = SegmentModel.from_json(old)
    assert (read.terms.thirds, read.terms.answer_hours) == (None, None)
    assert (read.deeds[:4] == new.deeds[:4]).all()


def test_a_model_of_another_shape_is_refused(fits):
    kept = fits[0][1].to_json()
    with pytest.raises(ValueError, match="anchors needs finite numbers"):
        SegmentModel.from_json({**kept, "anchors": [[1.0]]})
    with pytest.raises(ValueError, match="families"):
        SegmentModel.from_json({**kept, "families": ["joy"]})


def test_it_is_a_scikit_learn_estimator():
    estimator = AnchoredMixture(seed=3)
    assert clone(estimator).get_params()["seed"] == 3
    estimator.set_params(temper=1.0)
    random = np.random.default_rng(0)
    labels = estimator.fit_predict(random.dirichlet(np.ones(9), 50) * 9)
    assert labels.shape == (50,)
    assert estimator.predict_proba(np.ones((2, 9))).sum(axis=1) == pytest.approx([1, 1])


def test_a_likelihood_below_zero_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        AnchoredMixture().fit(np.full((3, 9), -1.0))


@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_segmenter_gives_the_same_labels_for_the_same_seed(name):
    families = np.random.default_rng(2).dirichlet(np.ones(9), 200)
    one, other = (SEGMENTERS[name](7, 5).fit_predict(families) for _ in range(2))
    assert (one == other).all()
