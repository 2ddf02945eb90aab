import json
from datetime import UTC, datetime

import pytest

from campaigns.models import Batch, Message
from customers.models import Suppression
from engagement import inbox
from engagement.inbox import ASKED_AGAIN_AFTER, PLACED_WITHIN
from engagement.models import (
    TrackingEvent,
    WebhookCall,
)

pytestmark = pytest.mark.django_db


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
    post, message, on_its_way, sendgrid
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
    post, message, on_its_way, sendgrid
):
    post("sendgrid", [sendgrid(2)])
    now = WebhookCall.objects.get().received_at
    assert inbox.take_in_open(at=now + ASKED_AGAIN_AFTER) == 1
    assert not TrackingEvent.objects.exists()
    inbox.take_in_open(at=now + PLACED_WITHIN)
    assert TrackingEvent.objects.get().message is None
    assert WebhookCall.objects.get().done_at is not None


def test_half_a_sign_in_an_address_holds_up_nobody(post, message, on_its_way, sendgrid):
    said = [sendgrid(1, email="x\ud800@example.com"), sendgrid(2, "spamreport")]
    post("sendgrid", json.dumps(said))
    assert {one.address for one in Suppression.objects.all()} == {"p2@example.com"}
    call = WebhookCall.objects.get()
    inbox.take_in_open(at=call.received_at + PLACED_WITHIN)
    assert TrackingEvent.objects.count() == 2


def test_who_waits_for_a_message_keeps_no_complaint_waiting(
    post, message, on_its_way, monkeypatch, sendgrid
):
    monkeypatch.setattr(inbox, "TOGETHER", 2)
    monkeypatch.setattr(inbox, "SECONDS_AT_ONCE", 0.0)
    post("sendgrid", [sendgrid(1), sendgrid(2), sendgrid(3, "spamreport")])
    call = WebhookCall.objects.get()
    assert call.left == [2, 0, 1]
    inbox.take_in(call.pk, at=datetime.now(UTC), until=0)
    assert Suppression.objects.get().address == "p3@example.com"
