from datetime import timedelta
from random import Random

import pytest
from django.db import connection

from segmentation import comparing
from segmentation.comparing import MOVERS_SHOWN, compare, keep_counts
from segmentation.models import (
    RunComparison,
    Segment,
    SegmentationRun,
    SegmentChange,
)
from segmentation.movement import (
    LARGEST,
    changed_places,
    changes_since,
    movement,
    pairs_between,
    sizes_of,
)
from segmentation.pins import pin_customer
from segmentation.publishing import roll_back_to
from segmentation.services import fit_run, refresh_segments

KEYS = ["frustrated", "anxious", "trusting", "mixed", "unknown"]


def row(found, key):
    return next(one for one in found.rows if one.segment.key == key)


def test_shares_stand_side_by_side_with_their_difference(shop, at):
    ann, ben, cat, dan = shop.add(4)
    before = shop.publish(dict.fromkeys([ann, ben, cat, dan], "anxious"), at=at)
    after = shop.publish(
        {ann: "anxious", ben: "trusting", cat: "trusting", dan: "trusting"}, at=at
    )
    found = compare(before, after)
    anxious = row(found, "anxious")
    assert (anxious.then_share, anxious.now_share) == (1.0, 0.25)
    assert anxious.difference == -0.75
    assert [(one.start.key, one.end.key, one.customers) for one in found.pairs] == [
        ("anxious", "trusting", 3)
    ]
    assert [mover.customer for mover in found.movers] == [ben, cat, dan]
    assert found.into.key == "trusting"


@pytest.mark.parametrize("seed", range(8))
def test_the_sums_of_a_comparison_close(shop, at, seed):
    random, people = Random(seed), shop.add(30)

    def some():
        chosen = random.sample(people, random.randint(5, 30))
        return {one: random.choice(KEYS) for one in chosen}

    before, after = shop.sort(some(), at=at), shop.sort(some(), at=at)
    found = compare(before, after)
    for one in found.rows:
        assert one.now == one.then - one.left - one.gone + one.came + one.joined
        assert min(one.left, one.gone, one.came, one.joined) >= 0
    assert sum(one.then for one in found.rows) == before.customers
    assert sum(one.now for one in found.rows) == after.customers
    assert sum(one.left for one in found.rows) == found.moved
    assert sum(one.came for one in found.rows) == found.moved
    assert sum(one.difference for one in found.rows) == pytest.approx(0)


def test_the_first_fifty_who_moved_are_named(shop, at):
    people = shop.add(MOVERS_SHOWN + 10)
    before = shop.sort(dict.fromkeys(people, "anxious"), at=at)
    after = shop.sort(dict.fromkeys(people, "mixed"), at=at)
    found = compare(before, after)
    assert (found.moved, len(found.movers)) == (60, 50)


def test_large_runs_are_compared_by_what_was_counted_and_when(shop, at, monkeypatch):
    monkeypatch.setattr(comparing, "LIVE_UP_TO", 3)
    people = shop.add(4)
    before = shop.sort(dict.fromkeys(people, "anxious"), at=at)
    after = shop.sort(dict.fromkeys(people, "mixed"), at=at)
    found = compare(before, after)
    assert (found.counted, found.may_count, found.moved) == (False, True, 0)
    assert (row(found, "anxious").then, row(found, "mixed").now) == (4, 4)
    keep_counts(before, after, at=at)
    people[0].memberships.filter(run=after).update(
        segment=Segment.objects.get(key="trusting")
    )
    found = compare(before, after)
    assert (found.counted_at, found.moved) == (at, 4)
    assert (row(found, "mixed").now, row(found, "anxious").left) == (4, 4)
    assert len(found.movers) == 4
    later = at + timedelta(hours=1)
    keep_counts(before, after, at=later)
    found = compare(before, after)
    assert (found.counted_at, row(found, "mixed").now) == (later, 3)


def test_what_was_counted_stays_when_the_places_are_gone(shop, at, monkeypatch):
    monkeypatch.setattr(comparing, "LIVE_UP_TO", 3)
    people = shop.add(4)
    before = shop.sort(dict.fromkeys(people, "anxious"), at=at)
    after = shop.sort(dict.fromkeys(people, "mixed"), at=at)
    keep_counts(before, after, at=at)
    before.thinned_at = at
    before.memberships.all().delete()
    people[0].delete()
    found = compare(before, after)
    assert (found.counted_at, found.moved, found.may_count) == (at, 4, False)
    assert [one.customer for one in found.movers] == people[1:]


def test_a_fit_counts_itself_beside_the_run_in_use(shop, at, monkeypatch):
    monkeypatch.setattr(comparing, "LIVE_UP_TO", 0)
    for one in shop.add(3):
        shop.read(one, at - timedelta(days=2), family="anger")
    first = refresh_segments(at=at).run
    assert not RunComparison.objects.exists()
    second = fit_run(at=at)
    kept = RunComparison.objects.get()
    assert (kept.before, kept.after) == (first, second)


def test_of_small_runs_and_of_thinned_ones_no_counts_are_kept(shop, at, monkeypatch):
    people = shop.add(4)
    before, after = (shop.sort(dict.fromkeys(people, "mixed"), at=at) for _ in "12")
    keep_counts(before, after, at=at)
    monkeypatch.setattr(comparing, "LIVE_UP_TO", 3)
    before.thinned_at = at
    keep_counts(before, after, at=at)
    before.thinned_at = None
    assert compare(before, after).counted is False


def test_of_a_run_that_was_thinned_the_sizes_remain(shop, at):
    people = shop.add(3)
    before = shop.publish(dict.fromkeys(people, "anxious"), at=at)
    after = shop.publish(dict.fromkeys(people, "mixed"), at=at)
    before.memberships.all().delete()
    SegmentationRun.objects.filter(pk=before.pk).update(thinned_at=at)
    before.refresh_from_db()
    found = compare(before, after)
    assert (found.counted, found.may_count) == (False, False)
    assert (row(found, "anxious").then, row(found, "mixed").now) == (3, 3)
    assert found.pairs == found.movers == ()


def test_a_comparison_asks_a_few_questions_whatever_the_size(
    shop, at, django_assert_max_num_queries
):
    people = shop.add(40)
    before = shop.sort(dict.fromkeys(people, "anxious"), at=at)
    after = shop.sort(dict.fromkeys(people, "mixed"), at=at)
    with django_assert_max_num_queries(7):
        compare(before, after)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a plan of SQLite's")
def test_two_runs_are_joined_by_indexes_alone(shop, at):
    people = shop.add(5)
    before = shop.sort(dict.fromkeys(people, "anxious"), at=at)
    after = shop.sort(dict.fromkeys(people, "mixed"), at=at)
    plan = changed_places(before, after).explain().splitlines()
    assert [line for line in plan if "SCAN" in line] == []
    # Both runs are walked through by customer.
    assert sum("(run_id=? AND customer_id" in line for line in plan) == 2


def test_the_home_pages_movement_leaves_out_who_stayed(shop, at):
    ann, ben = shop.add(2)
    shop.publish({ann: "anxious", ben: "mixed"}, at=at)
    run = shop.publish({ann: "anxious", ben: "trusting"}, at=at + timedelta(days=1))
    found = movement(run)
    assert len(pairs_between(found.since, run)) == 2
    assert moves(run) == [("mixed", "trusting", 1)]


def moves(run):
    run.refresh_from_db()
    return [(one.start.key, one.end.key, one.customers) for one in movement(run).moves]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_kept_of_a_publication_is_what_a_comparison_counts(shop, at, seed):
    random, people = Random(seed), shop.add(30)

    def some():
        return {one: random.choice(KEYS) for one in random.sample(people, 25)}

    before = shop.publish(some(), at=at)
    run = shop.publish(some(), at=at + timedelta(days=1))
    counted = [pair for pair in pairs_between(before, run) if pair[0] != pair[1]]
    found = movement(run)
    assert (found.since, found.at) == (before, at + timedelta(days=1))
    assert [(one.start.pk, one.end.pk, one.customers) for one in found.moves] == (
        counted[:LARGEST]
    )
    then, now = sizes_of(before), sizes_of(run)
    for size in found.sizes:
        assert size.then == then.get(size.segment.pk, 0)
        assert size.now == now.get(size.segment.pk, 0)


def test_the_first_run_has_moved_nobody(shop, at):
    (ann,) = shop.add(1)
    assert movement(shop.publish({ann: "mixed"}, at=at)) is None


def test_who_goes_back_to_an_earlier_run_sees_the_movement_back(shop, at, admin_user):
    ann, ben = shop.add(2)
    first = shop.publish({ann: "anxious", ben: "mixed"}, at=at)
    shop.publish({ann: "mixed", ben: "mixed"}, at=at + timedelta(days=1))
    roll_back_to(first, at=at + timedelta(days=2), by=admin_user)
    assert moves(first) == [("mixed", "anxious", 1)]


@pytest.mark.parametrize("later", [timedelta(), timedelta(hours=1)])
def test_who_is_folded_or_placed_by_hand_since_has_moved(shop, at, admin_user, later):
    ann, ben = shop.add(2)
    shop.publish({ann: "anxious", ben: "mixed"}, at=at)
    run = shop.publish({ann: "mixed", ben: "mixed"}, at=at + timedelta(days=1))
    segments = {one.key: one for one in Segment.objects.all()}
    SegmentChange.objects.create(
        customer=ann,
        from_segment=segments["mixed"],
        to_segment=segments["trusting"],
        at=run.published_at + later,
        folded=True,
    )
    pin_customer(
        ben,
        segment=segments["anxious"],
        reason="She rang",
        by=admin_user,
        at=run.published_at + timedelta(hours=2),
    )
    assert sorted(moves(run)) == [
        ("anxious", "mixed", 1),
        ("mixed", "anxious", 1),
        ("mixed", "trusting", 1),
    ]
    sizes = {one.segment.key: one.now for one in movement(run).sizes if one.now}
    assert sizes == {"mixed": 1, "anxious": 1}


def test_a_pin_that_ended_as_the_run_came_is_no_move_since(shop, at, admin_user):
    (ann,) = shop.add(1)
    shop.publish({ann: "anxious"}, at=at)
    pin_customer(
        ann,
        segment=Segment.objects.get(key="mixed"),
        reason="She rang",
        by=admin_user,
        at=at,
        until=at.date(),
    )
    # The pin ends first, at the same moment.
    run = shop.publish({ann: "trusting"}, at=at + timedelta(days=1))
    assert moves(run) == [("anxious", "trusting", 1)]


def test_the_picture_of_moves_looks_at_no_membership(
    shop, at, django_assert_num_queries
):
    people = shop.add(40)
    shop.publish(dict.fromkeys(people, "anxious"), at=at)
    run = shop.publish(dict.fromkeys(people, "mixed"), at=at + timedelta(days=1))
    with django_assert_num_queries(4) as asked:
        movement(run)
    assert [one for one in asked if "segmentation_membership" in one["sql"]] == []


def test_changes_between_runs_are_read_from_an_index_of_their_own(shop, at, by_index):
    run = shop.publish(dict.fromkeys(shop.add(3), "mixed"), at=at)
    assert "changes_between_runs" in changes_since(run.publications.get()).explain()
