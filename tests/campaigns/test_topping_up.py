"""A top-up reaches those who came since, and never anybody a second time."""

import random
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from time import monotonic

import pytest
from django.urls import reverse

from campaigns.errors import CannotSchedule
from campaigns.models import Message, Send
from campaigns.resending import send_failed_again
from campaigns.sending import ledger
from campaigns.sending.breaker import close_breaker
from campaigns.sending.channels import InDoubt, Refused
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import (
    cancel_send,
    count_newcomers,
    launch_send,
    materialise,
    pause_send,
    rendered_message,
    schedule_send,
    top_up,
)
from customers.addresses import address_key, address_wire
from customers.errors import MergeRefused
from customers.merging import merge_customers
from customers.models import Customer
from customers.services import record_consent
from customers.services import suppress as suppress_address

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def deliver_all(lane, at):
    while deliver_next_batch(lane, now=at):
        pass
    ledger.finish_sends(now=at)


@pytest.fixture
def sent(world, campaign, lane, at):
    """Six were mailed."""
    world.add_customers(6)
    send = world.prepared_send(campaign)
    deliver_all(lane, at)
    send.refresh_from_db()
    assert send.state == "sent"
    return send


def topped_up(send, lane, at):
    made = launch_send(top_up(send, at=at), at=at)
    assert materialise(made, at=at)
    deliver_all(lane, at)
    made.refresh_from_db()
    return made


def counted(send, at):
    found = count_newcomers(send, at=at, until=monotonic() + 60)
    assert found.whole
    return found


def give(customer, email):
    customer.email, customer.address_key = email, address_key(email)
    customer.address_wire = address_wire(email)
    customer.save()


def test_new_customers_get_the_same_frozen_words_and_nobody_gets_them_twice(
    world, campaign, sent, lane, channel, at
):
    campaign.template.variants.update(subject="Something else by now")
    world.add_customers(3, first=6)
    assert counted(sent, at).will_be_mailed == 3
    made = topped_up(sent, lane, at + DAY)
    assert sorted(channel.ledger[6:]) == [f"person{n}@example.com" for n in (6, 7, 8)]
    assert (made.tops_up, made.content_hash) == (sent, sent.content_hash)
    assert (made.state, made.audience_size) == ("sent", 3)
    assert "Something else by now" not in {
        rendered_message(one).subject for one in made.messages.all()
    }
    assert counted(sent, at).counts.matched == 0
    assert topped_up(sent, lane, at + 2 * DAY).audience_size == 0


def test_whose_consent_came_later_is_new_and_who_was_left_out_for_good_is_not(
    world, campaign, lane, channel, at
):
    world.add_customers(5)
    send = world.prepared_send(campaign)
    reasons = ["no_consent", "held", "capped", "expired", "no_consent"]
    rows = send.messages.order_by("pk")
    for row, reason in zip(rows, reasons, strict=True):
        row.state, row.reason = "left_out", reason
        row.save()
    # The last one's doubtful mail was to be sent again before they said no.
    rows.filter(pk=row.pk).update(handed_over_at=at)
    deliver_all(lane, at)
    topped_up(send, lane, at + DAY)
    assert channel.ledger == ["person0@example.com"]


def test_a_mailbox_is_known_whoever_has_it_now(world, sent, lane, channel, at):
    one, other, third = Customer.objects.order_by("pk")[:3]
    give(one, "elsewhere@example.com")
    new = world.add_customers(4, first=6)
    give(new[0], "Person0@Example.com")  # at which one was mailed
    give(new[1], "elsewhere@example.com")  # where one lives now
    give(new[2], other.email)
    merge_customers(new[3], third, by=None, at=at)
    assert counted(sent, at).will_be_mailed == 0
    made = topped_up(sent, lane, at + DAY)
    assert len(channel.ledger) == 6
    assert Counter(made.messages.values_list("reason", flat=True)) == {
        "duplicate_address": 3
    }


def test_two_who_become_one_while_a_mail_is_on_its_way_stay_two(
    world, sent, lane, channel, at
):
    (new,) = world.add_customers(1, first=6)
    made = launch_send(top_up(sent, at=at), at=at)
    assert materialise(made, at=at)
    old = Customer.objects.earliest("pk")
    for kept, other in ((new, old), (old, new)):
        with pytest.raises(MergeRefused, match="one mail is still on its way"):
            merge_customers(kept, other, by=None, at=at)
    deliver_all(lane, at)
    merge_customers(old, new, by=None, at=at)
    assert max(Counter(channel.ledger).values()) == 1


def test_only_the_last_send_is_topped_up_once_it_has_ended(
    world, campaign, sent, lane, at
):
    world.add_customers(1, first=6)
    made = pause_send(top_up(sent, at=at), at=at)
    with pytest.raises(CannotSchedule, match="is paused already"):
        top_up(sent, at=at)
    cancel_send(made, at=at)
    anew = schedule_send(campaign, scheduled_at=at, at=at)
    with pytest.raises(CannotSchedule, match="sent anew since"):
        top_up(sent, at=at)
    with pytest.raises(CannotSchedule, match="only a send that has ended"):
        top_up(anew, at=at)
    Send.objects.filter(pk=anew.pk).update(
        state="sent", frozen=anew.frozen | {"expires_at": at.isoformat()}
    )
    with pytest.raises(CannotSchedule, match="its offer has ended"):
        top_up(anew, at=at)


def test_the_page_counts_first_and_then_sends(world, sent, admin_client):
    page = admin_client.get(reverse("campaigns:send", args=[sent.pk]))
    assert "Who came since" in page.content.decode()
    newcomers = reverse("campaigns:newcomers", args=[sent.pk])
    assert "disabled" in admin_client.get(newcomers).content.decode()
    world.add_customers(2, first=6)
    assert "2 people have come since" in admin_client.get(newcomers).content.decode()
    assert Send.objects.count() == 1
    press = reverse("campaigns:top_up", args=[sent.pk])
    text = admin_client.post(press, follow=True).content.decode()
    assert "It tops up" in text
    again = admin_client.post(press, follow=True).content.decode()
    assert "A send of this campaign is scheduled already" in again
    assert Send.objects.count() == 2


class Shop:
    """What happens to a shop between a send and its top-ups, and who has what."""

    def __init__(self, world, channel, seed):
        self.world, self.channel = world, channel
        self.chance, self.count = random.Random(seed), 0
        self.at = world.NOW
        self.second_mails = []

    def look(self, mails):
        """Is one about to leave to somebody who has another, or may have?"""
        for mail in mails:
            one = Message.objects.get(pk=mail.message_id)
            others = one.customer.messages.exclude(pk=one.pk).exclude(
                state__in=["left_out", "failed", "cancelled"]
            )
            self.second_mails += [mail.address] * others.exists()

    def deliver(self, lane, by):
        """To its end: a doubt stops all mail until somebody lets it go on."""
        deliver_all(lane, self.at)
        while Send.objects.exclude(state="sent").exists():
            self.at += timedelta(hours=2)
            close_breaker(lane.way, at=self.at, by=by)
            deliver_all(lane, self.at)

    def come(self):
        self.world.add_customers(1, first=self.count)
        self.count += 1
        new = Customer.objects.latest("pk")
        self.answer(new.email)
        if self.chance.random() < 0.4:
            record_consent(
                new, purpose="marketing", basis="withdrawn", source="x", at=self.at
            )
        if self.chance.random() < 0.4 and self.channel.ledger:
            mailed = self.chance.choice(self.channel.ledger)
            give(new, mailed.replace("person", "PERSON"))
        return new

    def answer(self, address):
        bad = [InDoubt("in_doubt", ""), Refused("not_sent_bad", "")]
        if self.chance.random() < 0.2:
            self.channel.answers[address] = self.chance.choice(bad)

    def somebody(self):
        return self.chance.choice(list(Customer.objects.order_by("pk")))

    def consent(self):
        basis = self.chance.choice(["consent", "withdrawn"])
        record_consent(
            self.somebody(), purpose="marketing", basis=basis, source="x", at=self.at
        )

    def move(self):
        one, other = self.somebody(), self.somebody()
        give(one, self.chance.choice([other.email, f"new{one.pk}@example.com"]))

    def merge(self):
        kept, other = self.somebody(), self.somebody()
        if kept.pk != other.pk:
            with suppress(MergeRefused):
                merge_customers(kept, other, by=None, at=self.at)

    def refuse(self):
        suppress_address(
            self.somebody().email, reason="unsubscribed", source="x", at=self.at
        )

    def live(self, steps):
        acts = [self.come, self.come, self.consent, self.move, self.merge]
        for _ in range(steps):
            self.at += timedelta(minutes=7)
            self.chance.choice([*acts, self.refuse])()


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 8))]
)
def test_whatever_happens_in_between_nobody_is_mailed_twice(
    world, campaign, lane, channel, seed, django_user_model
):
    campaign.template.variants.exclude(tone="neutral").delete()
    by = django_user_model.objects.create_superuser("mara")
    shop = Shop(world, channel, seed)
    for _ in range(8):
        shop.come()
    send = world.prepared_send(campaign)
    channel.before = shop.look
    shop.live(3)
    shop.deliver(lane, by)
    for _ in range(3):
        shop.live(8)
        expected = counted(send, shop.at).will_be_mailed
        made = launch_send(top_up(send, at=shop.at), at=shop.at)
        assert materialise(made, at=shop.at)
        assert made.messages.filter(state="waiting").count() == expected
        shop.live(3)
        channel.answers.clear()
        shop.deliver(lane, by)
        shop.live(3)
        if shop.chance.random() < 0.5:
            send_failed_again(send, by=by, at=shop.at)
            shop.deliver(lane, by)
    assert channel.ledger
    assert shop.second_mails == []
    mailboxes = Counter(one.lower() for one in channel.ledger)
    assert mailboxes.most_common(1)[0][1] == 1
