"""One command, a process for each role: trouble in one leaves the others at work.

A mailbox that does not answer, or a reading that takes all memory, must not keep mail
waiting. A process that ends is started again; one that says that the settings are
wrong ends them all. Nothing is handed from one to another but by the database, so any
of them may be killed at any instant. They are forked from one that has loaded all and
done nothing, so that most of their memory is one and the same. Source: sending.md 2.3.
"""

import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Final

from django.db import connections

from campaigns.errors import AnotherInstance, ProviderMisconfigured
from campaigns.sending.engine import Role, run_forever, stop_on_signals

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
# A process that ends is started again after a second, then after twice as long each
# time; whoever lived for a minute was well.
FIRST_REST_SECONDS: Final = 1.0
LONGEST_REST_SECONDS: Final = 60.0
WELL_AFTER_SECONDS: Final = 60.0
# After SIGTERM a process ends after the group at hand: four answers at their slowest.
END_SECONDS: Final = 110.0
# sysexits.h, EX_CONFIG: a person has to change something first.
MISCONFIGURED: Final = 78
TO_END: Final = (signal.SIGTERM, signal.SIGINT)

# A role, and the pid of whoever started it.
Runs = Callable[[Role, int], None]


def run_role(role: Role, parent: int) -> None:
    """Be one of the processes, until told to end or left alone by parent, a pid."""
    stop = threading.Event()
    stop_on_signals(stop)
    end_with_parent(stop, parent)
    try:
        run_forever(stop, roles=(role,))
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
    process: BaseProcess
    began: float
    failures: int = 0
    # Ended, and to be started again from then on.
    rests_until: float | None = None


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
    children = [_Child(role, _forked(run, role), time.monotonic()) for role in roles]
    well = True
    try:
        while well:
            time.sleep(LOOK_SECONDS)
            # Before they are looked at: Ctrl-C ends them, too.
            if stopping():
                break
            for child in children:
                well = _looked_after(child, run) and well
    finally:
        _end(children)
    return well


def _forked(run: Runs, role: Role) -> BaseProcess:
    """A signal that comes in between waits, and is not heard by the wrong one."""
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_begin, args=(run, role, os.getpid()))
    signal.pthread_sigmask(signal.SIG_BLOCK, TO_END)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_END)
    return process


def _begin(run: Runs, role: Role, parent: int) -> None:
    # Until it listens by itself a signal just ends it: nothing has begun.
    for number in TO_END:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_END)
    run(role, parent)


def _looked_after(child: _Child, run: Runs) -> bool:
    """False: it must not be started again."""
    now = time.monotonic()
    if child.rests_until is not None:
        if now >= child.rests_until:
            child.process, child.began = _forked(run, child.role), now
            child.rests_until = None
        return True
    code = child.process.exitcode
    if code is None:
        return True
    if code == MISCONFIGURED:
        return False
    if now - child.began >= WELL_AFTER_SECONDS:
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
