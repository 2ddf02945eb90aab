import hashlib
import hmac
import json
import random
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
import time_machine
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from campaigns.models import Message
from customers.models import Consent, Customer, Suppression
from engagement import inbox
from engagement.models import (
    DeadLetter,
    MessageEngagement,
    TrackingEvent,
    WebhookCall,
)
from tests.engagement.signing import SIGNING_KEYS

pytestmark = pytest.mark.django_db
DAY = "2023-11-14"


def reports(message, sendgrid):
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
    engagement = MessageEngagement.objects.order_by("message").values(
        "message",
        "delivered_at",
        "opened_at",
        "clicked_at",
        "bounced_at",
        "complained_at",
    )
    return (
        set(TrackingEvent.objects.values_list("dedupe_key", "occurred_at", "message")),
        list(engagement),
        set(Suppression.objects.values_list("address", "reason")),
        sorted(Consent.objects.values_list("customer", "purpose", "basis")),
        sorted(Message.objects.values_list("pk", "state")),
    )


@pytest.mark.parametrize("seed", range(20))
def test_any_order_repetition_and_delay_gives_the_same(post, message, sendgrid, seed):
    chance, said = random.Random(seed), reports(message, sendgrid)
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


SECRETS = {
    **SIGNING_KEYS,
    # As the library's own test of that report has it.
    "SPARKPOST_TRACK_INITIAL_OPEN_AS_OPENED": True,
}
FORM = "application/x-www-form-urlencoded"


def documented(to, public_id):
    """Of providers that nobody captured: delivered, bounced, complained, as their
    documents have it."""
    about = {"d": str(public_id)}

    def mandrill(kind, number):
        said = {"event": kind, "ts": 1700000000 + number, "_id": f"m{number}"}
        event = said | {"msg": {"email": to, "metadata": about}}
        return urlencode({"mandrill_events": json.dumps([event])})

    def mailersend(kind, number):
        data = {"type": kind, "id": f"e{number}", "created_at": f"{DAY}T09:0{number}Z"}
        email = {"recipient": {"email": to}, "message": {"id": "m1"}}
        morph = {"object": "recipient_bounce", "reason": "no such user"}
        return {"type": f"activity.{kind}", "data": data | {"email": email}} | (
            {"data": data | {"email": email, "morph": morph}}
            if "bounce" in kind
            else {}
        )

    def mailtrap(kind, number):
        event = {"event": kind, "timestamp": 1700000000 + number, "email": to}
        more = {"message_id": "m1", "event_id": f"e{number}", "custom_variables": about}
        return {"events": [event | more]}

    def postal(payload, number):
        said = {"timestamp": 1700000000 + number, "uuid": f"e{number}"}
        return said | {"payload": {"message": {"id": "m1", "to": to}} | payload}

    def unisender(kind, number, **info):
        event = {"status": kind, "event_time": f"{DAY} 09:0{number}:00", "email": to}
        event |= {"metadata": about, "delivery_info": info}
        name = "transactional_email_status"
        events = [{"event_name": name, "event_data": event}]
        return {"auth": "x", "events_by_user": [{"user_id": 1, "events": events}]}

    return {
        "mandrill": [
            mandrill(kind, number)
            for number, kind in enumerate(
                ["open", "hard_bounce", "soft_bounce", "spam"]
            )
        ],
        "mailersend": [
            mailersend(kind, number)
            for number, kind in enumerate(
                ["delivered", "soft_bounced", "hard_bounced", "spam_complaint"]
            )
        ],
        "mailtrap": [
            mailtrap(kind, number)
            for number, kind in enumerate(["delivery", "soft bounce", "bounce", "spam"])
        ],
        "postal": [
            postal({"status": "Sent"}, 1),
            postal({"status": "SoftFail"}, 2),
            postal({"bounce": {"id": 1}}, 3),
            postal({"url": "https://shop.example/"}, 4),
        ],
        "unisender_go": [
            unisender("delivered", 1),
            unisender("soft_bounced", 2, delivery_status="err_will_retry"),
            unisender("hard_bounced", 3, delivery_status="err_user_unknown"),
            unisender("spam", 4),
        ],
    }


@pytest.fixture
def keep(rf):
    """Keeps what Anymail's view has let in: who may call is asked elsewhere."""

    def do(provider, said, *, kind="application/json", at, **headers):
        body = said if isinstance(said, (bytes, str)) else json.dumps(said)
        request = rf.generic("POST", "/", body, content_type=kind, headers=headers)
        assert inbox.keep(provider, request, at=at)

    return do


def _in_order_and_otherwise(calls, keep, *, seed, late):
    """The state after these calls as they came, and after they came any other way."""
    states, chance, now = [], random.Random(seed), datetime.now(UTC)
    for mixed in (False, True):
        Message.objects.update(state="in_doubt")
        again = [*calls, *chance.choices(calls, k=5)] if mixed else list(calls)
        if mixed:
            chance.shuffle(again)
        for call in again:
            delay = timedelta(hours=chance.randint(0, 100) if mixed and late else 0)
            keep(**call, at=now + delay)
        inbox.take_in_open(at=now + timedelta(days=30))
        assert not WebhookCall.objects.filter(done_at=None).exists()
        assert not DeadLetter.objects.exists()
        states.append(state())
        for model in (TrackingEvent, MessageEngagement, Suppression, WebhookCall):
            model.objects.all().delete()
        Consent.objects.filter(basis="withdrawn").delete()
    return states


def _same(expected, found):
    assert found[:2] == expected[:2]
    # Of two reasons never to mail somebody the first that was heard is kept.
    assert {one for one, _ in found[2]} == {one for one, _ in expected[2]}
    assert found[3:] == expected[3:]


@pytest.mark.parametrize("provider", sorted(documented("a@x.example", 1)))
@pytest.mark.parametrize("seed", range(4))
def test_documented_reports_in_any_order_end_in_the_same_state(
    keep, message, settings, provider, seed
):
    settings.ANYMAIL = settings.ANYMAIL | SECRETS
    Message.objects.update(provider_message_id="m1")
    kind = FORM if provider == "mandrill" else "application/json"
    calls = [
        {"provider": provider, "said": said, "kind": kind}
        for said in documented(message.address_wire, message.public_id)[provider]
    ]
    expected, found = _in_order_and_otherwise(calls, keep, seed=seed, late=True)
    _same(expected, found)
    assert len(expected[0]) == 4
    assert {one for *_, one in expected[0]} == {message.pk}
    assert [address for address, _ in expected[2]] == [message.address_wire]
    assert expected[4] == [(message.pk, "accepted")]


CAPTURED = (
    "amazon_ses brevo mailgun mailjet postmark resend sendgrid sparkpost sendinblue"
)


@pytest.mark.parametrize("provider", CAPTURED.split())
@pytest.mark.parametrize("seed", range(2))
def test_captured_reports_in_any_order_end_in_the_same_state(
    shared_data, keep, message_to, settings, provider, seed, at
):
    settings.ANYMAIL = settings.ANYMAIL | SECRETS
    # Brevo under its old name is read as Brevo is.
    rows = captured(shared_data)
    theirs = [
        one for one in rows if one["esp"] == provider.replace("sendinblue", "brevo")
    ]
    calls = [_call(provider, one, number) for number, one in enumerate(theirs)]
    told = _read(calls, keep, at)
    names = {one.recipient: one for one in told if one.provider_message_id}
    for number, (recipient, event) in enumerate(sorted(names.items())):
        email = f"p{number}@example.com"
        person = Customer.objects.create(external_id=str(number), email=email)
        message = message_to(person)
        message.address_wire = recipient
        message.provider_message_id = event.provider_message_id
        message.save()
    # What bears no time of its own counts from when it came.
    late = all(one.occurred_at != at for one in told)
    expected, found = _in_order_and_otherwise(calls, keep, seed=seed, late=late)
    _same(expected, found)
    assert len(expected[0]) > 2
    assert {one for *_, one in expected[0]} - {None}


def _read(calls, keep, at):
    for call in calls:
        keep(**call, at=at)
    told = [one for call in WebhookCall.objects.all() for one in inbox._told(call)]
    for model in (TrackingEvent, Suppression, WebhookCall):
        model.objects.all().delete()
    return told


def _call(provider, one, number):
    said, kind = one["payload"], "application/json"
    if provider == "mailgun":
        _sign(said, key=b"a key")
    if one["content_type"] == "multipart/form-data" and provider == "mailgun":
        said, kind = encode_multipart(BOUNDARY, said), MULTIPART_CONTENT
    headers = {"svix-id": f"msg_{number}", "x-amz-sns-message-type": "Notification"}
    return {"provider": provider, "said": said, "kind": kind} | headers


def test_every_provider_that_anymail_reads_is_mixed_up_above():
    assert {*CAPTURED.split(), *documented("a@x.example", 1)} == {
        *inbox.tracking_views()
    }


@pytest.mark.parametrize(
    ("kind", "suppressed"), [("hard_bounce", True), ("soft_bounce", False)]
)
def test_a_hard_bounce_of_mandrill_suppresses_though_anymail_gives_no_reason(
    keep, message, settings, at, kind, suppressed
):
    settings.ANYMAIL = settings.ANYMAIL | SECRETS
    event = {"event": kind, "ts": 1700000000, "_id": "m1"}
    event["msg"] = {"email": message.address_wire, "metadata": {}}
    said = urlencode({"mandrill_events": json.dumps([event])})
    keep("mandrill", said, kind=FORM, at=at)
    assert Suppression.objects.exists() == suppressed


def captured(shared_data):
    lines = (shared_data / "webhooks/esp_tracking_webhooks.jsonl").read_text()
    return [json.loads(line) for line in lines.splitlines()]


# Of two people who bounced, those who captured the call name the first.
NOT_NAMED = {"test_multiple_bounce_event": 1}
# Brevo tells of a first open twice: as an open and as a unique one.
KNOWN_ALREADY = {"test_unique_opened_event": 1}


def test_what_providers_really_sent_is_read_as_it_should_be(
    shared_data, post, amazon, settings
):
    settings.ANYMAIL = settings.ANYMAIL | SECRETS
    calls = 0
    for one in captured(shared_data):
        said, kind = one["payload"], one["content_type"]
        moment = datetime.now(UTC)
        if one["esp"] == "mailgun":
            moment = _sign(said, key=b"a key")
        if one["esp"] == "amazon_ses":
            now = {"Timestamp": moment.isoformat(), "TopicArn": settings.SES_TOPICS[0]}
            said = amazon(said | now | {"SigningCertURL": amazon.certificate})
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
        with time_machine.travel(moment):
            answer = post(one["esp"], said, content_type=kind, **headers)
        assert answer.status_code == 200, one["case"]
        call = WebhookCall.objects.latest("pk")
        told = list(inbox._told(call))
        case = one["case"].rpartition(".")[2]
        named = told[: len(told) - NOT_NAMED.get(case, 0)]
        for event, expected in zip(named, one["expected_events"], strict=True):
            _compare(event, expected, one["case"])
        new = len(told) - KNOWN_ALREADY.get(case, 0)
        assert TrackingEvent.objects.count() == before + new, one["case"]
        calls += 1
    assert calls == 56
    assert not DeadLetter.objects.exists()
    assert not WebhookCall.objects.filter(done_at=None).exists()


def _sign(said, *, key):
    """As Mailgun does; what was captured is signed with a key that nobody has."""
    where = said.setdefault("signature", {}) if "event-data" in said else said
    where.setdefault("token", hashlib.sha256(repr(said).encode()).hexdigest())
    where.setdefault("timestamp", "1461095246")
    signed = f"{where['timestamp']}{where['token']}".encode()
    where["signature"] = hmac.new(key, signed, hashlib.sha256).hexdigest()
    return datetime.fromtimestamp(int(where["timestamp"]), UTC)


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
