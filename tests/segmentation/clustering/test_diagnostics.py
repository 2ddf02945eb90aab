import json

import numpy as np
import pytest

from segmentation.clustering.diagnostics import (
    CLUSTERS,
    Diagnosis,
    diagnose,
    hellinger,
    kept_share,
)
from segmentation.clustering.model import fit_model
from segmentation.profile.events import no_deeds

ONE, OTHER = np.eye(9)[:1], np.eye(9)[1:2]


@pytest.fixture(scope="module")
def found(generator):
    """Eight hundred customers or so, each with three texts or more."""
    made = generator.make_customers(1500, seed=3)
    model = fit_model(made.texts, no_deeds(), seed=0)
    return diagnose(made.texts.of(np.flatnonzero(made.counts >= 3)), model, seed=0)


def test_mixes_with_nothing_in_common_are_one_apart_and_equal_ones_nothing():
    assert hellinger(ONE, np.vstack([ONE, OTHER])).tolist() == [[0, 1]]


def test_half_in_common_is_the_root_of_one_less_the_root_of_a_half():
    half = np.sqrt((ONE + OTHER) / 2)
    assert hellinger(ONE, half)[0, 0] == pytest.approx((1 - 0.5**0.5) ** 0.5)


def test_clusters_keep_their_names_by_their_middles_not_by_their_numbers():
    # Numbers are swapped; one of four customers went to the other cluster.
    here, there = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 1])
    centres, swapped = np.vstack([ONE, OTHER]), np.vstack([OTHER, ONE])
    assert kept_share(here, centres, there, swapped) == 0.75


def test_a_cluster_far_from_all_others_is_a_new_one():
    labels = np.array([0, 0, 1, 1])
    centres = np.vstack([ONE, OTHER])
    elsewhere = np.vstack([ONE, np.eye(9)[2:3]])
    assert kept_share(labels, centres, labels, elsewhere) == 0.5


def test_every_number_of_clusters_is_measured(found):
    assert [one.groups for one in found.free] == list(CLUSTERS)
    assert found.seven.groups == found.segments.groups == 7
    for one in found.free:
        assert -1 <= one.silhouette <= 1
        assert one.stability <= 1
        assert 0 <= one.kept <= 1


def test_no_number_of_free_clusters_stands_out_and_none_are_the_segments(found):
    assert found.best_apart.silhouette < 0.25
    assert max(one.agreement for one in found.free) < 0.7
    assert found.segments.kept >= 0.9


def test_everybody_is_in_one_cluster_and_in_one_segment_or_mixed(found):
    assert sum(cluster.customers for cluster in found.clusters) == found.customers
    for cluster in found.clusters:
        assert sum(cluster.in_segments) == cluster.customers
        assert len(cluster.in_segments) == 8


def test_figures_survive_being_kept(found):
    assert Diagnosis.from_json(json.loads(json.dumps(found.to_json()))) == found
