import re
from collections import Counter
from datetime import timedelta

import pytest

from campaigns.models import Batch, Canary, Message, Send
from campaigns.progress import send_progress
from campaigns.sending import canary
from campaigns.sending.engine import heartbeat
from campaigns.sending.ledger import put_off
from campaigns.services import pause_send, resume_send
from customers.models import Customer
from engagement.guards import judge_canaries
from engagement.models import MessageEngagement

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=11)


@pytest.fixture
def large(send, at, settings, monkeypatch):
    """A send to sixty in two batches, large enough, whose audience is complete."""
    settings.CANARY = 20
    monkeypatch.setattr(canary, "FROM", 59)
    message = Message.objects.filter(send=send).first()
    variant = send.variants.first() or message.batch.variant
    Message.objects.filter(send=send).delete()
    Batch.objects.filter(send=send).delete()
    people = Customer.objects.bulk_create(
        Customer(external_id=f"large{number}") for number in range(60)
    )
    for start in (0, 30):
        batch = Batch.objects.create(
            send=send, variant=variant, not_before=at, paused=True
        )
        Message.objects.bulk_create(
            Message(
                send=send,
                customer=one,
                batch=batch,
                address_wire=f"{one.external_id}@x.org",
            )
            for one in people[start : start + 30]
        )
    Send.objects.filter(pk=send.pk).update(
        state="sending", audience_size=60, prepared_at=at, started_at=at
    )
    send.refresh_from_db()
    canary.begin(send)
    return send


def the_few_left(send, at, *, failed=0):
    few = Canary.objects.get().messages
    theirs = Message.objects.filter(pk__in=few)
    theirs.update(state="accepted", handed_over_at=at, settled_at=at)
    theirs.filter(pk__in=few[:failed]).update(state="failed")
    Batch.objects.filter(pk=Canary.objects.get().batch_id).update(state="done")
    return few


def may_go(send):
    going = Batch.objects.filter(send=send, state="waiting", paused=False)
    return Message.objects.filter(batch__in=going).count()


def test_of_a_large_send_a_few_go_and_the_rest_is_held(large):
    assert may_go(large) == 20
    assert Counter(large.messages.values_list("state", flat=True)) == {"waiting": 60}


def test_a_small_send_goes_at_once(large, monkeypatch):
    Canary.objects.all().delete()
    monkeypatch.setattr(canary, "FROM", 60)
    canary.begin(large)
    assert may_go(large) == 60


def test_the_rest_goes_once_the_few_have_fared_well_and_not_before(large, at):
    assert judge_canaries(at=at + LATER) == 0  # they have not left
    the_few_left(large, at)
    assert judge_canaries(at=at + timedelta(minutes=9)) == 0
    assert may_go(large) == 0
    assert judge_canaries(at=at + LATER) == 1
    assert may_go(large) == 40
    assert judge_canaries(at=at + LATER) == 0


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        ({"bounced_at": 3}, "3 came back"),
        ({"complained_at": 2}, "2 people called it spam"),
        ({"failed": 5}, "5 were refused"),
    ],
)
def test_where_they_fare_badly_it_stops_and_a_person_lets_the_rest_go(
    large, at, fate, words
):
    few = the_few_left(large, at, failed=fate.pop("failed", 0))
    for field, count in fate.items():
        MessageEngagement.objects.bulk_create(
            MessageEngagement(message_id=pk, **{field: at}) for pk in few[:count]
        )
    judge_canaries(at=at + LATER)
    large.refresh_from_db()
    assert large.state == "paused"
    assert words in large.state_reason
    assert may_go(large) == 0
    resume_send(large, at=at + LATER)
    assert may_go(large) == 40


def test_what_may_be_chance_stops_nothing(large, at):
    few = the_few_left(large, at, failed=4)
    MessageEngagement.objects.create(message_id=few[9], complained_at=at)
    MessageEngagement.objects.create(message_id=few[8], bounced_at=at)
    judge_canaries(at=at + LATER)
    assert may_go(large) == 40


def test_pause_and_resume_do_not_let_the_rest_go(large, at):
    pause_send(large, at=at)
    assert may_go(large) == 0
    resume_send(large, at=at)
    assert may_go(large) == 20


def test_the_few_go_on_after_a_pause_also_those_who_were_put_off(large, at):
    few = Canary.objects.get()
    put_off(few.batch, {at + timedelta(hours=9): few.messages}, now=at)
    Batch.objects.filter(pk=few.batch_id).update(state="done")
    pause_send(large, at=at)
    resume_send(large, at=at)
    assert may_go(large) == 20


def test_the_page_says_what_the_rest_waits_for(large, at):
    heartbeat("one", "run_engine", at=at, since=at)
    assert "The first 20 go ahead" in send_progress(large, at=at).binds
    the_few_left(large, at)
    looked_at = r"looked at from 2 Mar( 2026)?, 9:10 UTC on\."
    assert re.search(looked_at, send_progress(large, at=at).binds)
