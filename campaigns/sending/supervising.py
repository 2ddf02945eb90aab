"""One command, a process for each role: trouble in one leaves the others at work.

A mailbox that does not answer, or a reading that takes all memory, must not keep mail
waiting. A process that ends is started again; one that says that the settings are
wrong ends them all. One that hangs is killed, and started again: a lease is worth less
than everybody's mail. Nothing is handed from one to another but by the database, so any
of them may be killed at any instant. They are forked from one that has loaded all and
done nothing, so that most of their memory is one and the same. Source: sending.md 2.3.
"""

import gc
import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Final

from django.db import connections
from django.utils import timezone

from campaigns.errors import AnotherInstance, ProviderMisconfigured
from campaigns.sending.engine import Role, run_forever, stop_on_signals
from campaigns.sending.pulse import Pulse

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
# A process that ends is started again after a second, then after twice as long each
# time; whoever lived for a minute was well.
FIRST_REST_SECONDS: Final = 1.0
LONGEST_REST_SECONDS: Final = 60.0
WELL_AFTER_SECONDS: Final = 60.0
# After SIGTERM a process ends after the group at hand: four answers at their slowest.
END_SECONDS: Final = 110.0
# A process that has taken no step for so long hangs. How long a provider's answers may
# take it has said itself, and that is added; no other step takes half of this.
SILENT_MOST_SECONDS: Final = 600.0
# Only the time in which this process itself was awake counts, a look at a time: after a
# night of a laptop or a container that stood still, nobody is killed.
LOOK_MOST_SECONDS: Final = 5.0
# If nobody has got through to the database meanwhile, it may be what all wait for, or
# one of them holds a lock that the others need: so many times as long, and then one by
# one, with so many seconds for the others to get on.
UNWITNESSED_TIMES: Final = 3
BETWEEN_KILLS_SECONDS: Final = 60.0
# Whoever hangs again within an hour of work rests for longer each time.
WELL_AFTER_HANGING_SECONDS: Final = 3600.0
# sysexits.h, EX_CONFIG: a person has to change something first.
MISCONFIGURED: Final = 78
TO_END: Final = (signal.SIGTERM, signal.SIGINT)

# A role, the pid of whoever started it, and where to tell them that it gets on.
Runs = Callable[[Role, int, Pulse], None]


def run_role(role: Role, parent: int, pulse: Pulse) -> None:
    """Be one of the processes, until told to end or left alone by parent, a pid."""
    stop = threading.Event()
    stop_on_signals(stop)
    end_with_parent(stop, parent)
    try:
        run_forever(stop, roles=(role,), pulse=pulse)
    except (AnotherInstance, ProviderMisconfigured) as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(MISCONFIGURED)


def end_with_parent(stop: threading.Event, parent: int) -> None:
    """Set stop once whoever started this process is gone: nobody else would end it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        log.error("whoever started this process is gone: it ends, too")
        stop.set()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def stop_asked() -> Callable[[], bool]:
    """Has a signal asked to end? Without a thread, which a fork would not copy."""
    asked: list[int] = []
    for number in TO_END:
        signal.signal(number, lambda number, _: asked.append(number))
    return lambda: bool(asked)


@dataclass(slots=True)
class _Child:
    role: Role
    run: Runs
    pulse: Pulse = field(default_factory=Pulse)
    process: BaseProcess = field(init=False)
    began: float = field(init=False)
    failures: int = 0
    # Ended, and to be started again from then on.
    rests_until: float | None = None
    # Killed since it hung; SIGKILL may wait for a disk that does not answer.
    killed: bool = False
    # Seconds without a step, and without a turn, as far as this process was awake.
    silent: float = 0.0
    away: float = math.inf
    _beats: int = 0
    _turns: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin, or begin again."""
        self.rests_until, self.killed = None, False
        self.silent, self.away = 0.0, math.inf
        self._beats, self._turns = self.pulse.beats, self.pulse.turns
        self.process, self.began = _forked(self), time.monotonic()

    @property
    def runs(self) -> bool:
        return self.rests_until is None and self.process.exitcode is None

    @property
    def limit(self) -> float:
        """Seconds without a step after which it hangs."""
        return SILENT_MOST_SECONDS + self.pulse.patience_seconds

    def listen(self, seconds: float) -> None:
        """seconds: since this was done last."""
        beats, turns = self.pulse.beats, self.pulse.turns
        self.silent = self.silent + seconds if beats == self._beats else 0.0
        self.away = self.away + seconds if turns == self._turns else 0.0
        self._beats, self._turns = beats, turns


def supervise(
    stopping: Callable[[], bool],
    roles: Sequence[Role],
    *,
    run: Runs = run_role,
) -> bool:
    """Keep a process running in each role until asked to stop, then end them all.

    roles: one may be there several times. False: one of them found itself misconfigured
    and has said how.
    """
    connections.close_all()  # a connection must not be one for two
    gc.freeze()
    children = [_Child(role, run) for role in roles]
    well, looked = True, time.monotonic()
    try:
        while well:
            time.sleep(LOOK_SECONDS)
            # Before they are looked at: Ctrl-C ends them, too.
            if stopping():
                break
            passed, looked = time.monotonic() - looked, time.monotonic()
            for child in children:
                child.listen(min(passed, LOOK_MOST_SECONDS))
            if (hung := _who_hangs(children)) is not None:
                _kill(hung)
            for child in children:
                well = _looked_after(child) and well
    finally:
        _end(children)
    return well


def _forked(child: _Child) -> BaseProcess:
    """A signal that comes in between waits, and is not heard by the wrong one."""
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_begin, args=(child, os.getpid()))
    signal.pthread_sigmask(signal.SIG_BLOCK, TO_END)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_END)
    return process


def _begin(child: _Child, parent: int) -> None:
    # Until it listens by itself a signal just ends it: nothing has begun.
    for number in TO_END:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_END)
    child.run(child.role, parent, child.pulse)


def _who_hangs(children: Sequence[_Child]) -> _Child | None:
    """Who is to be killed now; of several whoever fell silent first, for whom the
    others may wait."""
    running = [one for one in children if one.runs and not one.killed]
    # Whole turns, for which the database had to answer.
    newest_turn = min((one.away for one in running), default=math.inf)

    def witnessed(child: _Child) -> bool:
        return newest_turn < child.silent / 2

    silent = [
        one
        for one in running
        if one.silent >= one.limit * (1 if witnessed(one) else UNWITNESSED_TIMES)
    ]
    hung = max(silent, key=lambda one: one.silent, default=None)
    if hung is not None and not witnessed(hung):
        for other in running:
            other.silent = max(0.0, other.silent - BETWEEN_KILLS_SECONDS)
    return hung


def _kill(child: _Child) -> None:
    """SIGKILL: what it does not hear it can't refuse, and its batch is swept."""
    child.pulse.hangs += 1
    child.pulse.hung_at, child.killed = timezone.now(), True
    log.error(
        "the process for %s hangs: no step for %.0f s; it is killed",
        child.role,
        child.silent,
    )
    child.process.kill()


def _looked_after(child: _Child) -> bool:
    """False: it must not be started again."""
    now = time.monotonic()
    if child.rests_until is not None:
        if now >= child.rests_until:
            child.start()
        return True
    code = child.process.exitcode
    if code is None:
        return True
    if code == MISCONFIGURED:
        return False
    well_after = WELL_AFTER_HANGING_SECONDS if child.killed else WELL_AFTER_SECONDS
    if now - child.began - child.silent >= well_after:
        child.failures = 0
    # No more doublings than matter: in some hours there would be too many for a float.
    rest = min(FIRST_REST_SECONDS * 2 ** min(child.failures, 10), LONGEST_REST_SECONDS)
    child.failures += 1
    child.rests_until = now + rest
    ended = f"by signal {-code}" if code < 0 else f"with {code}"
    log.error("the process for %s ended %s: again in %.0f s", child.role, ended, rest)
    return True


def _end(children: Sequence[_Child]) -> None:
    """All at once, each after what it has at hand; who does not end is killed."""
    for child in children:
        child.process.terminate()
    until = time.monotonic() + END_SECONDS
    for child in children:
        child.process.join(max(0.0, until - time.monotonic()))
        if child.process.exitcode is None:
            log.error("the process for %s did not end and is killed", child.role)
            child.process.kill()
            child.process.join()
