"""Processes that end, by themselves or not, under one that looks after them."""

import os
import signal
import threading
import time

import pytest

from campaigns.sending import supervising
from campaigns.sending.engine import Role
from campaigns.sending.supervising import MISCONFIGURED, supervise
from tests.campaigns.chaos.nursery import alive


def works(role, parent):
    time.sleep(60)


def is_deaf(role, parent):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """A supervisor in a thread; what runs in each role says its pid in a file."""

    class Engine:
        stops, well = False, None
        mail = events = staticmethod(works)

        def run(self, role, parent):
            with (tmp_path / role).open("a") as file:
                file.write(f"{os.getpid()}\n")
            getattr(self, role)(role, parent)

        def supervise(self):
            roles = [Role.MAIL, Role.EVENTS]
            self.well = supervise(lambda: self.stops, roles, run=self.run)

        def pids(self, role, *, count):
            """Of whoever was started in this role, once there were so many."""
            ends = time.monotonic() + 20
            while True:
                path = tmp_path / role
                found = path.read_text().split() if path.exists() else []
                if len(found) >= count:
                    return list(map(int, found))
                assert time.monotonic() < ends
                time.sleep(0.02)

    monkeypatch.setattr(supervising, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(supervising, "FIRST_REST_SECONDS", 0.02)
    found = Engine()
    thread = threading.Thread(target=found.supervise)
    found.begin, found.end = thread.start, lambda: thread.join(20)
    yield found
    found.stops = True
    if thread.ident:
        thread.join(20)
    assert not any(map(alive, found.pids("mail", count=0)))
    assert not any(map(alive, found.pids("events", count=0)))


def test_a_process_that_was_killed_is_started_again_and_the_other_is_left_alone(engine):
    engine.begin()
    (events,) = engine.pids("events", count=1)
    os.kill(engine.pids("mail", count=1)[0], signal.SIGKILL)
    assert alive(engine.pids("mail", count=2)[1])
    assert alive(events)
    assert engine.pids("events", count=1) == [events]
    engine.stops = True
    engine.end()
    assert engine.well


def test_a_process_that_ends_at_once_is_started_less_and_less_often(engine):
    engine.mail = lambda role, parent: os._exit(1)
    engine.begin()
    began = time.monotonic()
    engine.pids("mail", count=6)
    # 0.02 + 0.04 + 0.08 + 0.16 + 0.32 s of rest before it begins for the sixth time.
    assert time.monotonic() - began > 0.6
    assert len(engine.pids("events", count=1)) == 1


def test_wrong_settings_end_them_all(engine):
    engine.events = lambda role, parent: os._exit(MISCONFIGURED)
    engine.begin()
    engine.end()
    assert engine.well is False
    assert len(engine.pids("events", count=1)) == 1


def test_who_does_not_hear_the_end_is_killed(engine, monkeypatch):
    monkeypatch.setattr(supervising, "END_SECONDS", 0.2)
    engine.mail = is_deaf
    engine.begin()
    (deaf,) = engine.pids("mail", count=1)
    engine.stops = True
    engine.end()
    assert not alive(deaf)


def test_a_process_told_to_end_before_it_listens_ends(engine):
    """A forked process must not inherit a handler that tells nobody."""
    kept = {one: signal.getsignal(one) for one in supervising.TO_END}
    supervising.stop_asked()
    engine.mail = lambda role, parent: time.sleep(60)
    try:
        engine.begin()
        (pid,) = engine.pids("mail", count=1)
        os.kill(pid, signal.SIGTERM)
        assert engine.pids("mail", count=2)[1] != pid
        assert not alive(pid)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def test_a_process_whose_starter_is_gone_already_ends(monkeypatch):
    monkeypatch.setattr(supervising, "LOOK_SECONDS", 0.01)
    stop = threading.Event()
    supervising.end_with_parent(stop, parent=1 if os.getppid() != 1 else 2)
    assert stop.wait(10)
