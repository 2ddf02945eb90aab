"""Celery's doors: each calls a function that run_engine calls as well.

Ids only, early acknowledgement, no results. A task that is lost or doubled changes
nothing: the next tick finds the work in the database.
"""

import logging
import mmap
import os
import socket
import time
from functools import partial
from typing import Final

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from campaigns.counting import carry_on_counting, open_counts
from campaigns.errors import AnotherInstance
from campaigns.models import Send
from campaigns.sending import engine, instance
from campaigns.sending.breaker import BULK, LANES, TRANSACTIONAL
from campaigns.sending.channels import Channel, channel_for
from campaigns.sending.protocol import Lane
from customers import waking

log = logging.getLogger(__name__)

SECONDS_A_TASK: Final = 60.0
# A tick that could not be run within this time is made up for by the next.
EXPIRES_SECONDS: Final = 30
PUMPS_A_TICK: Final = 4

wake = partial(
    waking.wake, expires=EXPIRES_SECONDS, otherwise="the next tick finds the work"
)

_channels: dict[int, Channel] = {}
_lanes: dict[str, Lane] = {}
# One byte that a worker shares with the processes it has forked: 1 once it shuts down.
_shutting_down = mmap.mmap(-1, 1)


def shut_down() -> None:
    """This worker ends: tasks stop between two groups. Good in a signal handler."""
    _shutting_down[0] = 1


@shared_task(ignore_result=True)
def tick() -> None:
    """Housekeeping, then wake who has work."""
    at = timezone.now()
    if not _may_send():
        return
    engine.heartbeat(_name(), "worker", at=at, since=at)
    for send_id in engine.tick(at=at):
        wake(materialise, send_id)
    for count_id in open_counts(at=at):
        wake(count_audience, count_id)
    for lane in LANES:
        for _ in range(min(engine.work_waits(lane, at=at), PUMPS_A_TICK)):
            wake(pump, lane)


@shared_task(ignore_result=True)
def count_audience(count_id: int) -> None:
    """Count who a campaign would reach, for a minute; the next tick goes on."""
    carry_on_counting(count_id, until=time.monotonic() + SECONDS_A_TASK)


@shared_task(ignore_result=True)
def materialise(send_id: int) -> None:
    """Write the audience of a send, for a minute; the next tick goes on."""
    until = time.monotonic() + SECONDS_A_TASK
    if _may_send() and engine.prepare(send_id, at=timezone.now(), until=until):
        wake(pump, Send.objects.only("frozen").get(pk=send_id).lane)


@shared_task(ignore_result=True)
def pump(lane: str) -> None:
    """Deliver batches of a lane, for a minute or until nothing is due."""
    if not _may_send():
        return
    engine.pump(
        _lane(lane),
        clock=timezone.now,
        until=time.monotonic() + SECONDS_A_TASK,
        stopping=_Turn(lane),
    )
    from campaigns.sending import ledger

    ledger.finish_sends(now=timezone.now())


def _may_send() -> bool:
    """Not from a copy of somebody else's database; the log says what to do."""
    try:
        instance.begin(at=timezone.now())
    except AnotherInstance as problem:
        log.error("%s", problem)
        return False
    return True


def _channel() -> Channel:
    """This process's channel, its connection kept between tasks."""
    # By process: a connection must not be shared across a fork.
    if os.getpid() not in _channels:
        _channels.clear()
        _channels[os.getpid()] = channel_for(settings.PROVIDER)
    return _channels[os.getpid()]


def _lane(name: str) -> Lane:
    """This process's lane, which remembers between tasks which send it served last."""
    channel = _channel()
    lane = _lanes.get(name)
    if lane is None or lane.channel is not channel:
        lane = _lanes[name] = Lane(name, channel, _name())
    return lane


class _Turn:
    """Does the worker end, or mail about an order wait, so that mail to many makes
    room for it? Asked now and then; while it is, others are told that mail leaves."""

    def __init__(self, lane: str) -> None:
        self._bulk, self._began = lane == BULK, timezone.now()
        self._asked_at, self._told_at = time.monotonic(), float("-inf")

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._told_at >= engine.HEARTBEAT_SECONDS:
            self._told_at = now
            at = timezone.now()
            engine.heartbeat(_name(), "worker", at=at, since=self._began)
        if _shutting_down[0]:
            return True
        if not self._bulk or now - self._asked_at < engine.LANE_SECONDS:
            return False
        self._asked_at = now
        return engine.work_waits(TRANSACTIONAL, at=timezone.now()) > 0


def _name() -> str:
    return f"{socket.gethostname()[:80]}:{os.getpid()}"
