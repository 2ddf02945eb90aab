"""What drives the sends: without a broker by run_engine, with one by Celery tasks.

The database is the queue and the schedule. Every function here may be called by
anybody, at any time, twice: what is done is done.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from queue import SimpleQueue
from typing import Any, Final

from django.conf import settings
from django.db import close_old_connections, connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from campaigns.counting import carry_on_counting, open_counts
from campaigns.doubts import mind_doubts
from campaigns.errors import DATABASE_AWAY
from campaigns.materialising import (
    MISFIRE_GRACE,
    due_at,
    launch_send,
    materialise,
)
from campaigns.models import Batch, EngineNode, Send
from campaigns.sending import (
    frequency,
    instance,
    keeping,
    ledger,
    seeding,
    trail,
    verification,
)
from campaigns.sending.breaker import LANES
from campaigns.sending.channels import Channel, answers_of, channel_for
from campaigns.sending.guarding import trouble_stays_with
from campaigns.sending.protocol import Lane, Outcome, deliver_next_batch
from campaigns.sending.pulse import Pulse
from campaigns.sending.repeating import repeat_next
from campaigns.under_way import count_under_way
from customers import searching
from segmentation.mood_keeping import mood_waits, work_out_mood
from segmentation.pins import end_expired_pins

log = logging.getLogger(__name__)

# So long a lane has its turn.
LANE_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 1.0
# A machine under load may need more than a turn to get to the first batch; so often it
# is tried again.
EMPTY_ROUNDS: Final = 3
HEARTBEAT_SECONDS: Final = 5.0
SQLITE_CACHE_KB: Final = 16_384
# After trouble with the database, this long until the next try.
TROUBLE_SECONDS: Final = 5.0
# So long a worker waits for a limit by itself; for longer it does something else.
SHORT_WAIT: Final = 1.0
FORGET_NODES_AFTER: Final = timedelta(days=1)
# After an import, a turn's share of making its customers quick to find.
INDEXING_SECONDS: Final = 1.0
# So long each of what is done beside the mail may take in a turn.
BESIDE_SECONDS: Final = 1.0
# One turn of the loop: short, so that due sends and heartbeats are not kept waiting.
TURN_SECONDS: Final = 5.0


# What rooms to the right do beside the mail, each turn: now, and until which
# time.monotonic(); it returns how much it did.
BESIDE: Final[list[Callable[[datetime, float], int]]] = []


class Role(StrEnum):
    """What a process does of it all: MAIL hands over, EVENTS takes in what comes back,
    CHORES takes up what died or stays in doubt, launches what is due and counts."""

    MAIL = "mail"
    EVENTS = "events"
    CHORES = "chores"


EVERYTHING: Final = tuple(Role)


@dataclass(slots=True)
class EngineReport:
    """What one turn did; nothing at all when idle is true."""

    launched: int = 0
    prepared: int = 0
    finished: int = 0
    given_back: int = 0
    sent_again: int = 0
    counting: int = 0
    beside: int = 0
    batches: list[Outcome] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return sum(one.accepted for one in self.batches)

    @property
    def in_doubt(self) -> int:
        return sum(one.in_doubt for one in self.batches)

    @property
    def idle(self) -> bool:
        return not (
            self.launched
            or self.prepared
            or self.finished
            or self.counting
            or self.beside
            or self.batches
        )


def tick(*, at: datetime) -> list[int]:
    """Housekeeping: take up what died, send again what is in doubt and is to be, launch
    what is due, end what is done; count, and take new customers into the search.

    Returns the sends whose audience is still to be written. Raises AnotherInstance.
    """
    instance.begin(at=at)
    verification.heed(settings.PROVIDER, at=at)
    pause_stale(at=at)
    ledger.sweep(now=at)
    mind_doubts(at=at)
    launch_due(at=at)
    wind_up(at=at)
    return preparing()


def wind_up(*, at: datetime) -> list[int]:
    """What comes after the mail, with a broker and without; the sends that ended."""
    ended = ledger.finish_sends(now=at)
    frequency.forget_old(at=at)
    keeping.forget_old(at=at)
    trail.forget_old(at=at)
    seeding.sweep(at=at)
    count_under_way(at=at)
    searching.catch_up(until=time.monotonic() + INDEXING_SECONDS)
    return ended


def pause_stale(*, at: datetime) -> int:
    """Stop sends that were due for hours while no sender was running.

    What was news before an outage may be none after it: a person decides. Asked before
    what died is taken up, which would look like work. Whoever only waits for a large
    send to end is not meant. Returns how many were stopped.
    """
    since = at - MISFIRE_GRACE
    if Batch.objects.filter(intent_at__gte=since).exists():
        return 0
    theirs = Batch.objects.filter(send=OuterRef("pk"))
    overdue = theirs.filter(
        state=Batch.State.WAITING, paused=False, not_before__lt=since
    )
    left = theirs.filter(
        state__in=(Batch.State.CLAIMED, Batch.State.HANDING_OVER), lease_until__lt=since
    )
    stale = Send.objects.filter(
        Q(Exists(overdue) | Exists(left), state=Send.State.SENDING)
        | Q(state=Send.State.PREPARING, started_at__lt=since)
    ).filter(Q(resumed_at=None) | Q(resumed_at__lt=since))
    hours = MISFIRE_GRACE // timedelta(hours=1)
    stopped = list(stale.values_list("pk", flat=True))
    for pk in stopped:
        ledger.pause_for(
            pk,
            f"Nothing was sent of it for more than {hours} hours though it was due: "
            "no sender was running, or its provider took nothing. Resume it if it "
            "still makes sense.",
            at=at,
        )
    return len(stopped)


def launch_due(*, at: datetime) -> int:
    launched = 0
    for send in Send.objects.filter(state=Send.State.SCHEDULED):
        with trouble_stays_with(send.pk, at=at):
            if due_at(send) <= at:
                # Where no timetable sorts customers, nobody else ends them in time.
                end_expired_pins(at=at)
                launched += launch_send(send, at=at).state == Send.State.PREPARING
    return launched


def preparing() -> list[int]:
    """The sends whose audience is being written."""
    waiting = Send.objects.filter(state=Send.State.PREPARING).order_by("pk")
    return list(waiting.values_list("pk", flat=True))


def prepare(send_id: int, *, at: datetime, until: float) -> bool:
    """Write the audience of a send until time.monotonic(); True when it is complete."""
    with trouble_stays_with(send_id, at=at):
        return materialise(Send.objects.get(pk=send_id), at=at, until=until)
    return False


def work_waits(lane: str, *, at: datetime) -> int:
    """How many batches of this lane could be claimed, calls repeated, or copies sent to
    seeds, now."""
    batches = Batch.objects.filter(
        lane=lane, state=Batch.State.WAITING, paused=False, not_before__lte=at
    ).count()
    return batches + keeping.due(lane, at=at) + seeding.due(lane, at=at).count()


def pump(
    lane: Lane,
    *,
    clock: Callable[[], datetime],
    until: float,
    stopping: Callable[[], bool] = lambda: False,
) -> list[Outcome]:
    """Deliver batch after batch until nothing is due, or until time.monotonic().

    Raises AnotherInstance.
    """
    instance.begin(at=clock())
    verification.heed(lane.provider, at=clock())
    outcomes = []
    # Of a slow provider one batch may take longer than a worker has.
    lane.ends = lambda: time.monotonic() >= until or stopping()
    while time.monotonic() < until and not stopping():
        repeated = repeat_next(lane, now=clock())
        if repeated is None:
            break
        outcomes.append(repeated)
    seeding.send_due(lane, clock=clock, until=until, stopping=stopping)
    while time.monotonic() < until and not stopping():
        outcome = deliver_next_batch(lane, now=clock())
        if outcome is None:
            # A limit by the second is met again and again: not worth a whole turn.
            if 0 < lane.wait_seconds <= min(SHORT_WAIT, until - time.monotonic()):
                time.sleep(lane.wait_seconds)
                continue
            break
        outcomes.append(outcome)
        log.info(
            "batch %s: %s accepted, %s refused, %s in doubt, %s left out, %s waiting",
            outcome.batch_id,
            outcome.accepted,
            outcome.refused,
            outcome.in_doubt,
            outcome.left_out,
            outcome.waiting,
        )
    return outcomes


def run_once(*, at: datetime) -> EngineReport:
    """Everything that is due at that instant, to its end."""
    with _Engine("run_engine --once", clock=_from(at)) as engine:
        return engine.turn(seconds=float("inf"))


def run_forever(
    stop: threading.Event,
    *,
    roles: Collection[Role] = EVERYTHING,
    pulse: Pulse | None = None,
) -> None:
    """Turn after turn until stop is set; it ends between two groups of mails.

    pulse: where somebody sees if it gets on, whatever the database does.
    """
    name = " ".join(["run_engine", *(roles if roles != EVERYTHING else ())])
    pulse = pulse or Pulse()
    with _Engine(
        name, clock=timezone.now, roles=roles, stop=stop, pulse=pulse
    ) as engine:
        while not stop.is_set():
            pulse.beat()
            close_old_connections()
            try:
                report = engine.turn(seconds=TURN_SECONDS)
            except DATABASE_AWAY as trouble:
                # A database that restarts, is full or locked: wait, then go on.
                log.error("the database does not answer: %s", type(trouble).__name__)
                stop.wait(TROUBLE_SECONDS)
                continue
            pulse.turned()
            if report.idle:
                stop.wait(IDLE_SECONDS)


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and Ctrl-C end the engine after the mails at hand."""
    # Not set by the handler itself: it may interrupt stop.wait() while that holds the
    # lock that set() needs, and nothing would ever end. put() is made for handlers.
    asked: SimpleQueue[None] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.put(None))

    def hear() -> None:
        asked.get()
        stop.set()

    threading.Thread(target=hear, name="stop", daemon=True).start()


def _from(at: datetime) -> Callable[[], datetime]:
    began = time.monotonic()
    return lambda: at + timedelta(seconds=time.monotonic() - began)


def _keep_little_of_the_file() -> None:
    """A sender goes through its rows once; what SQLite keeps for pages it never asks
    for again. On each turn, since a connection may be a new one."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA mmap_size=0")
            cursor.execute(f"PRAGMA cache_size={-SQLITE_CACHE_KB}")


class _Engine:
    """One process with its channel, kept open between turns."""

    def __init__(
        self,
        name: str,
        *,
        clock: Callable[[], datetime],
        roles: Collection[Role] = EVERYTHING,
        stop: threading.Event | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        """name: what its heartbeat calls it."""
        self._pulse = pulse or Pulse()
        self._called, self._clock, self._roles = name, clock, frozenset(roles)
        self._stop = stop or threading.Event()
        self._name = f"{socket.gethostname()[:80]}:{os.getpid()}"
        self._channel: Channel | None = None
        # Kept: a lane remembers which send it served last.
        self._lanes: dict[str, Lane] = {}
        self._began = clock()
        self._beat_at = float("-inf")

    def __enter__(self) -> "_Engine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._channel is not None:
            self._channel.close()

    def turn(self, *, seconds: float) -> EngineReport:
        at, until = self._clock(), time.monotonic() + seconds
        _keep_little_of_the_file()
        instance.begin(at=at)
        self._heartbeat()
        report = EngineReport()
        if Role.CHORES in self._roles:
            self._begin(report, at=at, until=until)
        # Before mail, which may take all of a turn: somebody may have said no.
        if Role.EVENTS in self._roles:
            report.beside = sum(map(self._beside, BESIDE))
            self._pulse.beat()
        if Role.MAIL in self._roles:
            if Role.CHORES not in self._roles:
                # Whoever does the chores may come later: news must not leave before.
                pause_stale(at=at)
            report.batches += self._go_round(until=until)
        # Last: a marketer who looks at a number waits rather than somebody's mail.
        if Role.CHORES in self._roles:
            self._end(report, until=until)
        return report

    def _begin(self, report: EngineReport, *, at: datetime, until: float) -> None:
        pause_stale(at=at)
        self._pulse.beat()
        report.given_back, _ = ledger.sweep(now=at)
        report.sent_again = mind_doubts(at=at)
        self._pulse.beat()
        report.launched = launch_due(at=at)
        self._pulse.beat()
        for send_id in preparing():
            report.prepared += prepare(send_id, at=self._clock(), until=until)
            self._heartbeat()

    def _end(self, report: EngineReport, *, until: float) -> None:
        self._pulse.beat()
        report.finished = len(wind_up(at=self._clock()))
        self._pulse.beat()
        for count_id in open_counts(at=self._clock()):
            report.counting += 1
            carry_on_counting(count_id, until=until)
            self._pulse.beat()
        if mood_waits(at=self._clock()):
            report.counting += 1
            work_out_mood(at=self._clock(), until=until)

    def _beside(self, work: Callable[[datetime, float], int]) -> int:
        self._pulse.beat()
        try:
            return work(self._clock(), time.monotonic() + BESIDE_SECONDS)
        except DATABASE_AWAY:
            raise
        except Exception:
            log.exception("what is done beside the mail failed; mail goes on")
            return 0

    def _go_round(self, *, until: float) -> list[Outcome]:
        """A turn for each lane, over and over, while mail leaves and there is time."""
        outcomes: list[Outcome] = []
        empty = 0
        while not self._stop.is_set():
            began = time.monotonic()
            done = [one for name in LANES for one in self._pump(name, until=until)]
            outcomes += done
            now = time.monotonic()
            # Where a turn was over before its first batch, there may be mail yet.
            hurried = empty < EMPTY_ROUNDS and now - began >= LANE_SECONDS
            if now >= until or not (done or hurried):
                break
            empty = 0 if done else empty + 1
        return outcomes

    def _pump(self, name: str, *, until: float) -> list[Outcome]:
        if not work_waits(name, at=self._clock()):
            return []
        if name not in self._lanes:
            self._lanes[name] = Lane(name, self._open_channel(), self._name)
        done = pump(
            self._lanes[name],
            clock=self._clock,
            until=min(until, time.monotonic() + LANE_SECONDS),
            stopping=self._asked_to_stop,
        )
        self._heartbeat()
        return done

    def _open_channel(self) -> Channel:
        if self._channel is None:
            channel = self._channel = channel_for(settings.PROVIDER)
            self._pulse.be_patient(answers_of(channel) * channel.timeout_seconds)
        return self._channel

    def _asked_to_stop(self) -> bool:
        # It is asked between two groups of mails, and each of them is a step.
        self._pulse.beat()
        return self._stop.is_set()

    def _heartbeat(self) -> None:
        self._pulse.beat()
        if time.monotonic() - self._beat_at < HEARTBEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        heartbeat(
            self._name,
            self._called,
            at=self._clock(),
            since=self._began,
            **self._pulse.detail,
        )


def heartbeat(
    name: str, role: str, *, at: datetime, since: datetime, **more: Any
) -> None:
    """Tell everyone that mail leaves, and forget those long silent.

    more: what else is told of it.
    """
    EngineNode.objects.update_or_create(
        name=name,
        defaults={
            "role": role,
            "started_at": since,
            "last_seen": at,
            "detail": {"provider": settings.PROVIDER, "pid": os.getpid(), **more},
        },
    )
    EngineNode.objects.filter(last_seen__lt=at - FORGET_NODES_AFTER).delete()
