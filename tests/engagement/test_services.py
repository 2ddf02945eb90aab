from datetime import timedelta
from random import Random

import pytest

from campaigns.models import Message, Send
from customers.models import Consent, Interaction, Suppression
from customers.services import marketing_basis, suppress, try_again
from engagement.models import MessageEngagement, TrackingEvent
from engagement.services import Event, record_event, record_events


def event(message, event_type, at, **more) -> Event:
    return Event(
        event_type=event_type,
        occurred_at=at,
        provider="attune",
        public_id=message.public_id,
        **more,
    )


def test_the_same_event_is_stored_once(message, at):
    opened = event(message, "opened", at, verdict="human")
    assert record_event(opened, at=at) is not None
    assert record_event(opened, at=at) is None
    assert TrackingEvent.objects.count() == 1


def test_one_event_twice_in_one_report_is_stored_once(message, at):
    opened = event(message, "opened", at)
    assert len(record_events([opened, opened], at=at)) == 1


def by_provider(event_type, at, recipient, **more) -> Event:
    return Event(event_type, at, "postmark", recipient=recipient, event_id="e1", **more)


def test_everybody_of_whom_one_notification_tells_is_suppressed(ada, bo, at):
    bounced = [
        by_provider("bounced", at, person.email, reject_reason="bounced")
        for person in (ada, bo)
    ]
    record_events(bounced, at=at)
    record_events(bounced, at=at)
    assert TrackingEvent.objects.count() == 2
    assert {one.address for one in Suppression.objects.all()} == {ada.email, bo.email}


def test_a_complaint_with_the_id_of_a_bounce_is_heeded(ada, at):
    record_event(
        by_provider("bounced", at, ada.email, reject_reason="timed_out"), at=at
    )
    assert not Suppression.objects.exists()
    record_event(by_provider("complained", at, ada.email), at=at)
    assert Suppression.objects.get().reason == Suppression.Reason.COMPLAINED


def test_a_hard_bounce_suppresses_the_address(message, ada, at):
    record_event(event(message, "bounced", at, reject_reason="bounced"), at=at)
    assert Suppression.objects.get().reason == Suppression.Reason.BOUNCED


def test_a_complaint_about_a_mail_nobody_can_name_is_heeded(message, ada, at):
    complaint = Event(
        "complained", at, "brevo", provider_message_id="?", recipient=ada.email.upper()
    )
    record_event(complaint, at=at)
    assert Suppression.objects.get().reason == Suppression.Reason.COMPLAINED
    assert marketing_basis([ada.pk], at=at) == {ada.pk: Consent.Basis.WITHDRAWN}


def test_a_full_mailbox_suppresses_nobody(message, at):
    record_event(event(message, "bounced", at, reject_reason="timed_out"), at=at)
    assert not Suppression.objects.exists()


def test_a_complaint_suppresses_and_withdraws_consent(message, ada, at):
    record_event(event(message, "complained", at), at=at)
    assert Suppression.objects.get().reason == Suppression.Reason.COMPLAINED
    latest = ada.consents.filter(purpose=Consent.Purpose.MARKETING).first()
    assert latest.basis == Consent.Basis.WITHDRAWN


def test_a_delivery_that_comes_after_a_complaint_lifts_nothing(message, at):
    record_event(event(message, "complained", at), at=at)
    record_event(event(message, "delivered", at + timedelta(minutes=1)), at=at)
    assert Suppression.objects.exists()


def test_a_click_by_a_person_becomes_an_interaction(message, ada, at):
    record_event(event(message, "clicked", at, link=0, verdict="human"), at=at)
    assert ada.interactions.filter(kind=Interaction.Kind.CLICK).count() == 1


def test_a_click_by_a_machine_does_not(message, ada, at):
    record_event(event(message, "clicked", at, link=0, verdict="machine"), at=at)
    assert not ada.interactions.filter(kind=Interaction.Kind.CLICK).exists()
    rollup = MessageEngagement.objects.get()
    assert rollup.clicked_at is not None
    assert rollup.clicked_by_person_at is None


@pytest.mark.parametrize(
    "event_type",
    ["queued", "sent", "delivered", "opened", "bounced", "rejected", "failed"],
)
def test_a_report_about_a_message_in_doubt_proves_it_was_taken(
    message_to, ada, at, event_type
):
    doubtful = message_to(ada, state="in_doubt")
    record_event(event(doubtful, event_type, at), at=at)
    doubtful.refresh_from_db()
    assert doubtful.state == "accepted"


@pytest.mark.parametrize("event_type", ["unknown", "subscribed"])
def test_a_report_that_says_nothing_of_a_mail_settles_no_doubt(
    message_to, ada, at, event_type
):
    doubtful = message_to(ada, state="in_doubt")
    record_event(event(doubtful, event_type, at), at=at)
    doubtful.refresh_from_db()
    assert doubtful.state == "in_doubt"


def test_an_event_of_no_message_we_know_is_kept_for_a_person(db, at):
    stray = Event("opened", at, "brevo", provider_message_id="x", recipient="a@b.com")
    assert record_event(stray, at=at).message is None


def test_a_providers_id_alone_names_no_message(message, bo, message_to, at):
    other = message_to(bo)
    for one in (message, other):
        one.provider_message_id = "shared-by-a-batch"
        one.save()
    found = record_event(
        Event(
            "delivered",
            at,
            "mailgun",
            provider_message_id="shared-by-a-batch",
            recipient=other.address_wire,
        ),
        at=at,
    )
    assert found.message == other


KINDS = ["delivered", "opened", "clicked", "bounced", "unsubscribed", "complained"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_repetition_ends_in_the_same_rollup(message, at, seed):
    random = Random(seed)
    events = [
        event(message, kind, at + timedelta(minutes=minute), verdict="human")
        for minute, kind in enumerate(KINDS * 2)
    ]
    shuffled = random.sample(events * 2, len(events) * 2)
    for one in shuffled:
        record_event(one, at=at)
    rollup = MessageEngagement.objects.get()
    assert TrackingEvent.objects.count() == len(events)
    assert rollup.delivered_at == at
    assert rollup.opened_by_person_at == at + timedelta(minutes=1)
    assert rollup.complained_at == at + timedelta(minutes=5)


@pytest.fixture
def comes_back(ada, send, at):
    """comes_back(day): one more mail to Ada came back on that day, for now."""

    def comes_back(day, reject_reason="timed_out", **more):
        another = Send.objects.create(
            campaign=send.campaign, scheduled_at=send.scheduled_at
        )
        message = Message.objects.create(
            send=another,
            customer=ada,
            state=Message.State.ACCEPTED,
            address_wire=ada.email,
            segment_key="trusting",
            tone="grateful",
        )
        when = at + timedelta(days=day)
        bounced = event(
            message, "bounced", when, reject_reason=reject_reason, passing=True, **more
        )
        record_event(bounced, at=at)
        return message

    return comes_back


def test_an_address_is_given_up_after_five_mails_came_back_in_thirty_days(
    comes_back, ada
):
    for day in (0, 7, 14, 30):
        comes_back(day)
    assert not Suppression.objects.exists()
    comes_back(25)  # told late: any thirty days count
    found = Suppression.objects.get()
    assert (found.reason, found.address) == ("unreachable", ada.email)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_whoever_is_received_there_after_all_is_not_given_up_whatever_is_told_first(
    comes_back, ada, at, order
):
    def bounces():
        for day in (0, 2, 4, 6, 8):
            message = comes_back(day)
        return message

    def arrives():
        message = comes_back(-1)
        day = at + timedelta(days=5)
        record_event(event(message, "delivered", day), at=at)

    for place in order:
        (bounces, arrives)[place]()
    assert not Suppression.objects.exists()


def test_a_fault_of_some_days_gives_nobody_up(comes_back):
    for hour in range(12):
        comes_back(hour / 2)
    assert not Suppression.objects.exists()


def test_a_given_up_address_is_tried_again_and_a_no_is_not(comes_back, bo, at):
    for day in (0, 2, 4, 6, 8):
        comes_back(day)
    suppress(bo.email, reason=Suppression.Reason.BOUNCED, at=at)
    assert try_again(at=at + timedelta(days=90)) == 0
    assert try_again(at=at + timedelta(days=91)) == 1
    assert Suppression.objects.get().address == bo.email


def test_one_mail_that_comes_back_often_is_one_mail(comes_back, message, at):
    for hour in range(9):
        again = at + timedelta(hours=hour)
        record_event(event(message, "bounced", again, passing=True), at=again)
    for day in (6, 7, 8):
        comes_back(day)
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("days", [(0, 8, 16, 24, 31), (0, 40, 80, 120, 160)])
def test_five_in_a_longer_time_are_not_given_up(comes_back, days):
    for day in days:
        comes_back(day)
    assert not Suppression.objects.exists()


def test_what_is_not_wanted_there_says_nothing_of_the_mailbox(comes_back):
    for day in range(0, 24, 4):
        comes_back(day, reject_reason="blocked")
    assert not Suppression.objects.exists()


def test_a_person_s_no_outlives_an_address_that_was_given_up(comes_back, at):
    for day in (0, 3, 6, 9):
        comes_back(day)
    last = comes_back(12)
    assert Suppression.objects.get().reason == "unreachable"
    record_event(event(last, "complained", at), at=at)
    assert Suppression.objects.get().reason == "complained"
