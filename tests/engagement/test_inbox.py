import base64
import hashlib
import hmac
import json
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

import pytest
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.webhooks import amazon_ses
from django.conf import settings as django_settings
from django.db import OperationalError
from django.test import RequestFactory
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse

from campaigns.models import Batch, Message
from campaigns.sending import engine
from campaigns.sending.engine import run_once
from customers.models import Consent, Suppression
from engagement import inbox, services
from engagement.inbox import ASKED_AGAIN_AFTER, KEPT_FOR, PLACED_WITHIN
from engagement.models import (
    DeadLetter,
    MessageEngagement,
    TrackingEvent,
    WebhookCall,
)
from engagement.webhooks import provider_webhooks

pytestmark = pytest.mark.django_db
LATER = timedelta(seconds=31)


@pytest.fixture
def post(at):
    """What a provider posts, by who knows the password, to an address of its own."""

    def send(provider, said, *, content_type="application/json", login=None, **more):
        (address,) = provider_webhooks(provider)
        login = login or f"attune:{django_settings.WEBHOOK_SECRET}"
        body = said if isinstance(said, (bytes, str)) else json.dumps(said)
        request = RequestFactory().generic(
            "POST",
            f"/anymail/{provider}/tracking/",
            body,
            content_type=content_type,
            headers={
                "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
                **more,
            },
        )
        return address.callback(request)

    return send


def sendgrid(number, event="delivered", **more):
    return {
        "event": event,
        "email": f"p{number}@example.com",
        "sg_message_id": f"m{number}",
        "smtp-id": f"<m{number}>",
        "sg_event_id": f"e{number}{event}",
        "timestamp": 1461095246 + number,
    } | more


def keys():
    return set(TrackingEvent.objects.values_list("dedupe_key", flat=True))


def test_what_a_provider_posts_is_kept_before_it_is_answered(post, monkeypatch):
    monkeypatch.setattr(inbox, "take_in", lambda *_, **__: 1 / 0)
    assert post("sendgrid", [sendgrid(1)]).status_code == 200
    call = WebhookCall.objects.get()
    assert json.loads(bytes(call.body)) == [sendgrid(1)]
    assert (call.done_at, call.left) == (None, None)
    assert "AUTHORIZATION" not in json.dumps(call.headers)
    assert "Basic" not in json.dumps(call.headers)


def test_the_same_call_again_is_one_call_and_no_new_event(post):
    for _ in range(3):
        assert post("sendgrid", [sendgrid(1), sendgrid(2)]).status_code == 200
    assert WebhookCall.objects.count() == 1
    assert TrackingEvent.objects.count() == 2


def test_one_malformed_event_costs_none_of_the_others(post):
    events = [sendgrid(1), {"event": "bounce", "timestamp": "soon"}, sendgrid(3)]
    events.insert(2, "not even an object")
    assert post("sendgrid", events).status_code == 200
    assert TrackingEvent.objects.count() == 2
    first, second = DeadLetter.objects.order_by("place")
    assert (first.place, second.place) == (1, 2)
    assert "soon" in first.said
    assert first.problem.startswith("TypeError:")
    assert WebhookCall.objects.get().done_at is not None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1", b"\xff\xfe", b"null", b"7", b'{"a": [1], "b": [2]}']
)
def test_what_is_no_report_at_all_is_a_letter_and_no_error(post, body):
    assert post("sendgrid", body).status_code == 200
    letter = DeadLetter.objects.get()
    assert letter.place == inbox.WHOLE
    assert letter.problem
    assert not TrackingEvent.objects.exists()


def test_an_event_that_breaks_something_costs_none_of_the_others(post, monkeypatch):
    store = services._store

    def breaks(events, messages):
        if any(event.recipient == "p2@example.com" for event in events):
            raise ValueError("nobody foresaw this")
        return store(events, messages)

    monkeypatch.setattr(services, "_store", breaks)
    post("sendgrid", [sendgrid(number) for number in range(5)])
    assert TrackingEvent.objects.count() == 4
    letter = DeadLetter.objects.get()
    assert letter.place == 2
    assert "nobody foresaw this" in letter.problem


def test_a_letter_is_taken_in_once_more_when_a_person_says_so(post, monkeypatch, at):
    with monkeypatch.context() as broken:
        broken.setattr(services, "_store", lambda *_: 1 / 0)
        post("sendgrid", [sendgrid(1), sendgrid(2)])
    assert not TrackingEvent.objects.exists()
    one, two = DeadLetter.objects.all()
    inbox.try_again(one, at=at)
    inbox.try_again(one, at=at)
    assert TrackingEvent.objects.count() == 1
    inbox.try_again(two, at=at)
    assert TrackingEvent.objects.count() == 2
    assert not DeadLetter.objects.exists()


def test_letters_have_a_page_with_a_way_back_and_a_line_on_home(
    admin_client, post, monkeypatch
):
    with monkeypatch.context() as broken:
        broken.setattr(services, "_store", lambda *_: 1 / 0)
        post("sendgrid", [sendgrid(1)])
    post("sendgrid", b"{")
    home = admin_client.get(reverse("admin:index")).content.decode()
    assert "2 reports of the provider not understood" in home
    listing = reverse("admin:engagement_deadletter_changelist")
    assert "ZeroDivisionError" in admin_client.get(listing).content.decode()
    letters = list(DeadLetter.objects.values_list("pk", flat=True))
    page = admin_client.get(
        reverse("admin:engagement_deadletter_change", args=letters[:1])
    )
    assert page.status_code == 200
    admin_client.post(
        listing, {"action": "try_again", "_selected_action": letters}, follow=True
    )
    assert TrackingEvent.objects.count() == 1
    assert DeadLetter.objects.get().place == inbox.WHOLE


def test_who_does_not_know_the_password_leaves_nothing(post):
    with pytest.raises(Exception, match="basic auth"):
        post("sendgrid", [sendgrid(1)], login="attune:guess")
    assert not WebhookCall.objects.exists()


def test_a_process_that_dies_on_the_way_repeats_nothing_and_leaves_nothing(
    post, monkeypatch, at
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


def test_a_call_with_many_events_is_answered_before_all_are_taken_in(post, monkeypatch):
    monkeypatch.setattr(inbox, "TOGETHER", 2)
    monkeypatch.setattr(inbox, "SECONDS_AT_ONCE", 0.0)
    post("sendgrid", [sendgrid(number) for number in range(5)])
    assert WebhookCall.objects.get().left == [2, 3, 4]
    inbox.take_in_open(at=datetime.now(UTC))
    assert TrackingEvent.objects.count() == 5


def test_a_database_that_is_away_makes_no_dead_letters(post, monkeypatch, at):
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


@pytest.fixture
def on_its_way(message):
    """A mail whose provider has not answered yet."""
    batch = Batch.objects.create(
        send=message.send,
        variant=message.send.variants.first(),
        state=Batch.State.HANDING_OVER,
        not_before=message.handed_over_at,
    )
    Message.objects.filter(pk=message.pk).update(state="handing_over", batch=batch)
    return batch


def test_a_report_that_overtakes_the_answer_waits_for_its_message(
    post, message, on_its_way
):
    complaint = sendgrid(1, "spamreport", email=message.address_wire)
    post("sendgrid", [complaint, sendgrid(2)])
    # The no counts at once, what it is told of a little later.
    assert Suppression.objects.get().reason == Suppression.Reason.COMPLAINED
    assert TrackingEvent.objects.count() == 0
    call = WebhookCall.objects.get()
    now = call.received_at
    assert call.not_before == now + ASKED_AGAIN_AFTER
    assert inbox.take_in_open(at=now) == 0
    Message.objects.filter(pk=message.pk).update(
        state="accepted", provider_message_id="<m1>"
    )
    Batch.objects.update(state=Batch.State.DONE)
    assert inbox.take_in_open(at=now + ASKED_AGAIN_AFTER) == 1
    told = TrackingEvent.objects.filter(message=message)
    assert [event.event_type for event in told] == ["complained"]
    assert TrackingEvent.objects.count() == 2


def test_what_belongs_to_no_message_of_ours_waits_no_longer_than_ten_minutes(
    post, message, on_its_way
):
    post("sendgrid", [sendgrid(2)])
    now = WebhookCall.objects.get().received_at
    assert inbox.take_in_open(at=now + ASKED_AGAIN_AFTER) == 1
    assert not TrackingEvent.objects.exists()
    inbox.take_in_open(at=now + PLACED_WITHIN)
    assert TrackingEvent.objects.get().message is None
    assert WebhookCall.objects.get().done_at is not None


def test_bodies_go_after_thirty_days_and_letters_keep_theirs(post):
    post("sendgrid", [sendgrid(1)])
    post("sendgrid", [sendgrid(2), "odd"])
    now = datetime.now(UTC)
    assert inbox.forget_old_calls(at=now + KEPT_FOR - timedelta(days=1)) == 0
    inbox.forget_old_calls(at=now + KEPT_FOR + timedelta(days=1))
    assert [call.dead_letters.count() for call in WebhookCall.objects.all()] == [1]
    assert TrackingEvent.objects.count() == 2


def reports(message):
    """What a provider may tell of one mail, and of an address that it cannot place."""
    about = {"email": message.address_wire, "d": str(message.public_id)}
    return [
        sendgrid(1, "delivered", **about),
        sendgrid(2, "open", **about, useragent="Mozilla/5.0 (Windows NT 10.0)"),
        sendgrid(3, "click", **about, useragent="Mozilla/5.0 (X)", url="https://x.y/"),
        sendgrid(4, "bounce", **about, type="bounce", status="5.1.1"),
        sendgrid(5, "spamreport", **about),
        sendgrid(6, "unsubscribe"),
        sendgrid(7, "dropped", reason="Invalid"),
    ]


def state():
    engagement = MessageEngagement.objects.values(
        "delivered_at", "opened_at", "clicked_at", "bounced_at", "complained_at"
    )
    return (
        keys(),
        list(engagement),
        set(Suppression.objects.values_list("address", "reason")),
        sorted(Consent.objects.values_list("customer", "purpose", "basis")),
        sorted(Message.objects.values_list("pk", "state")),
    )


@pytest.mark.parametrize("seed", range(20))
def test_any_order_repetition_and_delay_gives_the_same(post, message, seed):
    chance, said = random.Random(seed), reports(message)
    Message.objects.filter(pk=message.pk).update(state="in_doubt")
    post("sendgrid", said)
    expected = state()
    assert len(expected[0]) == 7
    for model in (TrackingEvent, MessageEngagement, Suppression, WebhookCall):
        model.objects.all().delete()
    Consent.objects.filter(basis="withdrawn").delete()
    Message.objects.filter(pk=message.pk).update(state="in_doubt")
    again = said + chance.choices(said, k=5)
    chance.shuffle(again)
    while again:
        some = [again.pop() for _ in range(min(len(again), chance.randint(1, 4)))]
        post("sendgrid", some)
        if chance.random() < 0.3:
            inbox.take_in_open(at=datetime.now(UTC))
    found = state()
    assert found[:2] == expected[:2]
    # Of two reasons never to mail somebody the first that was heard is kept.
    assert {one for one, _ in found[2]} == {one for one, _ in expected[2]}
    assert found[3:] == expected[3:]


def captured(shared_data):
    lines = (shared_data / "webhooks/esp_tracking_webhooks.jsonl").read_text()
    return [json.loads(line) for line in lines.splitlines()]


def test_what_providers_really_sent_is_read_as_it_should_be(
    shared_data, post, settings
):
    settings.ANYMAIL = settings.ANYMAIL | {
        "MAILGUN_WEBHOOK_SIGNING_KEY": "a key",
        # As the library's own test of that report has it.
        "SPARKPOST_TRACK_INITIAL_OPEN_AS_OPENED": True,
    }
    calls = 0
    for one in captured(shared_data):
        said, kind = one["payload"], one["content_type"]
        if one["esp"] == "mailgun":
            _sign(said, key=b"a key")
        form = kind == "multipart/form-data" and one["esp"] == "mailgun"
        if form:
            said, kind = encode_multipart(BOUNDARY, said), MULTIPART_CONTENT
        else:
            kind = "application/json"
        before = TrackingEvent.objects.count()
        headers = {
            "svix-id": one["expected_events"][0].get("event_id") or "msg_1",
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": one["payload"]["MessageId"]
            if one["esp"] == "amazon_ses"
            else "",
        }
        answer = post(one["esp"], said, content_type=kind, **headers)
        assert answer.status_code == 200, one["case"]
        call = WebhookCall.objects.latest("pk")
        told = list(inbox._told(call))
        for event, expected in zip(told, one["expected_events"], strict=False):
            _compare(event, expected, one["case"])
        assert len(told) >= len(one["expected_events"]), one["case"]
        assert TrackingEvent.objects.count() >= before
        calls += 1
    assert calls == 56
    assert not DeadLetter.objects.exists()
    assert not WebhookCall.objects.filter(done_at=None).exists()


def _sign(said, *, key):
    """As Mailgun does; what was captured is signed with a key that nobody has."""
    where = said.setdefault("signature", {}) if "event-data" in said else said
    where.setdefault("token", "t" * 50)
    where.setdefault("timestamp", "1461095246")
    signed = f"{where['timestamp']}{where['token']}".encode()
    where["signature"] = hmac.new(key, signed, hashlib.sha256).hexdigest()


def _compare(event, expected, case):
    assert event.event_type == expected["event_type"], case
    names = {"recipient": "recipient", "message_id": "provider_message_id"}
    names |= {"event_id": "event_id", "reject_reason": "reject_reason"}
    for theirs, ours in names.items():
        if expected.get(theirs) is not None:
            assert getattr(event, ours) == expected[theirs], (case, theirs)
    if expected.get("timestamp"):
        assert event.occurred_at == datetime.fromisoformat(expected["timestamp"]), case
    if expected.get("click_url"):
        assert event.detail["url"] == expected["click_url"][:500], case


def test_every_provider_of_anymail_has_an_address_of_its_own():
    for provider in inbox.tracking_views():
        (address,) = provider_webhooks(provider)
        assert provider in str(address.pattern)
    assert provider_webhooks("no such provider") == []


def test_a_call_is_cut_into_its_events_whatever_list_holds_them():
    batches = {
        "application/json": [[1, 2], {"events": [1, 2], "tags": ["a"]}],
        "application/x-www-form-urlencoded": ["mandrill_events=%5B1%2C2%5D"],
    }
    for kind, bodies in batches.items():
        for body in bodies:
            raw = body if isinstance(body, str) else json.dumps(body)
            assert len(list(inbox._pieces(raw.encode(), kind))) == 2
    for body in (b"{}", b'{"tags": ["a", "b"]}', b"3"):
        assert list(inbox._pieces(body, "application/json")) == []


def test_a_complaint_is_heard_while_a_large_send_keeps_the_engine_busy(
    post, monkeypatch
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


def test_a_provider_that_is_in_use_no_more_holds_up_nobody(post, monkeypatch):
    now = datetime.now(UTC)
    old = WebhookCall.objects.create(
        provider="mailersend",
        body=b"{}",
        sha256="x",
        received_at=now - timedelta(hours=1),
        not_before=now - timedelta(hours=1),
    )
    monkeypatch.setattr(inbox, "begin", lambda *_, **__: None)
    post("sendgrid", [sendgrid(1)])
    assert inbox.take_in_open(at=datetime.now(UTC)) == 2
    assert TrackingEvent.objects.count() == 1
    letter = DeadLetter.objects.get(call=old, place=inbox.WHOLE)
    assert "mailersend" in letter.problem.lower()
    monkeypatch.undo()
    inbox.try_again(letter, at=now)
    assert DeadLetter.objects.get().call == old


def test_what_nobody_foresaw_in_one_call_holds_up_no_other(post, monkeypatch):
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


def test_half_a_sign_in_an_address_holds_up_nobody(post, message, on_its_way):
    said = [sendgrid(1, email="x\ud800@example.com"), sendgrid(2, "spamreport")]
    post("sendgrid", json.dumps(said))
    assert {one.address for one in Suppression.objects.all()} == {"p2@example.com"}
    call = WebhookCall.objects.get()
    inbox.take_in_open(at=call.received_at + PLACED_WITHIN)
    assert TrackingEvent.objects.count() == 2


def test_places_that_another_version_counted_are_let_go(post):
    post("sendgrid", [sendgrid(1), sendgrid(2)])
    WebhookCall.objects.update(left=[1, 5], done_at=None)
    assert inbox.take_in(WebhookCall.objects.get().pk, at=datetime.now(UTC))
    assert TrackingEvent.objects.count() == 2


def test_who_waits_for_a_message_keeps_no_complaint_waiting(
    post, message, on_its_way, monkeypatch
):
    monkeypatch.setattr(inbox, "TOGETHER", 2)
    monkeypatch.setattr(inbox, "SECONDS_AT_ONCE", 0.0)
    post("sendgrid", [sendgrid(1), sendgrid(2), sendgrid(3, "spamreport")])
    call = WebhookCall.objects.get()
    assert call.left == [2, 0, 1]
    inbox.take_in(call.pk, at=datetime.now(UTC), until=0)
    assert Suppression.objects.get().address == "p3@example.com"


def test_a_subscription_that_could_not_be_confirmed_is_asked_for_again(
    post, monkeypatch
):
    def away(*_, **__):
        raise ConnectionError

    monkeypatch.setattr(amazon_ses.AmazonSESBaseWebhookView, "get_boto_client", away)
    kind = "SubscriptionConfirmation"
    said = {"Type": kind, "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:1:t"}
    headers = {"x-amz-sns-message-type": kind, "x-amz-sns-message-id": "m"}
    for _ in range(2):
        with pytest.raises(ConnectionError):
            post("amazon_ses", said | {"Token": "t"}, **headers)
    assert not WebhookCall.objects.exists()


def test_a_signature_that_does_not_fit_leaves_nothing(post, settings):
    settings.ANYMAIL = settings.ANYMAIL | {"MAILGUN_WEBHOOK_SIGNING_KEY": "a key"}
    bad = {"token": "t", "timestamp": "1", "signature": "bad"}
    for body, kind in (
        (json.dumps({"signature": bad, "event-data": {}}), "application/json"),
        ("token=t&timestamp=1&signature=bad", "application/x-www-form-urlencoded"),
    ):
        with pytest.raises(AnymailWebhookValidationFailure):
            post("mailgun", body, content_type=kind)
    assert not WebhookCall.objects.exists()


def test_a_letter_is_forgotten_when_a_person_says_so(admin_client, post):
    post("sendgrid", b"{")
    listing = reverse("admin:engagement_deadletter_changelist")
    chosen = list(DeadLetter.objects.values_list("pk", flat=True))
    admin_client.post(listing, {"action": "dismiss", "_selected_action": chosen})
    assert not DeadLetter.objects.exists()
    now = datetime.now(UTC)
    assert inbox.forget_old_calls(at=now + KEPT_FOR + timedelta(days=1)) == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_take_in_one_call_at_once_store_each_event_once(
    post, monkeypatch, at_once
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


def test_an_engine_takes_in_what_is_left_and_counts_what_moved(post, monkeypatch):
    monkeypatch.setattr(inbox, "begin", lambda *_, **__: None)
    post("sendgrid", [sendgrid(1)])
    now = datetime.now(UTC)
    report = run_once(at=now)
    assert (report.beside, report.idle) == (1, False)
    assert TrackingEvent.objects.count() == 1
    assert run_once(at=now).idle


def test_trouble_beside_the_mail_does_not_end_the_engine(post, monkeypatch, db):
    monkeypatch.setattr(inbox, "begin", lambda *_, **__: None)
    monkeypatch.setattr(engine, "BESIDE", [lambda *_: 1 / 0, *engine.BESIDE])
    post("sendgrid", [sendgrid(1)])
    assert run_once(at=datetime.now(UTC)).beside == 1
