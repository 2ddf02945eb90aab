from datetime import timedelta

import pytest

from segmentation import keeping
from segmentation.keeping import KEPT_BEFORE, thin_runs
from segmentation.models import Membership, SegmentationRun, SegmentChange


@pytest.fixture
def runs(shop, at):
    """Nine runs, one a day: the last is in use."""
    people = shop.add(3)
    return [
        shop.publish(
            dict.fromkeys(people, ["trusting", "anxious"][day % 2]),
            at=at + timedelta(days=day),
        )
        for day in range(KEPT_BEFORE + 3)
    ]


def kept():
    return set(Membership.objects.values_list("run", flat=True))


def test_the_run_in_use_and_six_before_it_stay_whole(runs, at):
    assert thin_runs(at=at) == 6
    assert kept() == {run.pk for run in runs[2:]}
    assert SegmentationRun.objects.filter(thinned_at=at).count() == 2
    assert thin_runs(at=at) == 0


def test_the_history_of_changes_outlives_the_memberships(runs, at):
    before = SegmentChange.objects.count()
    thin_runs(at=at)
    assert SegmentChange.objects.count() == before


def test_it_goes_in_chunks_and_what_was_interrupted_goes_on(runs, at, monkeypatch):
    monkeypatch.setattr(keeping, "CHUNK", 2)
    keeping._mark(runs[0].pk, at=at)
    assert thin_runs(at=at + timedelta(days=1)) == 6
    runs[0].refresh_from_db()
    assert runs[0].thinned_at == at


def test_a_run_that_another_room_needs_stays_whole(runs, at, monkeypatch):
    monkeypatch.setattr(keeping, "NEEDED", [lambda: [runs[0].pk]])
    thin_runs(at=at)
    assert runs[0].pk in kept()
    assert runs[1].pk not in kept()


def test_a_run_whose_history_is_not_written_yet_stays_whole(runs, at):
    runs[1].publications.update(written=False)
    thin_runs(at=at)
    assert {runs[0].pk, runs[1].pk} <= kept()


def test_a_run_that_never_came_into_use_is_cleared_away(shop, at):
    people = shop.add(2)
    replaced = shop.sort(dict.fromkeys(people, "mixed"), at=at, state="superseded")
    begun = shop.sort(dict.fromkeys(people, "mixed"), at=at, state="sorting")
    thin_runs(at=begun.fitted_at + timedelta(hours=1))
    assert kept() == {begun.pk}
    thin_runs(at=begun.fitted_at + timedelta(days=2))
    assert kept() == set()
    assert replaced.publications.count() == 0
