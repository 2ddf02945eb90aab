from datetime import timedelta

import pytest

from customers.services import object_to_profiling
from segmentation.errors import RunNotPublishable
from segmentation.models import (
    Membership,
    Publication,
    SegmentationRun,
    SegmentChange,
)
from segmentation.publishing import publish_run, roll_back_to
from segmentation.services import (
    memberships_of,
    published_run,
    refresh_if_needed,
    refresh_segments,
)


@pytest.fixture
def two_runs(shop, at):
    """Everybody trusting, then everybody anxious."""
    people = shop.add(4)
    first = shop.publish(dict.fromkeys(people, "trusting"), at=at)
    second = shop.publish(dict.fromkeys(people, "anxious"), at=at + timedelta(days=30))
    return people, first, second


def places(customers):
    found = memberships_of(customer.pk for customer in customers)
    return [found[customer.pk].segment.key for customer in customers]


def later(at, days=40):
    return at + timedelta(days=days)


def test_publishing_twice_is_publishing_once(shop, at):
    run = shop.publish(dict.fromkeys(shop.add(3), "neutral"), at=at)
    publish_run(run, at=later(at))
    assert Publication.objects.count() == 1
    assert SegmentChange.objects.count() == 3
    assert published_run().published_at == at


def test_a_run_that_is_still_being_sorted_does_not_come_into_use(shop, at):
    run = shop.sort(dict.fromkeys(shop.add(2), "neutral"), at=at, state="sorting")
    with pytest.raises(RunNotPublishable, match="still being sorted"):
        publish_run(run, at=at, approved_by="anybody")
    assert published_run() is None


def test_what_is_killed_in_the_middle_leaves_the_old_run_in_use(
    shop, two_runs, at, monkeypatch
):
    people, _, second = two_runs
    third = shop.sort(dict.fromkeys(people, "excited"), at=later(at))

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Publication.objects, "create", killed)
    with pytest.raises(KeyboardInterrupt):
        publish_run(third, at=later(at))
    assert published_run() == second
    assert places(people) == ["anxious"] * 4


def test_going_back_and_forward_puts_everybody_where_they_were(
    two_runs, at, admin_user
):
    people, first, second = two_runs
    roll_back_to(first, at=later(at), by=admin_user)
    assert (published_run(), places(people)) == (first, ["trusting"] * 4)
    roll_back_to(second, at=later(at, 50), by=admin_user)
    assert (published_run(), places(people)) == (second, ["anxious"] * 4)
    newest = Publication.objects.first()
    assert (newest.kind, newest.published_by) == ("rolled_back", admin_user)
    assert (newest.replaces, newest.published_at) == (first, later(at, 50))


def test_who_objected_meanwhile_gets_no_segment_back(two_runs, at, admin_user):
    people, first, _ = two_runs
    object_to_profiling(people[0], source="test", at=later(at, 35))
    # As if the run's memberships had been written while the objection came in.
    Membership.objects.filter(run=first, customer=people[0]).update(
        segment=Membership.objects.filter(run=first).last().segment
    )
    run = roll_back_to(first, at=later(at), by=admin_user)
    assert places(people) == ["unknown", "trusting", "trusting", "trusting"]
    assert run.quality["sizes"]["trusting"] == 3
    assert run.quality["sizes"]["unknown"] == 1
    assert not SegmentChange.objects.filter(customer=people[0]).exists()


def test_who_joined_later_is_unknown_until_the_next_run(shop, two_runs, at, admin_user):
    people, first, _ = two_runs
    eve = shop.add(1)[0]
    third = {**dict.fromkeys(people, "anxious"), eve: "excited"}
    shop.publish(third, at=later(at))
    roll_back_to(first, at=later(at, 50), by=admin_user)
    assert places([eve]) == ["unknown"]
    last = SegmentChange.objects.filter(customer=eve).first()
    assert (last.from_segment.key, last.to_segment.key) == ("excited", "unknown")


def test_there_is_no_way_back_to_what_was_never_in_use_or_is_in_use(
    shop, two_runs, at, admin_user
):
    people, _, second = two_runs
    waiting = shop.sort(dict.fromkeys(people, "mixed"), at=at, state="waiting")
    with pytest.raises(RunNotPublishable, match="never in use"):
        roll_back_to(waiting, at=later(at), by=admin_user)
    with pytest.raises(RunNotPublishable, match="in use already"):
        roll_back_to(second, at=later(at), by=admin_user)


def test_there_is_no_way_back_to_a_run_whose_memberships_are_gone(
    two_runs, at, admin_user
):
    _, first, second = two_runs
    SegmentationRun.objects.filter(pk=first.pk).update(thinned_at=at)
    with pytest.raises(RunNotPublishable, match="no longer kept"):
        roll_back_to(first, at=later(at), by=admin_user)
    assert published_run() == second


def test_after_going_back_the_next_run_waits_for_a_person(
    ada, bo, cy, di, at, admin_user
):
    first = refresh_segments(at=at).run
    refresh_segments(at=at + timedelta(days=1))
    roll_back_to(first, at=at + timedelta(days=2), by=admin_user)
    run = refresh_segments(at=at + timedelta(days=3)).run
    assert (run.state, published_run()) == ("waiting", first)
    assert "went back to run" in run.waits_because
    publish_run(run, at=at + timedelta(days=4), approved_by=admin_user)
    assert refresh_segments(at=at + timedelta(days=5)).run.state == "published"


def test_a_run_that_was_never_finished_is_begun_again(ada, bo, shop, at):
    refresh_segments(at=at)
    left = shop.sort({ada: "trusting"}, at=at, state="sorting")
    SegmentationRun.objects.filter(pk=left.pk).update(fitted_at=at)
    assert refresh_if_needed(at=at + timedelta(minutes=10)) is None
    assert refresh_if_needed(at=at + timedelta(hours=3)).run.state == "published"
    left.refresh_from_db()
    assert left.state == "superseded"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_of_two_who_publish_at_once_one_is_in_use_and_both_are_recorded(
    shop, at, admin_user, at_once, round_
):
    people = shop.add(30)
    first = shop.publish(dict.fromkeys(people, "trusting"), at=at)
    shop.publish(dict.fromkeys(people, "anxious"), at=at)
    third = shop.sort(dict.fromkeys(people, "excited"), at=at)
    problems = at_once(
        lambda: publish_run(third, at=later(at), approved_by=admin_user),
        lambda: roll_back_to(first, at=later(at), by=admin_user),
    )
    assert problems == []
    assert SegmentationRun.objects.filter(state="published").count() == 1
    assert Publication.objects.count() == 4
    assert len(set(places(people))) == 1
    for person in people[:3]:
        changes = list(person.segment_changes.order_by("publication_id"))
        ends = [change.to_segment for change in changes]
        assert [change.from_segment for change in changes] == [None, *ends[:-1]]
        assert ends[-1] == memberships_of([person.pk])[person.pk].segment
