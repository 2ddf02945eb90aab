"""What was tried and what was decided can be looked up later."""

from datetime import timedelta

import pytest
from django.urls import reverse

from campaigns.models import SendAttempt, SendNote
from campaigns.sending import ledger, trail
from campaigns.sending.channels import InDoubt, Refused
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import (
    pause_send,
    resume_send,
    send_doubtful_again,
    settle_in_doubt,
    stop_send,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def send(send_to):
    """Ten customers, one batch, groups of four."""
    return send_to(10)


def told(attempt):
    return (
        attempt.mails,
        attempt.accepted,
        attempt.refused,
        attempt.in_doubt,
        attempt.waiting,
        attempt.outcome,
    )


def test_every_group_leaves_one_line_that_says_what_was_answered(
    send, lane, channel, at
):
    channel.answers["person1@example.com"] = Refused("invalid", "no such user")
    deliver_next_batch(lane, now=at)
    lines = list(SendAttempt.objects.order_by("pk"))
    assert sum(one.mails for one in lines) == 10
    assert sorted(map(told, lines)) == [
        (2, 2, 0, 0, 0, "accepted"),
        (4, 3, 1, 0, 0, "invalid"),
        (4, 4, 0, 0, 0, "accepted"),
    ]
    for one in lines:
        assert (one.send_id, one.lane, one.provider) == (send.pk, "bulk", "outbox")
        assert one.began_at >= at
        assert 0 <= one.seconds < 5


def test_a_doubt_is_told_and_so_is_who_was_not_reached(send, lane, channel, at):
    channel.answers["person1@example.com"] = InDoubt("in_doubt", "read timeout")
    deliver_next_batch(lane, now=at)
    last = SendAttempt.objects.latest("pk")
    assert (last.in_doubt, last.outcome, last.detail) == (1, "in_doubt", "read timeout")
    assert last.accepted + last.waiting == last.mails - 1


def test_of_a_group_whose_process_died_all_are_in_doubt_and_no_seconds_are_known(
    send, lane, channel, at
):
    class Dies(BaseException):
        pass

    def die(mails):
        raise Dies

    channel.before = die
    with pytest.raises(Dies):
        deliver_next_batch(lane, now=at)
    ledger.sweep(now=at + timedelta(hours=1))
    (line,) = SendAttempt.objects.all()
    assert told(line) == (4, 0, 0, 4, 0, "died")
    assert (line.seconds, line.provider) == (None, "outbox")


def test_an_answer_after_the_lease_has_a_line_beside_that_of_the_death(
    send, lane, channel, at
):
    def lose_it(mails):
        ledger.sweep(now=at + timedelta(hours=1))

    channel.before = lose_it
    outcome = deliver_next_batch(lane, now=at)
    assert outcome.stopped == "lost_lease"
    died, late = SendAttempt.objects.order_by("pk")
    assert told(died) == (4, 0, 0, 4, 0, "died")
    assert told(late) == (4, 4, 0, 0, 0, trail.LATE)


def test_who_decided_what_about_a_mail_in_doubt_is_kept(
    send, lane, channel, at, django_user_model
):
    anna = django_user_model.objects.create_user("anna")
    channel.answers["person1@example.com"] = InDoubt("in_doubt")
    channel.answers["person2@example.com"] = InDoubt("in_doubt")
    while deliver_next_batch(lane, now=at) is not None:
        at += timedelta(hours=2)
    first, *others = send.messages.filter(state="in_doubt").order_by("pk")
    settle_in_doubt(first, as_="left", by=anna, at=at)
    send_doubtful_again(first, by=anna, at=at)
    notes = SendNote.objects.filter(message=first).order_by("pk")
    assert [(note.sentence, note.by) for note in notes] == [
        ("Left in doubt.", anna),
        ("Sent again although the first attempt is in doubt.", anna),
    ]
    for other in others:
        settle_in_doubt(other, as_="accepted", by=anna, at=at)
        assert other.notes.get().sentence == "Marked as sent."


def test_a_stop_says_itself_why_and_a_person_who_they_are(send, at, django_user_model):
    anna = django_user_model.objects.create_user("anna")
    stop_send(send.pk, "Too many came back.", at=at)
    stop_send(send.pk, "Too many came back.", at=at)  # it stands: told once
    send.refresh_from_db()
    resume_send(send, at=at, by=anna)
    pause_send(send, at=at, by=anna)
    assert list(send.notes.order_by("pk").values_list("sentence", "by")) == [
        ("Paused: Too many came back.", None),
        ("Resumed.", anna.pk),
        ("Paused.", anna.pk),
    ]


def test_old_attempts_go_and_notes_stay(send, lane, at):
    deliver_next_batch(lane, now=at)
    trail.note(send.pk, "Paused.", at=at)
    assert trail.forget_old(at=at + trail.KEPT_FOR - timedelta(minutes=5)) == 0
    assert trail.forget_old(at=at + trail.KEPT_FOR + timedelta(minutes=5)) == 3
    assert SendNote.objects.count() == 1


def test_both_pages_show_them(send, lane, channel, at, admin_client):
    channel.answers["person1@example.com"] = Refused("invalid", "no such user")
    deliver_next_batch(lane, now=at)
    trail.note(send.pk, "Paused.", at=at)
    page = admin_client.get(reverse("campaigns:send", args=[send.pk])).content.decode()
    assert "invalid: no such user" in page
    assert "Paused." in page
    page = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "invalid: no such user" in page
    assert str(send.campaign) in page
