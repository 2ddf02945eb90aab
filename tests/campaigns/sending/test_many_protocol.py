"""Many mails in one call, with claims, intents and outcomes."""

from collections import Counter
from datetime import timedelta

import pytest

from campaigns.models import Batch
from campaigns.sending import ledger
from campaigns.sending.channels import batch_size_of
from campaigns.sending.channels.calls import CALLS
from campaigns.sending.channels.many import BATCH_SIZE, MOST_CALLS
from campaigns.sending.protocol import Lane, deliver_next_batch
from customers.models import Customer
from customers.services import suppress

pytestmark = pytest.mark.django_db
PEOPLE = 12


@pytest.fixture
def send(send_to):
    """Twelve customers of one segment in one batch."""
    return send_to(PEOPLE)


@pytest.fixture
def lane_of(many):
    def lane_of(name, group_size=BATCH_SIZE):
        channel = many(name)
        channel.group_size = group_size
        return Lane("bulk", channel, "test")

    return lane_of


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def addresses(fake):
    return sorted(one.address for one in fake.ledger)


@pytest.mark.parametrize(
    "name", ["amazon_ses", "brevo", "mailgun", "postmark", "sparkpost"]
)
def test_a_batch_leaves_in_one_call_and_everybody_is_accepted(
    send, lane_of, fake, at, name
):
    outcome = deliver_next_batch(lane_of(name), now=at)
    assert outcome.accepted == PEOPLE == len(set(addresses(fake)))
    assert fake.sizes == [PEOPLE]
    for message in send.messages.all():
        assert message.state == "accepted"
        assert message.provider_message_id


def test_who_said_no_since_is_in_no_call(send, lane_of, fake, at):
    suppress("person3@example.com", reason="unsubscribed", at=at)
    deliver_next_batch(lane_of("mailgun"), now=at)
    assert "person3@example.com" not in addresses(fake)
    assert states(send) == {"accepted": PEOPLE - 1, "left_out": 1}


@pytest.mark.parametrize("name", ["mailgun", "brevo"])
def test_a_poisoned_address_fails_alone_and_the_others_are_mailed_once(
    send, lane_of, fake, at, name, invariants
):
    """F19."""
    fake.poisoned = {"person7@example.com"}
    deliver_next_batch(lane_of(name), now=at)
    assert states(send) == {"accepted": PEOPLE - 1, "failed": 1}
    assert len(addresses(fake)) == len(set(addresses(fake))) == PEOPLE - 1
    assert send.messages.get(state="failed").reason == "not_sent_bad"
    assert invariants(fake).taken == PEOPLE - 1


@pytest.mark.parametrize("name", list(CALLS))
def test_a_send_to_one_leaves_as_one_to_many_does(
    send_to, lane_of, fake, at, name, invariants
):
    """F22: a call of one has another form with most of them."""
    send = send_to(1)
    deliver_next_batch(lane_of(name), now=at)
    assert states(send) == {"accepted": 1}
    assert fake.sizes == [1]
    [mail] = fake.ledger
    assert mail.public_id == str(send.messages.get().public_id)
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert invariants(fake).taken == 1


@pytest.mark.parametrize("name", ["amazon_ses", "mailjet", "postmark", "sparkpost"])
def test_when_everybody_is_refused_each_is_told_why_and_nobody_waits(
    send_to, lane_of, fake, at, name, invariants
):
    """F21: the answers stand in what Anymail raises."""
    send = send_to(3)
    fake.poisoned = {f"person{number}@example.com" for number in range(3)}
    deliver_next_batch(lane_of(name), now=at)
    assert states(send) == {"failed": 3}
    assert invariants(fake).taken == 0


@pytest.mark.parametrize("name", ["mailgun", "postmark"])
def test_what_is_wrong_with_the_account_costs_nobody_their_mail(
    send, lane_of, fake, at, name
):
    fake.script = [(400, {"message": "sender"}, {}, False)] * 50
    deliver_next_batch(lane_of(name), now=at)
    send.refresh_from_db()
    assert send.state == "paused"
    assert states(send) == {"waiting": PEOPLE}
    assert fake.ledger == []


@pytest.mark.parametrize("answer", [(200, b"<html>"), (500, {}), (502, b"")])
def test_an_answer_that_tells_nothing_leaves_one_group_in_doubt(
    send, lane_of, fake, at, answer
):
    """F14, F15, F17: the second of three groups."""
    fake.script = [None, (*answer, {}, True)]
    lane = lane_of("mailgun", group_size=4)
    deliver_next_batch(lane, now=at)
    assert states(send) == {"accepted": 4, "in_doubt": 4, "waiting": 4}
    deliver_next_batch(lane, now=at + timedelta(hours=1))
    assert states(send) == {"accepted": 8, "in_doubt": 4}
    assert len(addresses(fake)) == len(set(addresses(fake))) == PEOPLE


def test_a_provider_s_patience_is_kept_also_where_somebody_travels_alone(
    send, lane_of, fake, at
):
    """Person 1's address is one that only a call of its own is sure to keep."""
    Customer.objects.filter(external_id="c1").update(address_wire="o'n@example.com")
    send.messages.filter(customer__external_id="c1").update(
        address_wire="o'n@example.com"
    )
    fake.script = [None, (429, {}, {"Retry-After": "900"}, False)]
    outcome = deliver_next_batch(lane_of("mailgun"), now=at)
    assert outcome.stopped == "not_sent_throttle"
    assert sum(states(send)[key] for key in ("accepted", "waiting")) == PEOPLE
    assert Batch.objects.get().not_before >= at + timedelta(seconds=900)


def test_whoever_dies_in_a_call_leaves_one_group_in_doubt(send, lane_of, fake, at):
    class Died(BaseException):
        pass

    lane = lane_of("mailgun", group_size=4)
    hand_over = lane.channel.hand_over

    def die(mails):
        results = hand_over(mails)
        if len(fake.requests) == 2:
            raise Died
        return results

    lane.channel.hand_over = die
    with pytest.raises(Died):
        deliver_next_batch(lane, now=at)
    ledger.sweep(now=at + lane.lease + timedelta(seconds=1))
    assert states(send) == {"accepted": 4, "in_doubt": 4, "waiting": 4}


def test_a_lease_is_long_enough_for_all_calls_of_a_group_and_no_longer(lane_of):
    lane = lane_of("mailgun")
    longest = MOST_CALLS * lane.channel.timeout_seconds
    assert longest < lane.lease.total_seconds() <= longest + 60


@pytest.mark.parametrize("name", list(CALLS))
def test_a_batch_holds_at_least_one_group(many, name):
    assert batch_size_of(name) >= many(name).group_size


@pytest.mark.parametrize("name", ["brevo", "resend"])
def test_what_waits_again_leaves_under_a_key_of_its_own(send, lane_of, fake, at, name):
    fake.script = [(429, {}, {}, False)]
    lane = lane_of(name)
    deliver_next_batch(lane, now=at)
    deliver_next_batch(lane, now=at + timedelta(hours=2))
    first, second = (_key(name, one) for one in fake.requests)
    assert first != second
    assert states(send) == {"accepted": PEOPLE}


def _key(name, request):
    if name == "resend":
        return request.headers["Idempotency-Key"]
    return request.body.split(b'"idempotencyKey": "')[1].split(b'"')[0].decode()
