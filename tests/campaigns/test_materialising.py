import json
import threading
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from campaigns import deciding, materialising
from campaigns.materialising import due_at, launch_send, materialise
from campaigns.models import Batch, EmailTemplate, Message, Send, Variant
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import pause_send, resume_send, schedule_send
from customers.models import Customer
from customers.services import suppress
from segmentation.models import Membership, Segment, SegmentationRun
from segmentation.rule_segments import change_rule, create_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(materialising, "CUSTOMERS_A_CHUNK", 7)


def test_everyone_gets_a_row_waiting_in_a_batch_or_out_for_a_reason(
    world, campaign, at
):
    people = world.add_customers(250)
    suppress(people[8].email, reason="unsubscribed", at=at)
    send = world.prepared_send(campaign)
    assert send.audience_size == send.messages.count() == 250
    out = send.messages.get(state="left_out")
    assert (out.reason, out.batch_id, out.address_wire) == ("suppressed", None, "")
    assert not send.messages.filter(state="waiting", batch=None).exists()
    for batch in send.batches.all():
        tones = set(batch.messages.values_list("tone", flat=True))
        assert tones == {batch.variant.tone}
        assert batch.messages.count() <= 100
        assert (batch.state, batch.paused) == ("waiting", False)


def test_stopping_and_going_on_anywhere_gives_the_same_messages(
    world, campaign, at, small_chunks
):
    world.add_customers(40)
    whole = world.prepared_send(campaign)
    Send.objects.update(state="sent")
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    turns = 0
    while not materialise(send, at=at, until=float("-inf")):
        assert not Batch.objects.filter(send=send, paused=False).exists()
        turns += 1
    fields = ("customer_id", "state", "tone", "arm", "segment_key", "address_wire")
    assert turns == 6
    assert sorted(send.messages.values_list(*fields)) == sorted(
        whole.messages.values_list(*fields)
    )


def test_writing_a_range_again_adds_nobody(world, campaign, at):
    world.add_customers(20)
    send = world.prepared_send(campaign)
    Send.objects.update(prepared_up_to=0, state="preparing", prepared_at=None)
    assert materialise(Send.objects.get(), at=at)
    assert send.messages.count() == 20


def test_two_with_one_mailbox_in_two_ranges_get_one_mail(
    world, campaign, at, small_chunks
):
    people = world.add_customers(20)
    Customer.objects.filter(pk=people[-1].pk).update(
        email="Person0@example.com", address_key=people[0].address_key
    )
    send = world.prepared_send(campaign)
    out = send.messages.get(state="left_out")
    assert (out.customer_id, out.reason) == (people[-1].pk, "duplicate_address")
    assert send.messages.count() == 20


@pytest.mark.django_db(transaction=True)
def test_two_with_one_mailbox_get_one_mail_while_the_next_range_is_decided_ahead(
    world, campaign, at, small_chunks, monkeypatch
):
    people = world.add_customers(40)
    # Within a range, in the one after it, and three ranges later.
    same = {1: 0, 8: 6, 20: 13, 39: 13}
    for one, other in same.items():
        Customer.objects.filter(pk=people[one].pk).update(
            email=f"Person{other}@example.com", address_key=people[other].address_key
        )
    ahead = []
    decide = deciding.decide
    monkeypatch.setattr(
        deciding,
        "decide",
        lambda *args, **more: (
            ahead.append(threading.current_thread() is not threading.main_thread())
            or decide(*args, **more)
        ),
    )
    send = world.prepared_send(campaign)
    out = send.messages.filter(state="left_out")
    assert dict(out.values_list("customer_id", "reason")) == {
        people[one].pk: "duplicate_address" for one in same
    }
    assert send.messages.count() == send.audience_size == 40
    on_server = connection.vendor == "postgresql"
    assert ahead == [False] + [on_server] * 5


@pytest.mark.django_db(transaction=True)
def test_who_comes_while_the_last_range_is_written_is_in_it(
    world, campaign, at, small_chunks, monkeypatch
):
    world.add_customers(7)
    look_ahead, write = deciding.Ranges.look_ahead, materialising._write

    def to_the_end(ranges, taken):
        look_ahead(ranges, taken)
        if ranges._ahead is not None:
            ranges._ahead[1].result()

    def one_more(*args, **more):
        if Customer.objects.count() == 7:
            world.add_customers(1, first=7)
        write(*args, **more)

    monkeypatch.setattr(deciding.Ranges, "look_ahead", to_the_end)
    monkeypatch.setattr(materialising, "_write", one_more)
    send = world.prepared_send(campaign)
    assert send.messages.count() == send.audience_size == 8


@pytest.mark.django_db(transaction=True)
def test_trouble_in_deciding_ahead_is_told_and_the_rest_is_written_later(
    world, campaign, at, small_chunks, monkeypatch
):
    world.add_customers(20)
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    asked, next_chunk = [], deciding.next_chunk

    def failing(**more):
        asked.append(more)
        if len(asked) == 2:
            raise OperationalError("the server is gone")
        return next_chunk(**more)

    monkeypatch.setattr(deciding, "next_chunk", failing)
    with pytest.raises(OperationalError, match="gone"):
        materialise(send, at=at)
    assert send.messages.count() == 7
    assert materialise(send, at=at)
    assert send.messages.count() == 20


def test_whoever_a_constraint_keeps_out_is_named_not_lost(world, campaign, at):
    people = world.add_customers(2)
    # A key that was written wrongly once: only the database sees that it is one box.
    Customer.objects.filter(pk=people[1].pk).update(email=people[0].email)
    send = world.prepared_send(campaign)
    assert send.messages.count() == 2
    assert send.messages.get(state="left_out").reason == "duplicate_address"


def test_nothing_starts_before_its_time_and_late_is_missed(campaign, at):
    send = schedule_send(campaign, scheduled_at=at, at=at)
    assert launch_send(send, at=at - timedelta(seconds=1)).state == "scheduled"
    assert launch_send(send, at=at + timedelta(hours=6, seconds=1)).state == "missed"
    missed = Send.objects.get()
    assert "No sender was running" in missed.state_reason
    resumed = resume_send(missed, at=at + timedelta(hours=9))
    assert launch_send(resumed, at=at + timedelta(hours=9)).state == "preparing"


def test_launching_twice_is_launching_once(campaign, at):
    send = schedule_send(campaign, scheduled_at=at, at=at)
    first = launch_send(send, at=at)
    again = launch_send(send, at=at + timedelta(minutes=1))
    assert first.started_at == again.started_at == at


def test_a_send_paused_while_it_is_prepared_goes_on_where_it_was(
    world, campaign, at, small_chunks
):
    world.add_customers(20)
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    materialise(send, at=at, until=float("-inf"))
    pause_send(send, at=at)
    assert not materialise(send, at=at)
    assert send.messages.count() == 7
    assert resume_send(send, at=at).state == "preparing"
    assert materialise(send, at=at)
    assert send.messages.count() == 20


def test_by_local_time_each_leaves_when_her_own_clock_says_so(world, campaign, at):
    people = world.add_customers(3)
    zones = ("Asia/Tokyo", "Europe/London", "")
    for one, zone in zip(people, zones, strict=True):
        Customer.objects.filter(pk=one.pk).update(timezone=zone)
    campaign.local_time, campaign.neutral_share = True, 0.0
    campaign.save()
    nine = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    send = schedule_send(campaign, scheduled_at=nine, at=at - timedelta(days=1))
    assert due_at(send) == nine - timedelta(hours=14)
    send = launch_send(send, at=due_at(send))
    materialise(send, at=at)
    leaves = {
        message.customer_id: message.batch.not_before
        for message in Message.objects.select_related("batch")
    }
    assert [leaves[one.pk] for one in people] == [nine - timedelta(hours=9), nine, nine]


def test_whatever_changes_while_a_send_is_under_way_it_goes_out_as_it_was_planned(
    world, campaign, at, small_chunks, lane, channel, invariants
):
    """F34: other words, other people, another rule, another run of segments."""
    people = world.add_customers(20)
    Customer.objects.filter(pk__in=[one.pk for one in people[::4]]).update(tags=["vip"])
    tagged = [{"field": "tags", "op": "any_of", "value": ["vip"]}]
    rule = create_rule(
        name="Not the vips",
        text=json.dumps({"how": "all", "members": tagged}),
        by=None,
        at=at,
    )
    campaign.exclusion_rule = rule
    campaign.save()
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    tones = {
        key: {"excited": "lively", "anxious": "reassuring"}.get(key, "neutral")
        for key in world.SEGMENTS
    }
    planned = {
        one.pk: tones[world.SEGMENTS[position % len(world.SEGMENTS)]]
        for position, one in enumerate(people)
    }

    def change():
        words = {"opening": "Other words.", "body": "Other words.", "close": "."}
        Variant.objects.update(subject=f"Other words {timezone.now()}", blocks=words)
        EmailTemplate.objects.update(
            layout="<mjml><mj-body></mj-body></mjml>", offer="Another offer.", terms=""
        )
        campaign.sender.from_name = "Somebody else"
        campaign.sender.save()
        nobody = [{"field": "tags", "op": "any_of", "value": ["no such tag"]}]
        changed = json.dumps({"how": "all", "members": nobody})
        change_rule(rule, name="Others", text=changed, by=None, at=at)
        SegmentationRun.objects.filter(state="published").update(state="superseded")
        run = SegmentationRun.objects.create(
            state="published", cut_off=at, segmenter="test", model={}
        )
        angry = Segment.objects.get(key="frustrated")
        Membership.objects.bulk_create(
            Membership(run=run, customer=one, segment=angry, probability=1, since=at)
            for one in Customer.objects.all()
        )

    assert not materialise(send, at=at, until=float("-inf"))
    change()
    later = world.add_customers(3, first=20)
    assert materialise(send, at=at)
    subjects, names, bodies = {}, set(), []
    offer = campaign.template.offer
    assert offer

    def look(mails):
        change()
        for mail in mails:
            subjects[mail.address] = mail.body.subject
            names.add(mail.body.from_email.partition(" <")[0].strip('"'))
            (html, _), *_ = mail.body.alternatives
            bodies.extend([html, mail.body.body])

    channel.before = look
    while deliver_next_batch(lane, now=at) is not None:
        pass
    written = {one.customer_id: one for one in send.messages.all()}
    assert {pk for pk, one in written.items() if one.reason == "excluded"} == {
        one.pk for one in people[::4]
    }
    for pk, one in written.items():
        if pk in planned:
            assert one.tone in {planned[pk], "neutral"}
            assert one.tone == planned[pk] or one.arm == "neutral"
    assert {written[one.pk].segment_key for one in later} == {"unknown"}
    assert names == {"Linden & Loam"}
    assert len(bodies) == 2 * len(subjects)
    assert all(offer in unescape(body) for body in bodies)
    assert not any("Other words" in body or "Another offer" in body for body in bodies)
    assert {one.content_hash for one in Send.objects.all()} == {send.content_hash}
    assert len(subjects) == 15 + len(later) == invariants(channel).taken
    assert set(subjects.values()) <= {subject for subject, _ in world.WORDS.values()}
