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


def works(role, parent, pulse):
    while True:
        pulse.beat()
        pulse.turned()
        time.sleep(0.02)


def is_deaf(role, parent, pulse):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """A supervisor in a thread; what runs in each role says its pid in a file."""

    class Engine:
        stops, well = False, None
        mail = events = staticmethod(works)

        def run(self, role, parent, pulse):
            with (tmp_path / role).open("a") as file:
                file.write(f"{os.getpid()}\n")
            getattr(self, role)(role, parent, pulse)

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
    engine.mail = lambda *_: os._exit(1)
    engine.begin()
    began = time.monotonic()
    engine.pids("mail", count=6)
    # 0.02 + 0.04 + 0.08 + 0.16 + 0.32 s of rest before it begins for the sixth time.
    assert time.monotonic() - began > 0.6
    assert len(engine.pids("events", count=1)) == 1


def test_wrong_settings_end_them_all(engine):
    engine.events = lambda *_: os._exit(MISCONFIGURED)
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
    engine.mail = lambda *_: time.sleep(60)
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


@pytest.fixture
def impatient(monkeypatch):
    """Whoever takes no step for a second hangs; thrice that while nobody is through to
    the database."""
    monkeypatch.setattr(supervising, "SILENT_MOST_SECONDS", 1.0)


def beats_without_a_database(role, parent, pulse):
    while True:
        pulse.beat()
        time.sleep(0.02)


def hangs_in_its_first_life(role, parent, pulse):
    if pulse.hangs:
        works(role, parent, pulse)
    pulse.beat()
    time.sleep(60)


def test_a_process_that_stands_still_is_killed_and_replaced_and_the_other_goes_on(
    engine, impatient, caplog
):
    engine.begin()
    (events,) = engine.pids("events", count=1)
    (still,) = engine.pids("mail", count=1)
    os.kill(still, signal.SIGSTOP)
    assert alive(engine.pids("mail", count=2)[1])
    assert not alive(still)
    assert engine.pids("events", count=1) == [events]
    assert "the process for mail hangs: no step for 1 s; it is killed" in caplog.text


def test_while_the_database_is_away_whoever_gets_on_is_left_alone(engine, impatient):
    engine.mail = engine.events = beats_without_a_database
    engine.begin()
    first = engine.pids("mail", count=1) + engine.pids("events", count=1)
    time.sleep(4.0)
    assert engine.pids("mail", count=1) + engine.pids("events", count=1) == first


def test_while_nobody_is_through_to_the_database_silence_may_last_thrice_as_long(
    engine, impatient
):
    """The database may not answer, or one of them may keep the others from it."""
    engine.mail, engine.events = hangs_in_its_first_life, beats_without_a_database
    engine.begin()
    (mail,) = engine.pids("mail", count=1)
    time.sleep(2.0)
    assert alive(mail)
    assert alive(engine.pids("mail", count=2)[1])


def test_of_several_who_hang_the_first_is_replaced_and_the_other_may_get_on(
    engine, impatient
):
    """Whoever stands still with a lock keeps all that need it waiting."""
    engine.mail = hangs_in_its_first_life

    def waits_for_mail(role, parent, pulse):
        pulse.beat()
        while len(engine.pids("mail", count=1)) < 2:
            time.sleep(0.02)
        works(role, parent, pulse)

    engine.events = waits_for_mail
    engine.begin()
    assert alive(engine.pids("mail", count=2)[1])
    time.sleep(1.0)
    assert len(engine.pids("events", count=1)) == 1


def test_a_process_may_wait_for_its_provider_as_long_as_it_has_said(engine, impatient):
    def is_slow(role, parent, pulse):
        pulse.be_patient(60.0)
        time.sleep(60)

    engine.mail = is_slow
    engine.begin()
    (mail,) = engine.pids("mail", count=1)
    time.sleep(2.5)
    assert engine.pids("mail", count=1) == [mail]


def test_a_process_that_hangs_again_and_again_is_started_less_and_less_often(
    engine, impatient, monkeypatch
):
    monkeypatch.setattr(supervising, "SILENT_MOST_SECONDS", 0.1)
    monkeypatch.setattr(supervising, "WELL_AFTER_SECONDS", 0.0)
    engine.mail = lambda *_: time.sleep(60)
    engine.begin()
    engine.pids("mail", count=1)
    began = time.monotonic()
    engine.pids("mail", count=6)
    # Each hangs for 0.1 s; 0.02 + 0.04 + 0.08 + 0.16 + 0.32 s of rest between them.
    assert time.monotonic() - began > 1.1


def test_time_in_which_the_supervisor_itself_stood_still_is_nobody_s_silence(
    engine, impatient, monkeypatch
):
    """A laptop that slept, a container that was frozen: all of them stood still."""
    monkeypatch.setattr(supervising, "LOOK_MOST_SECONDS", 0.1)
    monkeypatch.setattr(supervising, "LOOK_SECONDS", 1.5)

    def takes_a_step_at_times(role, parent, pulse):
        while True:
            pulse.beat()
            pulse.turned()
            time.sleep(1.7)

    engine.mail = takes_a_step_at_times
    engine.begin()
    (mail,) = engine.pids("mail", count=1)
    time.sleep(5.0)
    assert engine.pids("mail", count=1) == [mail]
