from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib import import_module
from random import Random

import pytest
from django.apps import apps

from customers.services import allow_profiling, object_to_profiling
from segmentation import history
from segmentation.history import (
    CHANGES_A_PAGE,
    comings_and_goings,
    cursor,
    entered,
    finish_publications,
    flows,
    left,
    months_until,
    stays_of,
)
from segmentation.models import (
    Membership,
    Publication,
    Segment,
    SegmentationRun,
    SegmentChange,
)
from segmentation.pins import pin_customer
from segmentation.publishing import publish_run, roll_back_to
from segmentation.services import forget_inferences

KEYS = ["frustrated", "anxious", "trusting", "mixed", "unknown"]


def segment(key):
    return Segment.objects.get(key=key)


def test_a_first_place_comes_from_nowhere_and_a_stay_is_no_change(shop, at):
    ann, ben = shop.add(2)
    shop.publish({ann: "trusting", ben: "anxious"}, at=at)
    shop.publish({ann: "trusting", ben: "mixed"}, at=at + timedelta(days=1))
    told = SegmentChange.objects.order_by("pk").values_list(
        "customer", "from_segment__key", "to_segment__key"
    )
    assert list(told) == [
        (ann.pk, None, "trusting"),
        (ben.pk, None, "anxious"),
        (ben.pk, "anxious", "mixed"),
    ]
    newest = Publication.objects.first()
    assert (newest.moved, newest.newly_sorted) == (1, 0)


def test_killed_between_two_chunks_the_rest_is_written_once(shop, at, monkeypatch):
    monkeypatch.setattr(history, "CHUNK", 3)
    people = shop.add(8)
    whole, calls = history._insert, []

    def dies_in_the_second_chunk(*given):
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(*given)

    monkeypatch.setattr(history, "_insert", dies_in_the_second_chunk)
    run = shop.sort(dict.fromkeys(people, "neutral"), at=at)
    with pytest.raises(KeyboardInterrupt):
        publish_run(run, at=at)
    publication = Publication.objects.get()
    assert (publication.written, publication.written_to) == (False, people[2].pk)
    monkeypatch.setattr(history, "_insert", whole)
    for _ in range(2):
        finish_publications()
    assert SegmentChange.objects.count() == 8
    publication.refresh_from_db()
    assert (publication.written, publication.newly_sorted) == (True, 8)


def test_pairs_are_kept_once_however_often_publishing_is_killed(shop, at, monkeypatch):
    monkeypatch.setattr(history, "CHUNK", 3)
    people = shop.add(8)
    shop.publish(dict.fromkeys(people, "anxious"), at=at)
    added_up, calls = history._added_up, []

    def dies_in_the_second_chunk(*given, **more):
        calls.append(added_up(*given, **more))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(history, "_added_up", dies_in_the_second_chunk)
    places = dict.fromkeys(people, "mixed") | {people[7]: "trusting"}
    with pytest.raises(KeyboardInterrupt):
        shop.publish(places, at=at + timedelta(days=1))
    start, mixed, trusting = (
        segment(key).pk for key in ("anxious", "mixed", "trusting")
    )
    assert Publication.objects.first().pairs == [[start, mixed, 3]]
    assert Publication.objects.last().pairs == [[None, start, 8]]
    finish_publications()
    finish_publications()
    assert sorted(Publication.objects.first().pairs) == sorted(
        [[start, mixed, 7], [start, trusting, 1]]
    )


def test_pairs_of_before_they_were_kept_are_added_up_from_the_history(shop, at):
    ann, ben, cat = shop.add(3)
    shop.publish({ann: "anxious", ben: "anxious"}, at=at)
    shop.publish({ann: "mixed", ben: "trusting", cat: "mixed"}, at=at)
    kept = list(Publication.objects.values_list("pk", "pairs"))
    Publication.objects.update(pairs=[])
    import_module("segmentation.migrations.0017_pairs_so_far").add_up(apps, None)
    first_places = import_module("segmentation.migrations.0020_first_places")
    for _ in range(2):
        first_places.add_first_places(apps, None)
    assert list(Publication.objects.values_list("pk", "pairs")) == kept
    first_places.only_who_moved(apps, None)
    assert [len(one.pairs) for one in Publication.objects.all()] == [2, 0]


def act_at_random(random, shop, people, at, user):
    """One thing that a shop may do: sort, publish, go back, join, object, allow."""
    what = random.choice(["publish"] * 4 + ["back"] * 2 + ["join", "object", "allow"])
    if what == "join":
        people += shop.add(random.randint(1, 3))
    elif what == "object":
        object_to_profiling(random.choice(people), source="test", at=at)
    elif what == "allow":
        allow_profiling(random.choice(people), source="test", at=at)
    elif what == "publish":
        places = {
            one: "unknown" if one.profiling_objected_at else random.choice(KEYS)
            for one in people
        }
        publish_run(shop.sort(places, at=at), at=at, approved_by=user)
    elif what == "back":
        earlier = SegmentationRun.objects.filter(state="superseded")
        if earlier:
            roll_back_to(random.choice(list(earlier)), at=at, by=user)


@pytest.mark.parametrize("seed", range(12))
def test_history_adds_up_to_where_everybody_is(shop, at, admin_user, seed):
    random, people = Random(seed), shop.add(6)
    for step in range(14):
        act_at_random(random, shop, people, at + timedelta(days=step), admin_user)
        run = SegmentationRun.objects.filter(state="published").first()
        if run is None:
            continue
        for person in people:
            person.refresh_from_db()
            told = list(person.segment_changes.order_by("pk"))
            if person.profiling_objected_at:
                assert told == []
            ends = [change.to_segment_id for change in told]
            starts = [change.from_segment_id for change in told]
            assert starts[1:] == ends[:-1]
            place = Membership.objects.filter(run=run, customer=person).first()
            if ends:
                assert place.segment_id == ends[-1]


@pytest.mark.parametrize("seed", range(6))
def test_changes_are_the_difference_of_the_memberships(shop, at, seed):
    random, people = Random(seed), shop.add(20)

    def drawn():
        return {one: random.choice(KEYS) for one in people}

    shop.publish(drawn(), at=at)
    before = sizes()
    shop.publish(drawn(), at=at + timedelta(days=1))
    changes = SegmentChange.objects.filter(publication=Publication.objects.first())
    came = Counter(changes.values_list("to_segment__key", flat=True))
    went = Counter(changes.values_list("from_segment__key", flat=True))
    now = sizes()
    for key in KEYS:
        assert now[key] - before[key] == came[key] - went[key]


def sizes():
    run = SegmentationRun.objects.get(state="published")
    return Counter(
        Membership.objects.filter(run=run).values_list("segment__key", flat=True)
    )


def test_an_objection_deletes_the_history_of_that_customer_alone(shop, at):
    ann, ben = shop.add(2)
    shop.publish({ann: "trusting", ben: "anxious"}, at=at)
    forget_inferences(ann, at=at)
    assert stays_of(ann) == []
    assert [stay.segment.key for stay in stays_of(ben)] == ["anxious"]


def test_who_is_erased_leaves_no_history(shop, at):
    ann, ben = shop.add(2)
    shop.publish({ann: "trusting", ben: "anxious"}, at=at)
    ann.delete()
    assert SegmentChange.objects.get().customer == ben


def test_an_objection_while_the_history_is_written_leaves_none(shop, at, monkeypatch):
    ann, ben = shop.add(2)
    monkeypatch.setattr("segmentation.publishing.finish_publications", lambda: None)
    shop.publish({ann: "trusting", ben: "anxious"}, at=at)
    object_to_profiling(ann, source="test", at=at)
    finish_publications()
    assert SegmentChange.objects.get().customer == ben


def test_the_segments_of_a_customer_follow_each_other_without_a_gap(shop, at):
    ann = shop.add(1)[0]
    for day, key in enumerate(["trusting", "trusting", "mixed", "anxious"]):
        shop.publish({ann: key}, at=at + timedelta(days=day))
    days = [
        (
            stay.segment.key,
            (stay.since - at).days,
            stay.until and (stay.until - at).days,
        )
        for stay in stays_of(ann)
    ]
    assert days == [("trusting", 0, 2), ("mixed", 2, 3), ("anxious", 3, None)]


def test_months_are_those_of_the_shops_calendar(settings):
    settings.TIME_ZONE = "Europe/London"
    months = months_until(datetime(2026, 3, 31, 23, 30, tzinfo=UTC), count=3)
    # Half past eleven in UTC is already April in London's summer time.
    assert [month.start.month for month in months] == [2, 3, 4]
    assert months[-1].start.utcoffset() == timedelta(hours=1)


def test_comings_and_goings_are_counted_by_month(shop, at):
    ann, ben, cat = shop.add(3)
    shop.publish({ann: "trusting", ben: "anxious", cat: "mixed"}, at=at)
    april = at + timedelta(days=31)
    shop.publish({ann: "anxious", ben: "trusting", cat: "anxious"}, at=april)
    months = comings_and_goings(segment("anxious"), months_until(april, count=2))
    assert [(one.came, one.first, one.left) for one in months] == [
        (0, 1, 0),
        (2, 0, 1),
    ]


def test_flows_of_a_month_are_added_up_over_its_runs(shop, at):
    ann, ben = shop.add(2)
    shop.publish({ann: "trusting", ben: "trusting"}, at=at)
    shop.publish({ann: "anxious", ben: "trusting"}, at=at + timedelta(days=1))
    shop.publish({ann: "anxious", ben: "anxious"}, at=at + timedelta(days=2))
    found = [
        (flow.month, flow.changes) for flow in flows(months_until(at)) if flow.start
    ]
    assert found == [(11, 2)]


@pytest.mark.parametrize("counted_live", [0, 5, 50])
def test_flows_are_the_same_however_many_are_counted_live(
    shop, at, monkeypatch, counted_live
):
    people = shop.add(8)
    expected = Counter()
    for month, key in enumerate(("anxious", "mixed", "trusting")):
        shop.publish(dict.fromkeys(people, key), at=at + timedelta(days=31 * month))
    pin_customer(
        people[0],
        segment=segment("mixed"),
        reason="Said so on the phone.",
        by=None,
        at=at + timedelta(days=70),
    )
    months = months_until(at + timedelta(days=80))
    for change in SegmentChange.objects.all():
        month = next(index for index, one in enumerate(months) if change.at < one.end)
        expected[month, change.from_segment_id, change.to_segment_id] += 1
    monkeypatch.setattr(history, "COUNTED_LIVE", counted_live)
    found = {(one.month, one.start, one.end): one.changes for one in flows(months)}
    assert found == expected
    assert len(found) == 4


def test_who_came_and_went_is_listed_newest_first_page_by_page(shop, at):
    people = shop.add(CHANGES_A_PAGE + 5)
    shop.publish(dict.fromkeys(people, "trusting"), at=at)
    shop.publish(dict.fromkeys(people, "anxious"), at=at + timedelta(days=1))
    first = entered(segment("anxious"))
    second = entered(segment("anxious"), after=cursor(first))
    assert len(first) == CHANGES_A_PAGE
    assert {one.customer for one in first + second} == set(people)
    assert (len(second), cursor(second)) == (5, "")
    assert len(left(segment("trusting"))) == CHANGES_A_PAGE
    assert len(entered(segment("anxious"), after="rubbish")) == CHANGES_A_PAGE


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01"]
)
def test_a_cursor_out_of_this_world_asks_for_the_first_page(shop, at, moment):
    people = shop.add(2)
    shop.publish(dict.fromkeys(people, "trusting"), at=at)
    assert len(entered(segment("trusting"), after=f"{moment}_1")) == 2


def test_a_shop_from_before_the_history_gets_it_from_its_runs(shop, at):
    people = shop.add(4)
    shop.publish(dict.fromkeys(people, "trusting"), at=at)
    shop.publish(dict.fromkeys(people, "anxious"), at=at + timedelta(days=1))
    columns = ["customer", "from_segment", "to_segment", "at"]
    whole = list(SegmentChange.objects.values_list(*columns))
    Publication.objects.all().delete()
    migration = import_module("segmentation.migrations.0005_publications_so_far")
    migration.record(apps, None)
    finish_publications()
    assert list(SegmentChange.objects.values_list(*columns)) == whole
    assert len(whole) == 8
