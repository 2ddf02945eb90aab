"""Figures for a monitor, in Prometheus's terms, read from the database when asked.

The database is what all processes share, so nothing is counted beside it and nothing
is lost with a process. Each figure is one query by an index, or was counted before by
who drives the sends; labels are states and classes, never a name, address or feeling.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.core.cache import cache
from django.db.models import Count, Max, Min, Q
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from campaigns.models import Batch, Breaker, EngineNode, Message, RateLimit, Send
from campaigns.planning import SENDER_SILENT
from campaigns.sending import counters, limits
from campaigns.under_way import UNDER_WAY, how_far
from customers.models import Suppression
from engagement.models import DeadLetter, WebhookCall

# Answers of the last minutes: longer than any monitor waits between two looks.
ANSWERS_OF: Final = timedelta(minutes=5)
# Suppressions are many and change slowly: no look counts them all.
SUPPRESSIONS_KEPT_SECONDS: Final = 300
_SUPPRESSIONS: Final = "metrics-suppressions-by-reason"
_LEASED: Final = (Batch.State.CLAIMED, Batch.State.HANDING_OVER)


def exposition(*, at: datetime) -> bytes:
    """Everything, in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(at))
    return generate_latest(registry)


class _Figures:
    def __init__(self, at: datetime) -> None:
        self._at = at

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is read before somebody asks."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for look in (
            _sends,
            _messages,
            _batches,
            _answers,
            _breakers,
            _limits,
            _engines,
            _inbox,
            _suppressions,
        ):
            yield from look(self._at)


def _by(
    name: str, words: str, label: str, values: Mapping[str, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _one(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)


def _age(since: datetime | None, at: datetime) -> float:
    """Seconds; 0 where there is nothing that grows old."""
    return max(0.0, (at - since).total_seconds()) if since else 0.0


def _sends(at: datetime) -> Iterable[GaugeMetricFamily]:
    found = Send.objects.order_by().values_list("state").annotate(n=Count("pk"))
    states = dict.fromkeys(Send.State.values, 0) | dict(found)
    yield _by("attune_sends", "Sends by state.", "state", states)


def _messages(at: datetime) -> Iterable[GaugeMetricFamily]:
    states = dict.fromkeys(Message.State.values, 0)
    for _, how in how_far(Send.objects.filter(state__in=UNDER_WAY)):
        for state, n in how.states.items() if how else ():
            states[state] += n
    words = "Messages of the sends under way; of large ones as they were counted last."
    yield _by("attune_messages", words, "state", states)


def _batches(at: datetime) -> Iterable[GaugeMetricFamily]:
    waiting = Batch.objects.filter(state=Batch.State.WAITING, paused=False)
    due = Q(not_before__lte=at)
    waits = waiting.aggregate(
        n=Count("pk"), due=Count("pk", filter=due), oldest=Min("not_before", filter=due)
    )
    leased = Batch.objects.filter(state__in=_LEASED).aggregate(
        claimed=Count("pk", filter=Q(state=Batch.State.CLAIMED)),
        handing_over=Count("pk", filter=Q(state=Batch.State.HANDING_OVER)),
        left_behind=Count("pk", filter=Q(lease_until__lt=at)),
    )
    doubt = Message.objects.filter(
        state=Message.State.IN_DOUBT, settled_at=None
    ).aggregate(batches=Count("batch", distinct=True), messages=Count("pk"))
    states = {
        "due": waits["due"],
        "later": waits["n"] - waits["due"],
        "claimed": leased["claimed"],
        "handing_over": leased["handing_over"],
        "in_doubt": doubt["batches"],
    }
    words = "Batches that wait and are due, wait for later, are held, or in doubt."
    yield _by("attune_batches", words, "state", states)
    yield _one(
        "attune_batches_left_behind",
        "Batches whose lease is over and that nobody has taken up yet.",
        leased["left_behind"],
    )
    yield _one(
        "attune_oldest_due_batch_age_seconds",
        "How long the batch that is due longest has been due; 0: none is.",
        _age(waits["oldest"], at),
    )
    yield _one(
        "attune_messages_in_doubt",
        "Messages in doubt that nobody has decided about, of all sends.",
        doubt["messages"],
    )


def _answers(at: datetime) -> Iterable[GaugeMetricFamily]:
    since = at - ANSWERS_OF
    lately = Send.objects.filter(Q(state__in=UNDER_WAY) | Q(finished_at__gt=since))
    found = (
        Batch.objects.filter(send__in=lately.order_by(), outcome_at__gt=since)
        .exclude(outcome="")
        .order_by()
        .values_list("outcome")
        .annotate(n=Count("pk"))
    )
    words = (
        "Batches of the last five minutes by what came of them: accepted, or why not."
    )
    yield _by("attune_batch_outcomes_recent", words, "outcome", dict(found))


def _breakers(at: datetime) -> Iterable[GaugeMetricFamily]:
    state = GaugeMetricFamily(
        "attune_breaker",
        "1 at the state the breaker of a provider and lane is in.",
        labels=["provider", "lane", "state"],
    )
    rests = GaugeMetricFamily(
        "attune_provider_rest_seconds",
        "How long the provider is still left alone because it asked for it.",
        labels=["provider", "lane"],
    )
    for row in Breaker.objects.order_by("pk"):
        for one in Breaker.State.values:
            state.add_metric([row.provider, row.lane, one], float(row.state == one))
        left = (row.rests_until - at).total_seconds() if row.rests_until else 0.0
        rests.add_metric([row.provider, row.lane], max(0.0, left))
    yield state
    yield rests


def _limits(at: datetime) -> Iterable[GaugeMetricFamily]:
    labels = ["provider", "mailboxes", "campaign", "window", "learned"]
    most = GaugeMetricFamily(
        "attune_limit_mails", "Mails a limit allows in its window now.", labels=labels
    )
    left = GaugeMetricFamily(
        "attune_limit_mails_left", "Mails a limit still allows now.", labels=labels
    )
    binds = GaugeMetricFamily(
        "attune_limit_binds", "1 where a limit allows no more now.", labels=labels
    )
    every = RateLimit.objects.select_related("warm_up").order_by("pk")
    for limit in every:
        allowed = limits.most_at(limit, at)
        if allowed is None:
            continue
        rest = counters.left(limit, allowed, now=at)
        key = [
            # Of a warm-up, the domain that mail comes from, by whichever provider.
            limit.warm_up.domain if limit.warm_up else limit.provider,
            limit.mailboxes or "all",
            str(limit.campaign_id or "all"),
            limit.window,
            "unverified" if limit.unverified else "yes" if limit.learned else "no",
        ]
        most.add_metric(key, allowed)
        left.add_metric(key, max(0, rest))
        binds.add_metric(key, float(rest <= 0))
    yield from (most, left, binds)


def _engines(at: datetime) -> Iterable[GaugeMetricFamily]:
    alive = GaugeMetricFamily(
        "attune_engines", "Sending processes heard of lately.", labels=["role"]
    )
    age = GaugeMetricFamily(
        "attune_engine_heartbeat_age_seconds",
        "How long ago one of them was heard of last.",
        labels=["role"],
    )
    heard = Q(last_seen__gte=at - SENDER_SILENT)
    for role, last, n in (
        EngineNode.objects.order_by("role")
        .values_list("role")
        .annotate(last=Max("last_seen"), n=Count("pk", filter=heard))
    ):
        # run_engine --once is a role of its own: a monitor knows what to expect of it.
        alive.add_metric([role], n)
        age.add_metric([role], _age(last, at))
    yield alive
    yield age


def _inbox(at: datetime) -> Iterable[GaugeMetricFamily]:
    # Asked one by one, else SQLite reads every body.
    waits = WebhookCall.objects.filter(done_at=None)
    due = waits.filter(not_before__lte=at).order_by("not_before")
    oldest = due.values_list("not_before", flat=True).first()
    yield _one(
        "attune_inbox_waiting",
        "Calls of the provider, and mails that came back, not wholly taken in.",
        waits.count(),
    )
    yield _one(
        "attune_inbox_oldest_age_seconds",
        "How long the one that waits longest has been due; 0: none is.",
        _age(oldest, at),
    )
    letters = DeadLetter.objects.count()
    yield _one("attune_dead_letters", "Reports that nobody understood.", letters)


def _suppressions(at: datetime) -> Iterable[GaugeMetricFamily]:
    reasons = cache.get_or_set(_SUPPRESSIONS, _by_reason, SUPPRESSIONS_KEPT_SECONDS)
    words = "Addresses that are never mailed, by reason; counted every five minutes."
    yield _by("attune_suppressions", words, "reason", reasons or {})


def _by_reason() -> dict[str, int]:
    found = Suppression.objects.order_by().values_list("reason")
    counted = dict.fromkeys(Suppression.Reason.values, 0)
    return counted | dict(found.annotate(n=Count("pk")))
