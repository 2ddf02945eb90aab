import json
import threading
import time
from collections import Counter
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest

from campaigns.models import Batch, Breaker, Message, ProviderNote
from campaigns.sending import ledger
from campaigns.sending.breaker import (
    LONGEST_OPEN_SECONDS,
    Way,
    close_breaker,
    in_words,
    open_breaker,
)
from campaigns.sending.channels import Busy, InDoubt, Receipt, channel_for
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.services import send_progress
from tests.campaigns.chaos.loopback import Taken

pytestmark = pytest.mark.django_db

DOUBT = InDoubt("in_doubt", "the provider answered 500")
AWAY = Busy("not_sent_net", "the provider could not be reached")
WAY = Way("outbox", "bulk")


@pytest.fixture
def send(send_to):
    """Twelve customers in batches of three."""
    return in_batches_of(3, send_to(12))


def in_batches_of(size, send):
    whole = send.batches.get()
    messages = list(send.messages.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(messages), size):
        batch = whole
        if start:
            batch = Batch.objects.create(
                send=send, variant_id=whole.variant_id, not_before=whole.not_before
            )
        Message.objects.filter(pk__in=messages[start : start + size]).update(
            batch=batch
        )
    return send


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def everybody(answer):
    return {f"person{number}@example.com": answer for number in range(100)}


def the_breaker():
    return Breaker.objects.get()


def deliver_all(lane, now):
    outcomes = []
    while (outcome := deliver_next_batch(lane, now=now)) is not None:
        outcomes.append(outcome)
    return outcomes


def test_the_first_doubt_opens_it_and_nobody_claims(send, lane, channel, at):
    channel.answers = everybody(DOUBT)
    deliver_all(lane, at)
    assert states(send) == {"in_doubt": 1, "waiting": 11}
    other = Lane("bulk", channel, "another worker, or the same one after a restart")
    assert deliver_next_batch(other, now=at + timedelta(seconds=29)) is None
    assert (the_breaker().state, the_breaker().failures) == ("open", 1)
    assert not Batch.objects.filter(state="claimed").exists()


def test_one_single_mail_asks_and_a_good_answer_closes_it(send, lane, channel, at):
    channel.answers = everybody(DOUBT)
    deliver_all(lane, at)
    channel.answers, channel.groups = {}, []
    deliver_next_batch(lane, now=at + timedelta(minutes=1))
    assert channel.groups == [1, 2]
    assert the_breaker().state == "closed"
    deliver_all(lane, at + timedelta(minutes=2))
    assert states(send) == {"in_doubt": 1, "accepted": 11}
    assert len(channel.ledger) == len(set(channel.ledger))


def test_while_one_mail_asks_nobody_else_claims(send, lane, channel, at):
    channel.answers = everybody(DOUBT)
    deliver_all(lane, at)
    later, others = at + timedelta(minutes=1), []
    other = Lane("bulk", channel, "other")
    channel.answers = everybody(DOUBT)
    channel.before = lambda mails: others.append(deliver_next_batch(other, now=later))
    deliver_next_batch(lane, now=later)
    assert others == [None]
    assert states(send)["in_doubt"] == 2


def test_each_failed_question_doubles_the_wait_up_to_an_hour(send, lane, channel, at):
    channel.answers = everybody(DOUBT)
    now = at
    for wanted in [30, 60, 120, 240, 480, 960, 1920, *[LONGEST_OPEN_SECONDS] * 2]:
        began = time.monotonic()
        deliver_next_batch(lane, now=now)
        took = time.monotonic() - began
        until = the_breaker().until
        # From when the answer came, which is later on a busy machine.
        assert wanted <= (until - now).total_seconds() <= wanted + took
        now = until + timedelta(hours=1)
    assert states(send)["in_doubt"] == 9


def test_whoever_dies_while_asking_leaves_the_question_to_another(
    send, lane, channel, at
):
    class Died(BaseException):
        pass

    def die(mails):
        raise Died

    channel.answers = everybody(DOUBT)
    deliver_all(lane, at)
    channel.answers, channel.before = {}, die
    with pytest.raises(Died):
        deliver_next_batch(lane, now=at + timedelta(minutes=1))
    channel.before = lambda mails: None
    assert deliver_next_batch(lane, now=at + timedelta(minutes=2)) is None
    ledger.sweep(now=at + timedelta(hours=1))
    deliver_all(lane, at + timedelta(hours=1))
    assert states(send) == {"in_doubt": 2, "accepted": 10}


def test_with_a_seed_address_no_customer_s_mail_asks(
    send, lane, channel, at, invariants
):
    channel.answers = everybody(DOUBT)
    deliver_all(lane, at)
    Breaker.objects.update(seed_address="seed@shop.example")
    channel.answers["seed@shop.example"] = DOUBT
    deliver_next_batch(lane, now=at + timedelta(minutes=1))
    assert states(send) == {"in_doubt": 1, "waiting": 11}
    assert the_breaker().failures == 2
    bodies = []
    channel.before = lambda mails: bodies.append(mails[0].body)
    channel.answers = {}
    deliver_all(lane, at + timedelta(minutes=5))
    assert bodies[0].to == ["seed@shop.example"]
    assert "Name" not in bodies[0].body
    assert states(send) == {"in_doubt": 1, "accepted": 11}
    assert invariants(channel).taken == 11


def test_a_provider_not_reached_three_times_in_a_row_opens_it_without_doubt(
    send, lane, channel, at
):
    channel.answers = everybody(AWAY)
    for turn in range(3):
        deliver_next_batch(lane, now=at + timedelta(hours=turn))
    assert the_breaker().state == "open"
    assert states(send) == {"waiting": 12}


def test_an_answer_in_between_begins_the_row_anew(send, lane, channel, at):
    for turn in range(5):
        channel.answers = everybody(Receipt("id") if turn == 2 else AWAY)
        deliver_next_batch(lane, now=at + timedelta(hours=turn))
    assert the_breaker().state == "closed"
    assert the_breaker().not_reached == 2


def test_a_rest_asked_for_by_one_worker_is_kept_by_all(send, lane, channel, at):
    channel.answers = everybody(Busy("not_sent_throttle", "429", 120.0))
    deliver_next_batch(lane, now=at)
    channel.answers = {}
    other = Lane("bulk", channel, "other")
    assert deliver_next_batch(other, now=at + timedelta(seconds=119)) is None
    assert the_breaker().failures == 0
    deliver_all(other, at + timedelta(seconds=125))
    assert states(send) == {"accepted": 12}


def test_a_group_that_has_not_left_when_it_opens_stays(send, lane, channel, at):
    def opens(mails):
        if len(channel.groups) == 0:
            Breaker.objects.update(state="open", until=at + timedelta(hours=1))

    channel.group_size, channel.before = 1, opens
    deliver_next_batch(lane, now=at)
    assert states(send) == {"accepted": 1, "waiting": 11}
    assert channel.groups == [1]


def test_a_person_opens_and_closes_it_and_it_is_kept_who(
    send, lane, channel, at, admin_user
):
    open_breaker(WAY, at=at, by=admin_user)
    assert deliver_next_batch(lane, now=at + timedelta(days=1)) is None
    assert "opened by admin" in in_words(the_breaker(), now=at)
    close_breaker(WAY, at=at, by=admin_user)
    deliver_all(lane, at)
    assert states(send) == {"accepted": 12}
    assert set(ProviderNote.objects.values_list("by", flat=True)) == {admin_user.pk}


def test_the_send_s_page_says_that_the_provider_is_left_alone(
    send, lane, channel, at, admin_user
):
    from campaigns.sending.engine import heartbeat

    heartbeat("one", "run_engine", at=at, since=at)
    channel.answers = everybody(DOUBT)
    deliver_all(lane, at)
    said = send_progress(send, at=at + timedelta(seconds=5)).binds
    assert "the provider answered 500" in said
    assert "one mail asks" in said


class _Storm(BaseHTTPRequestHandler):
    """500, 502, 504, over and over, until it is over; then every mail is taken."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = next(self.server.number)
        storms = self.server.storms
        code = (500, 502, 504)[number % 3] if storms else 201
        many = len(asked.get("messageVersions", ()))
        for one in () if storms else asked.get("messageVersions", [{}]):
            mail = {**asked, **one}
            known = json.loads(mail["headers"]["X-Mailin-custom"])["d"]
            to = mail["to"][0]["email"]
            self.server.taken.append(Taken(time.time(), int(known), to, "", ""))
        ids = [f"<b{n}@brevo>" for n in range(many)]
        said = {"messageIds": ids} if many else {"messageId": "<b1@brevo>"}
        content = json.dumps(said).encode()
        self.server.answered.append(code)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def storm(settings):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Storm)
    server.daemon_threads = True
    server.number, server.storms = count(), True
    server.answered, server.taken = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.PROVIDER = "brevo"
    settings.ANYMAIL = {
        "BREVO_API_KEY": "k",
        "BREVO_API_URL": f"http://127.0.0.1:{server.server_address[1]}/",
    }
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("in_a_call", [1, 5])
@pytest.mark.django_db(transaction=True)
def test_in_a_storm_no_more_mails_are_in_doubt_than_two_workers_had_under_way(
    world, campaign, at, at_once, storm, settings, in_a_call, invariants
):
    settings.MAILS_PER_CALL = in_a_call
    world.add_customers(60)
    send = world.prepared_send(campaign)

    def work():
        deliver_all(Lane("bulk", channel_for("brevo")), at)

    assert at_once(work, work) == []
    asked = states(send)["in_doubt"]
    calls = len(storm.answered)
    assert 1 <= calls <= 2  # workers
    assert calls <= asked <= calls * in_a_call
    assert at_once(work, work) == []
    assert len(storm.answered) == calls
    storm.storms = False
    later = at + timedelta(minutes=5)
    deliver_all(Lane("bulk", channel_for("brevo")), later)
    assert states(send) == {"in_doubt": asked, "accepted": 60 - asked}
    assert invariants(storm).taken == 60 - asked
