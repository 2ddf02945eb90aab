import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from campaigns.models import EngineNode, Message, Send
from campaigns.sending import engine
from campaigns.services import pause_send, resume_send, schedule_send
from tests.campaigns.chaos.inside import Outbox
from tests.campaigns.chaos.invariants import check
from tests.campaigns.chaos.nursery import alive

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]
BEATS = "SELECT role, name FROM campaigns_enginenode WHERE role LIKE 'run_engine%'"


def test_one_turn_takes_a_due_send_from_schedule_to_sent(world, campaign, at, settings):
    world.add_customers(30)
    send = schedule_send(campaign, scheduled_at=at, at=at)
    report = engine.run_once(at=at)
    send.refresh_from_db()
    assert (report.accepted, report.finished, send.state) == (30, 1, "sent")
    assert send.finished_at >= at
    assert len(list(settings.OUTBOX_DIR.rglob("*.eml"))) == 30
    assert engine.run_once(at=at).idle


@pytest.mark.django_db(transaction=True)
def test_ticks_side_by_side_do_one_set_of_work(
    world, campaign, at, at_once, invariants, settings
):
    """F11: two beats, each with its ticks."""
    world.add_customers(30)
    world.main(["bound"])
    send = schedule_send(campaign, scheduled_at=at, at=at)
    until = time.monotonic() + 60
    assert at_once(*[lambda: engine.tick(at=at)] * 4) == []
    write = partial(engine.prepare, send.pk, at=at, until=until)
    assert at_once(write, write) == []
    assert at_once(*[lambda: engine.run_once(at=at)] * 2) == []
    send.refresh_from_db()
    assert send.state == "sent"
    assert send.audience_size == send.messages.filter(state="accepted").count() == 30
    assert all(batch.messages.exists() for batch in send.batches.all())
    assert set(send.batches.values_list("fence", flat=True)) == {1}
    assert invariants(Outbox(settings.OUTBOX_DIR)).taken == 30


def test_what_is_not_due_and_what_is_paused_waits(world, campaign, at):
    world.add_customers(3)
    send = schedule_send(campaign, scheduled_at=at, at=at)
    assert engine.run_once(at=at - timedelta(minutes=1)).idle
    pause_send(send, at=at)
    assert engine.run_once(at=at).idle
    assert Send.objects.get().state == "paused"


def test_a_send_does_not_end_while_somebody_waits(world, campaign, at):
    world.add_customers(3)
    send = world.prepared_send(campaign)
    send.batches.update(not_before=at + timedelta(hours=1))
    engine.run_once(at=at)
    assert Send.objects.get().state == "sending"
    engine.run_once(at=at + timedelta(hours=1))
    assert Send.objects.get().state == "sent"


@pytest.mark.parametrize("step", ["launch_send", "materialise"])
def test_trouble_with_one_send_pauses_it_and_no_other(
    step, world, campaign, at, monkeypatch
):
    world.add_customers(3)
    another = world.add_campaign(campaign.template)
    bad, good = (
        schedule_send(one, scheduled_at=at, at=at) for one in (campaign, another)
    )
    as_ever = getattr(engine, step)

    def break_down(send, **named):
        if send.pk == bad.pk:
            raise ZeroDivisionError
        return as_ever(send, **named)

    monkeypatch.setattr(engine, step, break_down)
    engine.run_once(at=at)
    states = dict(Send.objects.values_list("pk", "state"))
    assert states == {bad.pk: "paused", good.pk: "sent"}
    monkeypatch.undo()
    resume_send(bad, at=at)
    engine.run_once(at=at)
    assert Send.objects.get(pk=bad.pk).state == "sent"


def test_a_send_to_nobody_ends_at_once(campaign, at):
    schedule_send(campaign, scheduled_at=at, at=at)
    engine.run_once(at=at)
    assert Send.objects.get().state == "sent"


def test_the_engine_is_heard_of_and_old_ones_are_forgotten(at):
    EngineNode.objects.create(
        name="old", role="x", started_at=at, last_seen=at - timedelta(days=2)
    )
    engine.run_once(at=at)
    node = EngineNode.objects.get()
    assert node.role == "run_engine --once"
    assert node.last_seen >= at


@pytest.mark.django_db(transaction=True)
def test_a_stop_ends_the_loop_between_two_batches(world, campaign, monkeypatch):
    from django.utils import timezone

    world.add_customers(30)
    now = timezone.now()
    world.prepared_send(campaign, at=now - timedelta(seconds=1))
    stop, delivered = threading.Event(), []
    whole = engine.deliver_next_batch

    def one_then_stop(lane, *, now):
        delivered.append(whole(lane, now=now))
        stop.set()
        return delivered[-1]

    monkeypatch.setattr(engine, "deliver_next_batch", one_then_stop)
    engine.run_forever(stop)
    assert len(delivered) == 1
    assert Send.objects.get().batches.filter(state="waiting").exists()


def test_the_command_does_what_is_due_once(world, campaign, at):
    from django.utils import timezone

    world.add_customers(4)
    schedule_send(campaign, scheduled_at=timezone.now(), at=at)
    out = StringIO()
    call_command("run_engine", "--once", stdout=out)
    assert "4 messages accepted, 0 in doubt; 1 sends ended" in out.getvalue()


def test_the_command_says_which_setting_is_wrong(world, campaign, at, settings):
    from django.utils import timezone

    world.add_customers(1)
    schedule_send(campaign, scheduled_at=timezone.now(), at=at)
    settings.PROVIDER = "carrier pigeon"
    with pytest.raises(CommandError, match="ATTUNE_PROVIDER needs one of"):
        call_command("run_engine", "--once")


def test_with_tables_of_an_older_version_nothing_is_handed_over(world, campaign, at):
    world.add_customers(2)
    schedule_send(campaign, scheduled_at=timezone.now(), at=at)
    [newest] = MigrationLoader(connection).graph.leaf_nodes("campaigns")
    MigrationRecorder(connection).record_unapplied(*newest)
    try:
        with pytest.raises(CommandError, match="lacks 1 changes") as refused:
            call_command("run_engine", "--once")
    finally:
        MigrationRecorder(connection).record_applied(*newest)
    assert refused.value.returncode == 78
    assert not Message.objects.exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite")
def test_several_senders_are_not_for_sqlite():
    with pytest.raises(CommandError, match="--senders needs PostgreSQL"):
        call_command("run_engine", "--senders", "2")


def test_a_stop_is_heard_while_the_engine_is_about_to_wait():
    kept = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    stop = threading.Event()
    engine.stop_on_signals(stop)
    try:
        with stop._cond:  # as stop.wait() holds it before and after it sleeps
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(10)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def beats(shop, *, until, process):
    """The pids heard of, by role, once `until` holds for them."""
    ends = time.monotonic() + 60
    with closing(sqlite3.connect(shop.folder / "shop.sqlite3")) as database:
        while True:
            assert process.poll() is None
            assert time.monotonic() < ends
            rows = database.execute(BEATS).fetchall()
            found = {role: int(name.rpartition(":")[2]) for role, name in rows}
            if until(found):
                return found
            time.sleep(0.1)


def gone(pids):
    ends = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < ends
        time.sleep(0.1)


ROLES = {"run_engine mail", "run_engine events", "run_engine chores"}


@pytest.fixture
def started(sqlite_shop):
    """run_engine, in as many processes as asked for; ended if a test does not."""
    found = []

    def start(*arguments):
        command = [sys.executable, "manage.py", "run_engine", *arguments]
        found.append(subprocess.Popen(command, cwd=ROOT, env=sqlite_shop.env))
        return found[-1]

    yield start
    for process in found:
        process.kill()
        process.wait()


def test_sigterm_ends_an_engine_of_one_process_cleanly(sqlite_shop, started):
    process = started("--single")
    beats(
        sqlite_shop, process=process, until=lambda found: set(found) == {"run_engine"}
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


@pytest.mark.slow
def test_an_engine_has_a_process_for_each_role_and_starts_a_killed_one_again(
    sqlite_shop, started
):
    process = started()
    first = beats(sqlite_shop, process=process, until=lambda found: set(found) == ROLES)
    killed = first["run_engine mail"]
    os.kill(killed, signal.SIGKILL)
    again = beats(
        sqlite_shop,
        process=process,
        until=lambda found: found.get("run_engine mail", killed) != killed,
    )
    assert again["run_engine events"] == first["run_engine events"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    gone(again.values())


@pytest.mark.slow
def test_when_the_engine_itself_is_killed_its_processes_end(sqlite_shop, started):
    process = started()
    found = beats(sqlite_shop, process=process, until=lambda found: set(found) == ROLES)
    process.kill()
    process.wait()
    gone(found.values())


@pytest.mark.slow
def test_an_engine_of_three_processes_sends_to_everybody_once(sqlite_shop, started):
    sqlite_shop.due_now()
    process = started()
    states = "SELECT state, count(*) FROM campaigns_message GROUP BY state"
    ends = time.monotonic() + 90
    while dict(sqlite_shop.execute(states)).get("accepted", 0) < 40:
        assert process.poll() is None
        assert time.monotonic() < ends, sqlite_shop.execute(states)
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    outbox = list((sqlite_shop.folder / "outbox").rglob("*.eml"))
    assert len(outbox) == 40


@pytest.mark.slow
def test_whichever_of_its_processes_is_killed_nobody_is_lost_or_mailed_twice(
    sqlite_shop, started
):
    chance = random.Random(4)
    sqlite_shop.run("bound")
    sqlite_shop.due_now()
    process = started()
    killed = set()
    for _ in range(12):
        found = beats(
            sqlite_shop, process=process, until=lambda found: set(found) == ROLES
        )
        role = chance.choice(sorted(ROLES))
        with suppress(ProcessLookupError):
            os.kill(found[role], signal.SIGKILL)
            killed.add(role)
        time.sleep(chance.uniform(0.1, 0.6))
    assert killed == ROLES
    ends = time.monotonic() + 120
    states = "SELECT state, count(*) FROM campaigns_message GROUP BY state"
    while sqlite_shop.execute("SELECT state FROM campaigns_send") != [("sent",)]:
        assert process.poll() is None
        assert time.monotonic() < ends, sqlite_shop.execute(states)
        # What the dead held would be given back in two minutes: now, instead.
        sqlite_shop.execute(
            "UPDATE campaigns_batch SET lease_until = datetime('now', '-1 second') "
            "WHERE lease_until IS NOT NULL"
        )
        time.sleep(2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    outbox = Outbox(sqlite_shop.folder / "outbox")
    sums = check(sqlite_shop, outbox, at_rest=True, calm=False)
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == 40
    to = [one.address for one in outbox.taken]
    assert len(to) == len(set(to)) >= sums.messages["accepted"]
