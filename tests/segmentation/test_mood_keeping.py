import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.sending import engine
from segmentation import mood_keeping
from segmentation.models import EmotionScore, KeptMood
from segmentation.mood_keeping import (
    mood_for_page,
    mood_waits,
    read_mood,
    work_out_mood,
)
from segmentation.services import fit_run, refresh_if_needed

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def large(shop, at, monkeypatch):
    """Sixty texts of two months, where a page reads ten and a step adds seven."""
    monkeypatch.setattr(mood_keeping, "READ_AT_ONCE", 10)
    monkeypatch.setattr(mood_keeping, "TEXTS_A_STEP", 7)
    people = shop.add(20)
    for n in range(60):
        family = "anger" if n < 25 else "joy" if n % 3 else "trust"
        shop.read(people[n % 20], at - timedelta(days=n), family=family)
    return people


def same(one, other):
    """Nothing but the moment at which it was worked out is another."""
    return {**one.to_json(), "shares": 0, "changes": 0} == {
        **other.to_json(),
        "shares": 0,
        "changes": 0,
    } and (
        one.shares == pytest.approx(other.shares)
        and all(
            (a.family, a.clear) == (b.family, b.clear)
            and (a.now, a.low, a.high) == pytest.approx((b.now, b.low, b.high))
            for a, b in zip(one.changes or (), other.changes or (), strict=True)
        )
    )


def kept(at):
    mood, to_come = mood_for_page(at=at)
    assert not to_come
    return mood


def test_few_texts_are_read_as_they_are(shop, at):
    (ann,) = shop.add(1)
    assert mood_for_page(at=at) == (None, False)
    shop.read(ann, at - DAY)
    assert kept(at).texts_now == 1
    assert not mood_waits(at=at)
    assert kept(at).kept_at is None


def test_of_many_texts_nothing_is_read_until_it_is_worked_out(large, at):
    assert mood_for_page(at=at) == (None, True)
    assert mood_waits(at=at)
    assert work_out_mood(at=at)
    found = kept(at + HOUR)
    assert same(found, read_mood(at=at))
    assert found.changes is not None
    assert (found.kept_at, found.texts_now) == (at, 30)


def test_killed_after_any_step_it_goes_on_from_there(large, at):
    steps = 0
    while not work_out_mood(at=at, until=time.monotonic()):
        steps += 1
        # The next process finds it free and carries on.
        assert mood_waits(at=at)
    # To begin, and nine times seven texts.
    assert steps == 10
    assert same(kept(at), read_mood(at=at))


def test_killed_within_a_step_no_text_is_added_twice(large, at, monkeypatch):
    add_next, calls = mood_keeping._add_next, []

    def dies_in_the_third(tally, **given):
        calls.append(add_next(tally, **given))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(mood_keeping, "_add_next", dies_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        work_out_mood(at=at)
    assert mood_for_page(at=at) == (None, True)
    assert work_out_mood(at=at)
    assert same(kept(at), read_mood(at=at))


def test_two_at_once_add_no_text_twice(large, at, monkeypatch):
    add_next, overtaken = mood_keeping._add_next, []

    def overtaking(tally, **given):
        if len(overtaken) < 3:
            overtaken.append(given)
            work_out_mood(at=at, until=time.monotonic())
        return add_next(tally, **given)

    monkeypatch.setattr(mood_keeping, "_add_next", overtaking)
    assert work_out_mood(at=at)
    assert len(overtaken) == 3
    assert same(kept(at), read_mood(at=at))


def test_who_is_at_it_is_left_alone_until_they_are_silent_for_long(large, at):
    KeptMood.objects.create(pk=1, begun_at=at, as_of=at, worked_at=at)
    assert not mood_waits(at=at + timedelta(seconds=14))
    assert mood_waits(at=at + timedelta(seconds=15))


def test_what_was_kept_is_shown_until_the_next_is_worked_out(large, at):
    work_out_mood(at=at)
    assert not mood_waits(at=at + DAY - HOUR)
    assert mood_waits(at=at + DAY)
    work_out_mood(at=at + DAY, until=time.monotonic())
    assert kept(at + DAY).kept_at == at
    work_out_mood(at=at + DAY)
    assert kept(at + DAY).kept_at == at + DAY
    assert same(kept(at + DAY), read_mood(at=at + DAY))


def test_what_was_begun_long_ago_is_begun_anew(large, at):
    work_out_mood(at=at, until=time.monotonic())
    work_out_mood(at=at, until=time.monotonic())
    assert work_out_mood(at=at + DAY)
    assert same(kept(at + DAY), read_mood(at=at + DAY))


def test_a_shop_long_silent_is_read_as_of_its_newest_text(large, at):
    later = at + timedelta(days=100)
    work_out_mood(at=later)
    assert (kept(later).stale, kept(later).as_of, kept(later).kept_at) == (
        True,
        at,
        later,
    )
    assert same(kept(later), read_mood(at=later))


def test_texts_that_could_not_be_read_make_no_mood(large, at):
    EmotionScore.objects.update(families=b"")
    work_out_mood(at=at)
    assert kept(at) is None


@pytest.mark.parametrize("silent", [timedelta(), timedelta(days=100)])
def test_a_fit_keeps_the_mood_of_the_texts_it_has_read(large, at, silent):
    work_out_mood(at=at, until=time.monotonic())
    fit_run(at=at + silent)
    assert kept(at + silent).kept_at == at + silent
    assert same(kept(at + silent), read_mood(at=at + silent))
    assert not mood_waits(at=at + silent + HOUR)


def test_a_fit_as_of_long_ago_replaces_no_later_mood(large, at):
    work_out_mood(at=at)
    fit_run(at=at - timedelta(days=30))
    assert kept(at).kept_at == at


def test_the_engine_works_it_out_when_the_mail_is_out(large, at):
    assert not engine.run_once(at=at).idle
    assert kept(at).texts_now == 30
    assert engine.run_once(at=at + HOUR).idle


def test_the_timetable_works_it_out_once_a_day(large, at, monkeypatch):
    refresh_if_needed(at=at)
    assert kept(at).kept_at == at
    refresh_if_needed(at=at + HOUR)
    assert kept(at).kept_at == at
    refresh_if_needed(at=at + DAY)
    assert kept(at).kept_at == at + DAY


def home(client):
    return client.get(reverse("admin:index")).content.decode()


def test_the_home_page_says_of_when_the_mood_is(large, at, admin_client):
    shown = home(admin_client)
    assert "How customers sound is being worked out" in shown
    assert "Nothing has been read yet" not in shown
    work_out_mood(at=at)
    assert "Read from 30 texts of the 30 days up to" in home(admin_client)


def test_looking_at_the_home_page_works_nothing_out(large, admin_client):
    home(admin_client)
    assert not KeptMood.objects.exists()


def test_the_home_page_asks_as_much_of_more_texts(shop, large, at, admin_client):
    work_out_mood(at=at)
    home(admin_client)
    with CaptureQueriesContext(connection) as before:
        home(admin_client)
    for n in range(40):
        shop.read(large[n % 20], at - timedelta(days=n))
    with CaptureQueriesContext(connection) as after:
        home(admin_client)
    assert len(after) == len(before)
    of_texts = [
        one["sql"]
        for one in after
        if '"families"' in one["sql"] or 'MAX("segmentation_emotionscore"' in one["sql"]
    ]
    assert of_texts == []
