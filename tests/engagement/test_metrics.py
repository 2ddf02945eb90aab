from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from campaigns.models import Batch, EngineNode, Message, RateLimit, Send
from campaigns.sending import windows
from campaigns.sending.breaker import Way, open_breaker
from customers.services import suppress
from engagement.metrics import exposition
from engagement.models import DeadLetter, WebhookCall

pytestmark = pytest.mark.django_db
TOKEN = "a token of some length"
# One each, whatever the database holds.
QUERIES = 14


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture(autouse=True)
def _with_token(settings):
    settings.METRICS_TOKEN = TOKEN
    cache.clear()


def read(said):
    # {(name, labels' values in the order of their names): value}
    return {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(said.decode())
        for one in family.samples
    }


def ask(client, header=f"Bearer {TOKEN}", how="get"):
    headers = {"Authorization": header} if header else {}
    return getattr(client, how)("/metrics", headers=headers)


def batch(message, now, state, **more):
    return Batch.objects.create(
        send=message.send,
        variant=message.send.variants.first(),
        state=state,
        not_before=now - timedelta(minutes=3),
        **more,
    )


def test_who_knows_the_token_is_told_what_a_parser_can_read(client, send):
    answer = ask(client)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert read(answer.content)[("attune_sends", "sent")] == 1


@pytest.mark.parametrize(
    "header",
    ["", "Bearer ", f"Bearer {TOKEN}x", TOKEN, f"Basic {TOKEN}", "Bearer \xff"],
)
def test_everybody_else_finds_nothing_there(client, header):
    nowhere = client.get("/metricx")
    answer = ask(client, header)
    assert (answer.status_code, answer.content) == (404, nowhere.content)


def test_without_a_token_set_and_by_any_other_method_there_is_nothing(client, settings):
    assert ask(client, how="post").status_code == 404
    settings.METRICS_TOKEN = ""
    for header in ("Bearer ", "", f"Bearer {TOKEN}"):
        assert ask(client, header).status_code == 404


def test_what_waits_is_held_or_in_doubt_is_told_with_its_age(message, now):
    Send.objects.update(state="sending")
    batch(message, now, "waiting")
    batch(message, now, "handing_over", lease_until=now - timedelta(seconds=1))
    batch(message, now, "done", outcome="accepted", outcome_at=now)
    batch(message, now, "done", outcome="accepted", outcome_at=now - timedelta(hours=1))
    doubted = batch(message, now, "in_doubt", outcome="in_doubt", outcome_at=now)
    Message.objects.update(state="in_doubt", batch=doubted)
    said = read(exposition(at=now))
    states = ("due", "later", "claimed", "handing_over", "in_doubt")
    assert [said["attune_batches", one] for one in states] == [1, 0, 0, 1, 1]
    assert said["attune_batches_left_behind",] == 1
    assert said["attune_oldest_due_batch_age_seconds",] == 180
    assert said["attune_messages", "in_doubt"] == said["attune_messages_in_doubt",] == 1
    assert said["attune_batch_outcomes_recent", "accepted"] == 1
    assert said["attune_batch_outcomes_recent", "in_doubt"] == 1


def test_breakers_limits_and_engines_are_told(now, admin_user):
    open_breaker(Way("outbox", "bulk"), at=now, by=admin_user)
    slots = windows.taken({}, windows.SECONDS["minute"], 10, now=now.timestamp())
    RateLimit.objects.create(provider="outbox", window="minute", most=10, slots=slots)
    for name, seconds in (("a", 4), ("b", 90)):
        seen = now - timedelta(seconds=seconds)
        EngineNode.objects.create(
            name=name, role="worker", started_at=seen, last_seen=seen
        )
    said = read(exposition(at=now))
    assert said["attune_breaker", "bulk", "outbox", "open"] == 1
    assert said["attune_breaker", "bulk", "outbox", "closed"] == 0
    limit = ("all", "no", "all", "outbox", "minute")
    assert said["attune_limit_mails", *limit] == 10
    assert (
        said["attune_limit_mails_left", *limit],
        said["attune_limit_binds", *limit],
    ) == (0, 1)
    assert said["attune_engines", "worker"] == 1
    assert said["attune_engine_heartbeat_age_seconds", "worker"] == 4


def test_a_limit_until_it_is_verified_is_told_apart_from_one_of_the_shops_own(now):
    RateLimit.objects.create(provider="smtp", window="day", most=9)
    RateLimit.objects.create(provider="smtp", window="day", most=500, unverified=True)
    said = read(exposition(at=now))
    assert said["attune_limit_mails", "all", "no", "all", "smtp", "day"] == 9
    assert said["attune_limit_mails", "all", "unverified", "all", "smtp", "day"] == 500


def test_reports_that_wait_and_suppressions_are_told(now):
    calls = [
        WebhookCall.objects.create(
            provider="x",
            body=b"",
            sha256=str(minutes),
            received_at=now,
            not_before=now - timedelta(minutes=minutes),
        )
        for minutes in (5, -5)
    ]
    DeadLetter.objects.create(
        call=calls[0], place=0, said="", problem="", failed_at=now
    )
    suppress("gone@example.com", reason="bounced", at=now)
    said = read(exposition(at=now))
    assert said["attune_inbox_waiting",] == 2
    assert said["attune_inbox_oldest_age_seconds",] == 300
    assert said["attune_dead_letters",] == 1
    assert said["attune_suppressions", "bounced"] == 1
    assert said["attune_suppressions", "complained"] == 0


def test_a_look_costs_as_many_queries_with_much_as_with_little(message, now, settings):
    with CaptureQueriesContext(connection) as little:
        exposition(at=now)
    Send.objects.update(state="sending")
    for _ in range(20):
        batch(message, now, "waiting")
        batch(message, now, "claimed", lease_until=now)
    cache.clear()
    with CaptureQueriesContext(connection) as much:
        exposition(at=now)
    assert len(much) <= QUERIES
    assert len(little) <= len(much)
    # Suppressions are not counted again at once.
    with CaptureQueriesContext(connection) as again:
        exposition(at=now)
    assert len(again) == len(much) - 1


def test_no_address_name_or_feeling_is_told(message, now):
    Send.objects.update(state="sending")
    said = exposition(at=now).decode().lower()
    for word in ("@", "ada", "trusting", "grateful", "spring", "anger", "joy"):
        assert word not in said
