"""What a process says of itself to whoever supervises it, and what is told of it."""

import os
import threading
from datetime import timedelta

import pytest
from django.db.utils import OperationalError
from django.utils import timezone

from campaigns.models import EngineNode
from campaigns.sending import engine
from campaigns.sending.channels import answers_of
from campaigns.sending.pulse import Pulse, what_hung
from engagement.dashboard import _missing
from engagement.examining import examine

pytestmark = pytest.mark.django_db


def test_what_a_forked_process_counts_its_starter_sees():
    pulse = Pulse()
    if not (pid := os.fork()):
        pulse.beat()
        pulse.turned()
        pulse.beat()
        pulse.be_patient(80.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert (pulse.beats, pulse.turns) == (2, 1)
    assert pulse.patience_seconds >= 80.0


def turns(monkeypatch, turn):
    """Three turns of an engine, each of which does this; what was counted."""
    pulse, stop, left = Pulse(), threading.Event(), [1, 2]

    def counted(self, *, seconds):
        if left:
            left.pop()
        else:
            stop.set()
        return turn()

    monkeypatch.setattr(engine, "TROUBLE_SECONDS", 0.0)
    monkeypatch.setattr(engine, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(engine._Engine, "turn", counted)
    engine.run_forever(stop, pulse=pulse)
    return pulse.beats, pulse.turns


def test_a_turn_is_a_step_and_one_in_which_the_database_answered(monkeypatch):
    assert turns(monkeypatch, engine.EngineReport) == (3, 3)


def test_without_a_database_a_process_gets_on_and_ends_no_turn(monkeypatch):
    def away():
        raise OperationalError

    assert turns(monkeypatch, away) == (3, 0)


def test_each_group_of_mails_is_a_step_and_the_provider_s_patience_is_told(
    send_to, channel, at, monkeypatch
):
    monkeypatch.setattr(engine, "channel_for", lambda provider: channel)
    monkeypatch.setattr(engine, "LANE_SECONDS", float("inf"))
    send_to(12)  # three groups of four
    pulse, seen = Pulse(), []
    channel.before = lambda mails: seen.append(pulse.beats)
    with engine._Engine("run_engine", clock=lambda: at, pulse=pulse) as found:
        found.turn(seconds=float("inf"))
    assert seen == sorted(set(seen))
    assert len(seen) == 3
    assert pulse.patience_seconds >= answers_of(channel) * channel.timeout_seconds


def test_who_replaced_a_process_that_hung_says_so_for_a_day(at):
    pulse = Pulse(hangs=2, hung_at=at - timedelta(hours=1))
    for number, more in enumerate((pulse.detail, {})):
        name = "run_engine mail" if more else "run_engine events"
        engine.heartbeat(f"host:{number}", name, at=at, since=at, **more)
    said = (
        "run_engine mail hung and was replaced, 2 times, last at 2026-03-02 08:00 UTC: "
        "look at its log, and at disk and memory."
    )
    assert what_hung(at=at) == [said]
    assert said in [one.words for one in examine(at=at) if one.about == "engine"]
    EngineNode.objects.update(last_seen=at + timedelta(days=1))
    assert what_hung(at=at + timedelta(days=1)) == []


def test_home_tells_of_a_process_that_hung():
    now = timezone.now()
    pulse = Pulse(hangs=1, hung_at=now)
    engine.heartbeat("host:1", "run_engine", at=now, since=now, **pulse.detail)
    assert "A process hung" in [need.title for need in _missing()]
