import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

import pytest
from django.db import OperationalError

from campaigns.sending import engine
from campaigns.sending.engine import run_once
from customers.models import Suppression
from engagement import inbox, services
from engagement.inbox import KEPT_FOR
from engagement.models import (
    DeadLetter,
    TrackingEvent,
    WebhookCall,
)

pytestmark = pytest.mark.django_db


def test_what_a_provider_posts_is_kept_before_it_is_answered(
    post, monkeypatch, sendgrid
):
    monkeypatch.setattr(inbox, "take_in", lambda *_, **__: 1 / 0)
    assert post("sendgrid", [sendgrid(1)]).status_code == 200
    call = WebhookCall.objects.get()
    assert json.loads(bytes(call.body)) == [sendgrid(1)]
    assert (call.done_at, call.left) == (None, None)
    assert "AUTHORIZATION" not in json.dumps(call.headers)
    assert "Basic" not in json.dumps(call.headers)


def test_the_same_call_again_is_one_call_and_no_new_event(post, sendgrid):
    for _ in range(3):
        assert post("sendgrid", [sendgrid(1), sendgrid(2)]).status_code == 200
    assert WebhookCall.objects.count() == 1
    assert TrackingEvent.objects.count() == 2


def test_a_process_that_dies_on_the_way_repeats_nothing_and_leaves_nothing(
    post, monkeypatch, at, sendgrid
):
    monkeypatch.setattr(inbox, "TOGETHER", 2)
    store, calls = services._store, []

    class Died(BaseException):
        pass

    def dies(events, messages):
        calls.append(len(events))
        if len(calls) == 3:
            raise Died
        return store(events, messages)

    with monkeypatch.context() as deadly:
        deadly.setattr(services, "_store", dies)
        with suppress(Died):
            post("sendgrid", [sendgrid(number) for number in range(7)])
    assert (TrackingEvent.objects.count(), calls) == (4, [2, 2, 2])
    assert WebhookCall.objects.get().left == [4, 5, 6]
    monkeypatch.setattr(
        services, "_store", lambda *given: calls.append(len(given[0])) or store(*given)
    )
    now = datetime.now(UTC)
    assert inbox.take_in_open(at=now) == 1
    assert inbox.take_in_open(at=now) == 0
    assert (TrackingEvent.objects.count(), calls[3:]) == (7, [2, 1])


def test_a_call_with_many_events_is_answered_before_all_are_taken_in(
    post, monkeypatch, sendgrid
):
    monkeypatch.setattr(inbox, "TOGETHER", 2)
    monkeypatch.setattr(inbox, "SECONDS_AT_ONCE", 0.0)
    post("sendgrid", [sendgrid(number) for number in range(5)])
    assert WebhookCall.objects.get().left == [2, 3, 4]
    inbox.take_in_open(at=datetime.now(UTC))
    assert TrackingEvent.objects.count() == 5


def test_a_database_that_is_away_makes_no_dead_letters(post, monkeypatch, at, sendgrid):
    def away(*_):
        raise OperationalError("the server went away")

    with monkeypatch.context() as broken:
        broken.setattr(services, "_store", away)
        assert post("sendgrid", [sendgrid(1)]).status_code == 200
        with pytest.raises(OperationalError):
            inbox.take_in_open(at=datetime.now(UTC))
    assert not DeadLetter.objects.exists()
    inbox.take_in_open(at=datetime.now(UTC))
    assert TrackingEvent.objects.count() == 1


def test_bodies_go_after_thirty_days_and_letters_keep_theirs(post, sendgrid):
    post("sendgrid", [sendgrid(1)])
    post("sendgrid", [sendgrid(2), "odd"])
    now = datetime.now(UTC)
    assert inbox.forget_old_calls(at=now + KEPT_FOR - timedelta(days=1)) == 0
    inbox.forget_old_calls(at=now + KEPT_FOR + timedelta(days=1))
    assert [call.dead_letters.count() for call in WebhookCall.objects.all()] == [1]
    assert TrackingEvent.objects.count() == 2


def test_a_complaint_is_heard_while_a_large_send_keeps_the_engine_busy(
    post, monkeypatch, sendgrid
):
    monkeypatch.setattr(inbox, "begin", lambda *_, **__: None)
    post("sendgrid", [sendgrid(1, "spamreport")])

    def busy(self, name, until):
        assert Suppression.objects.exists()
        sleep(max(0.0, until - monotonic()))
        return []

    monkeypatch.setattr(engine._Engine, "_pump", busy)
    with engine._Engine("a test", clock=lambda: datetime.now(UTC)) as one:
        one.turn(seconds=0.1)


def test_what_nobody_foresaw_in_one_call_holds_up_no_other(post, monkeypatch, sendgrid):
    monkeypatch.setattr(inbox, "begin", lambda *_, **__: None)
    for number in range(2):
        post("sendgrid", [sendgrid(number)])
    told, first = inbox._told, WebhookCall.objects.order_by("pk").first()

    def breaks(call):
        if call.pk == first.pk:
            raise RuntimeError
        return told(call)

    with monkeypatch.context() as broken:
        broken.setattr(inbox, "_told", breaks)
        now = datetime.now(UTC)
        assert inbox.take_in_open(at=now) == 2
        assert inbox.take_in_open(at=now) == 0
    assert TrackingEvent.objects.count() == 1
    inbox.take_in_open(at=now + inbox.TROUBLED_FOR)
    assert TrackingEvent.objects.count() == 2


def test_places_that_another_version_counted_are_let_go(post, sendgrid):
    post("sendgrid", [sendgrid(1), sendgrid(2)])
    WebhookCall.objects.update(left=[1, 5], done_at=None)
    assert inbox.take_in(WebhookCall.objects.get().pk, at=datetime.now(UTC))
    assert TrackingEvent.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_who_take_in_one_call_at_once_store_each_event_once(
    post, monkeypatch, at_once, sendgrid
):
    monkeypatch.setattr(inbox, "TOGETHER", 3)
    with monkeypatch.context() as kept_only:
        kept_only.setattr(inbox, "begin", lambda *_, **__: None)
        post("sendgrid", [sendgrid(number) for number in range(20)])
    pk, now = WebhookCall.objects.get().pk, datetime.now(UTC)

    def take_in():
        inbox.take_in(pk, at=now)

    assert at_once(take_in, take_in, take_in) == []
    assert TrackingEvent.objects.count() == 20
    assert WebhookCall.objects.get().done_at == now


def test_an_engine_takes_in_what_is_left_and_counts_what_moved(
    post, monkeypatch, sendgrid
):
    monkeypatch.setattr(inbox, "begin", lambda *_, **__: None)
    post("sendgrid", [sendgrid(1)])
    now = datetime.now(UTC)
    report = run_once(at=now)
    assert (report.beside, report.idle) == (1, False)
    assert TrackingEvent.objects.count() == 1
    assert run_once(at=now).idle


def test_trouble_beside_the_mail_does_not_end_the_engine(
    post, monkeypatch, db, sendgrid
):
    monkeypatch.setattr(inbox, "begin", lambda *_, **__: None)
    monkeypatch.setattr(engine, "BESIDE", [lambda *_: 1 / 0, *engine.BESIDE])
    post("sendgrid", [sendgrid(1)])
    assert run_once(at=datetime.now(UTC)).beside == 1
