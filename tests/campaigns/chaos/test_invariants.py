"""The seven invariants themselves: each is broken by hand, and each is noticed."""

import time
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from campaigns.models import Batch, Message, Send
from campaigns.sending.ledger import finish_sends
from campaigns.sending.protocol import deliver_next_batch
from tests.campaigns.chaos.invariants import SaidNo, check
from tests.campaigns.chaos.loopback import Taken


@dataclass
class Here:
    """This process's database, asked as the shops of the harness are."""

    world: ModuleType
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def is_sqlite(self) -> bool:
        return connection.vendor == "sqlite"

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def run(self, what: str) -> dict[str, Any]:
        return self.world.main([what]) | self.shown


@pytest.fixture
def here(world, campaign, lane, at):
    """A send that has ended, all of it accepted, and the ledger that fits."""
    world.add_customers(6)
    send = world.prepared_send(campaign)
    while deliver_next_batch(lane, now=at):
        pass
    finish_sends(now=at)
    send.refresh_from_db()
    assert send.state == "sent"
    return Here(world)


@pytest.fixture
def provider(here):
    now = time.time()
    rows = Message.objects.values_list("public_id", "address_wire")
    return SimpleNamespace(ledger=[Taken(now, *row, "", "") for row in rows])


def test_what_is_whole_passes(here, provider):
    sums = check(here, provider, at_rest=True)
    assert (sums.taken, sums.twice, sums.lost) == (6, 0, 0)


def test_a_mail_taken_twice_is_noticed(here, provider):
    provider.ledger.append(provider.ledger[0])
    with pytest.raises(AssertionError, match="I1: 1 mails"):
        check(here, provider)


def test_a_mail_to_somebody_who_had_said_no_is_noticed(here, provider):
    one = provider.ledger[2]
    said = [SaidNo(one.address, one.at - 60, waited=True)]
    with pytest.raises(AssertionError, match="I2: mailed"):
        check(here, provider, said_no=said)
    check(here, provider, said_no=[SaidNo(one.address, one.at + 1, waited=False)])


def test_a_mail_that_is_called_accepted_and_nobody_took_is_noticed(here, provider):
    provider.ledger.pop()
    with pytest.raises(AssertionError, match="I3: accepted"):
        check(here, provider)


@pytest.mark.parametrize("state", ["waiting", "failed", "left_out", "cancelled"])
def test_a_mail_that_was_taken_and_is_called_something_else_is_noticed(
    here, provider, state
):
    first = Message.objects.order_by("pk").first()
    Message.objects.filter(pk=first.pk).update(state=state)
    with pytest.raises(AssertionError, match="I4: taken"):
        check(here, provider)


def test_somebody_of_the_audience_without_a_message_is_noticed(here, provider):
    Send.objects.update(audience_size=7)
    with pytest.raises(AssertionError, match="I5: 6 rows, an audience of 7"):
        check(here, provider)


def test_work_that_is_left_when_a_send_has_ended_is_noticed(here, provider):
    first = Message.objects.order_by("pk").first()
    Message.objects.filter(pk=first.pk).update(state="handing_over")
    with pytest.raises(AssertionError, match="I6: the send has ended"):
        check(here, provider)
    Message.objects.filter(pk=first.pk).update(state="accepted")
    Batch.objects.filter(pk=first.batch_id).update(state="claimed")
    with pytest.raises(AssertionError, match="I6: the send has ended"):
        check(here, provider)


def test_numbers_that_are_shown_and_not_there_are_noticed(here, provider):
    here.shown = {"accepted": 5}
    with pytest.raises(AssertionError, match="I7"):
        check(here, provider, at_rest=True)
