"""Whatever happens in whatever order, no promotion reaches whom it must not."""

import contextlib
import random
from collections import Counter, defaultdict
from datetime import timedelta

import numpy as np
import pytest

from campaigns.errors import WrongState
from campaigns.models import Message, Send
from campaigns.sending import engine, ledger
from campaigns.sending.channels import Busy, InDoubt, Later, Refused
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import (
    cancel_send,
    launch_send,
    materialise,
    pause_send,
    resume_send,
    schedule_send,
)
from customers.errors import MergeRefused
from customers.merging import merge_customers
from customers.models import Customer, Interaction
from customers.services import object_to_profiling, record_consent, suppress
from segmentation.emotion.families import FAMILIES
from segmentation.models import EmotionScore, SensitiveMatter

pytestmark = pytest.mark.django_db

CUSTOMERS, STEPS = 24, 100
DAY = timedelta(days=1)


class Died(BaseException):
    """A process that is no more."""


class Oracle:
    """What is known of customers, and whom no promotion may reach: plain Python."""

    def __init__(self):
        # Moments, by customer. The first two hold for two weeks, the third for one.
        self.rated, self.complained = defaultdict(list), defaultdict(list)
        self.raged, self.good = defaultdict(list), defaultdict(list)
        self.for_a_person, self.refused = defaultdict(list), defaultdict(list)
        self.unread = defaultdict(dict)  # tickets, and when

    def forbids(self, pk, at):
        lasting = [(one, 14 * DAY) for one in self.rated[pk] + self.complained[pk]]
        lasting += [(one, 7 * DAY) for one in self.raged[pk]]
        return bool(
            self.refused[pk]
            or any(at < when + 90 * DAY for when in self.for_a_person[pk])
            or any(at < when + 14 * DAY for when in self.unread[pk].values())
            or any(
                at < when + days and not self.made_good(pk, when, at)
                for when, days in lasting
            )
        )

    def made_good(self, pk, when, at):
        return any(when < one <= at - 3 * DAY for one in self.good[pk])

    def forget(self, pk):
        """What was read of them is deleted; what they did and refused is not."""
        for read in (self.complained, self.raged, self.unread):
            read.pop(pk, None)

    def join(self, kept, other):
        for facts in (self.rated, self.complained, self.raged, self.good):
            facts[kept] += facts.pop(other, [])
        for facts in (self.for_a_person, self.refused):
            facts[kept] += facts.pop(other, [])
        self.unread[kept] |= self.unread.pop(other, {})


class Stream:
    """One random history of a shop that sends while its customers go on living."""

    def __init__(self, seed, world, channel, lane, person, at):
        self.random = random.Random(seed)
        self.world, self.channel, self.lane = world, channel, lane
        self.person, self.now = person, at
        self.oracle, self.left, self.number = Oracle(), Counter(), 0
        self.wrong = []
        self.template = world.add_template()
        channel.group_size = 2
        channel.before = self.look
        world.add_customers(CUSTOMERS)

    def look(self, mails):
        """What leaves now must be allowed now; then life goes on, or a process dies."""
        ours = Message.objects.filter(pk__in=[mail.message_id for mail in mails])
        for message in ours.select_related("send"):
            purpose = message.send.frozen["plan"]["purpose"]
            self.left[purpose] += 1
            forbidden = self.oracle.forbids(message.customer_id, self.now)
            if purpose == "promotion" and forbidden:
                # Raised here, it would only pause the send.
                self.wrong.append(message)
        for _ in range(self.random.randrange(3)):
            self.something_happens()
        if self.random.random() < 0.05:
            raise Died
        answers = [None] * 8 + [Busy("not_sent_throttle"), Later("later", "", 60.0)]
        answers += [InDoubt("in_doubt", "no answer"), Refused("invalid", "550")]
        for mail in mails:
            answer = self.random.choice(answers)
            self.channel.answers.pop(mail.address, None)
            if answer is not None:
                self.channel.answers[mail.address] = answer

    def someone(self):
        return self.random.choice(Customer.objects.order_by("pk"))

    def said(self, customer, kind, **more):
        self.number += 1
        return Interaction.objects.create(
            customer=customer,
            occurred_at=self.now,
            kind=kind,
            key=f"said {self.number}",
            **more,
        )

    def read(self, interaction, anger):
        families = np.zeros(len(FAMILIES), "<f4")
        families[FAMILIES.index("anger")] = anger
        families[FAMILIES.index("neutral")] = 1 - anger
        EmotionScore.objects.create(
            interaction=interaction,
            customer=interaction.customer,
            occurred_at=interaction.occurred_at,
            kind=interaction.kind,
            families=families.tobytes(),
            analyzer="test",
        )

    def something_happens(self):
        customer = self.someone()
        self.random.choice(
            [
                self.rates_badly,
                self.rates_badly,
                self.rates_well,
                self.complains,
                self.complains,
                self.rages,
                self.writes,
                self.is_read,
                self.needs_a_person,
                self.says_no,
                self.objects,
            ]
        )(customer)

    def rates_badly(self, customer):
        rating, channel = self.random.choice([(0, ""), (2, "mail"), (4, "NPS 2026")])
        self.said(customer, "survey", rating=rating, channel=channel)
        self.oracle.rated[customer.pk].append(self.now)

    def rates_well(self, customer):
        rating, channel = self.random.choice([(4, ""), (5, "mail"), (9, "NPS 2026")])
        self.said(customer, "survey", rating=rating, channel=channel)
        self.oracle.good[customer.pk].append(self.now)

    def complains(self, customer):
        if customer.profiling_objected_at is None:
            anger = self.random.choice([0.2, 0.6, 0.9])
            self.read(self.said(customer, "ticket", text="It broke."), anger)
            if anger > 0.5:
                self.oracle.complained[customer.pk].append(self.now)

    def rages(self, customer):
        if customer.profiling_objected_at is None:
            self.read(self.said(customer, "social", text="Never again."), 0.85)
            self.oracle.raged[customer.pk].append(self.now)

    def writes(self, customer):
        """A ticket that comes between two readings."""
        ticket = self.said(customer, "ticket", text="Where is it?")
        if customer.profiling_objected_at is None:
            self.oracle.unread[customer.pk][ticket.pk] = self.now

    def is_read(self, customer):
        waiting = Interaction.objects.filter(
            kind="ticket", emotion_score=None, customer__profiling_objected_at=None
        )
        for ticket in waiting:
            self.read(ticket, 0.1)
            del self.oracle.unread[ticket.customer_id][ticket.pk]

    def needs_a_person(self, customer):
        row = self.said(customer, "reply", text="")
        SensitiveMatter.objects.create(
            interaction=row, customer=customer, occurred_at=self.now
        )
        self.oracle.for_a_person[customer.pk].append(self.now)

    def says_no(self, customer):
        if self.random.random() < 0.5:
            suppress(customer.email, reason="unsubscribed", at=self.now)
        else:
            record_consent(
                customer, purpose="marketing", basis="withdrawn", source="", at=self.now
            )
        self.oracle.refused[customer.pk].append(self.now)

    def objects(self, customer):
        object_to_profiling(customer, source="test", at=self.now)
        self.oracle.forget(customer.pk)

    def merge(self):
        kept, other = self.someone(), self.someone()
        try:
            merge_customers(kept, other, by=None, at=self.now)
        except MergeRefused:
            return
        kept.refresh_from_db()
        self.oracle.join(kept.pk, other.pk)
        if kept.profiling_objected_at is not None:
            self.oracle.forget(kept.pk)

    def plan(self, purpose=None):
        purpose = purpose or self.random.choice(["promotion", "promotion", "service"])
        if self.template.purpose != purpose:
            self.template.purpose = purpose
            self.template.save(update_fields=["purpose"])
        campaign = self.world.add_campaign(self.template)
        schedule_send(campaign, scheduled_at=self.now, at=self.now)

    def prepare(self):
        for send in Send.objects.filter(state="scheduled"):
            launch_send(send, at=self.now)
        for send in Send.objects.filter(state="preparing"):
            materialise(send, at=self.now)

    def deliver(self):
        with contextlib.suppress(Died):
            deliver_next_batch(self.lane, now=self.now)

    def turn(self):
        with contextlib.suppress(Died):
            engine.run_once(at=self.now)

    def sweep(self):
        ledger.sweep(now=self.now)

    def press(self):
        send = self.random.choice(Send.objects.order_by("pk"))
        act = self.random.choice([pause_send, *[resume_send] * 5, cancel_send])
        if act is cancel_send and self.random.random() < 0.8:
            return
        with contextlib.suppress(WrongState):
            act(send, at=self.now)

    def live_on(self):
        for purpose in ("promotion", "service"):
            self.plan(purpose)
            self.prepare()
        for _ in range(STEPS):
            self.now += self.random.choice([0.003, 0.03, 0.1, 0.1, 0.2, 2.3]) * DAY
            self.random.choice(
                [
                    self.plan,
                    self.prepare,
                    self.prepare,
                    self.deliver,
                    self.deliver,
                    self.deliver,
                    self.turn,
                    self.sweep,
                    self.press,
                    self.press,
                    self.merge,
                    self.something_happens,
                    self.something_happens,
                ]
            )()


@pytest.fixture
def stream(world, channel, lane, django_user_model, at, monkeypatch):
    monkeypatch.setattr(engine, "channel_for", lambda provider: channel)
    person = django_user_model.objects.create(username="mara")
    return lambda seed: Stream(seed, world, channel, lane, person, at)


def lives_on(shop):
    shop.live_on()
    assert shop.wrong == []
    assert shop.left.total() > 10


@pytest.mark.parametrize("seed", range(6))
def test_no_path_sends_a_promotion_to_whom_it_must_not(stream, seed):
    lives_on(stream(seed))


def test_service_mail_reaches_them_all_the_same(stream, channel):
    shop = stream(0)
    channel.before = lambda mails: None
    for customer in Customer.objects.all():
        shop.rates_badly(customer)
    for purpose in ("promotion", "service"):
        shop.plan(purpose)
        shop.prepare()
        shop.turn()
    for purpose, state in (("promotion", "left_out"), ("service", "accepted")):
        messages = Message.objects.filter(send__frozen__plan__purpose=purpose)
        assert messages.filter(state=state).count() == CUSTOMERS
    assert {one.reason for one in Message.objects.all()} == {"held", ""}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 60))
def test_no_path_does_in_many_more_histories(stream, seed):
    lives_on(stream(seed))
