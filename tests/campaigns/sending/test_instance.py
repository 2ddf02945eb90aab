"""A copied database sends nothing until a person says that it may."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from campaigns import tasks
from campaigns.errors import AnotherInstance, CannotAdopt, CannotSchedule
from campaigns.models import Adoption, EngineNode, Instance, Send
from campaigns.sending import engine, instance
from campaigns.services import launch_send, schedule_send, send_progress
from tests.campaigns.chaos.inside import Outbox
from tests.campaigns.chaos.invariants import check
from tests.campaigns.chaos.shops import Shop, fresh_postgres

HOUR = timedelta(hours=1)


@pytest.fixture
def deployment(settings, tmp_path):
    """Begins in a data folder of its own, or goes on in another one."""

    def moved_to(name: str) -> Path:
        settings.DATA_DIR = tmp_path / name
        settings.DATA_DIR.mkdir(exist_ok=True)
        return settings.DATA_DIR

    moved_to("first")
    return moved_to


@pytest.mark.django_db
def test_the_first_who_sends_makes_the_database_theirs(deployment, at):
    assert instance.what_stands() == ""
    engine.run_once(at=at)
    kept = Instance.objects.get()
    assert instance.ours() == (kept.key, False)
    engine.run_once(at=at + HOUR)
    assert Instance.objects.get().made_at == kept.made_at


@pytest.mark.django_db
@pytest.mark.parametrize("copy", ["database", "folder", "another deployment's"])
def test_from_a_copy_nothing_is_sent_and_everybody_says_so(
    deployment, world, campaign, at, admin_client, caplog, copy, invariants, settings
):
    world.add_customers(3)
    send = schedule_send(campaign, scheduled_at=at, at=at)
    engine.tick(at=at - HOUR)
    first = deployment("first") / instance.FILE
    folder = deployment("second")
    if copy == "folder":
        shutil.copy(first, folder)
    elif copy != "database":
        instance._make_file()
    key = Instance.objects.get().key
    for act in (engine.run_once, engine.tick, lambda at: launch_send(send, at=at)):
        with pytest.raises(AnotherInstance, match=key):
            act(at=at)
    with pytest.raises(CannotSchedule, match="ATTUNE_INSTANCE"):
        schedule_send(world.add_campaign(campaign.template), scheduled_at=at, at=at)
    with pytest.raises(CommandError, match="adopt_instance"):
        call_command("run_engine", "--once")
    tasks.tick()
    tasks.pump("bulk")
    assert caplog.messages[0] == instance.what_stands()
    assert send_progress(send, at=at).binds == instance.what_stands()
    home = admin_client.get(reverse("admin:index")).content.decode()
    assert "This database is a copy" in home
    assert Send.objects.get().state == "scheduled"
    assert invariants(Outbox(settings.OUTBOX_DIR)).taken == 0
    assert not EngineNode.objects.exists()


@pytest.mark.django_db
def test_a_person_may_take_it_over_and_what_was_under_way_waits(
    deployment, world, campaign, at
):
    world.add_customers(3)
    send = schedule_send(campaign, scheduled_at=at + HOUR, at=at)
    engine.tick(at=at)
    was = Instance.objects.get().key
    deployment("second")
    out = StringIO()
    call_command("adopt_instance", "--by", "Mara", stdout=out)
    kept = Adoption.objects.get()
    assert (kept.by, kept.was, kept.now) == ("Mara", was, instance.ours().key)
    assert kept.stopped == [send.pk]
    assert f"was {was}'s" in out.getvalue()
    send.refresh_from_db()
    assert (send.state, was in send.state_reason) == ("paused", True)
    assert engine.run_once(at=at + 2 * HOUR).accepted == 0
    with pytest.raises(CannotAdopt, match="belongs to this deployment already"):
        instance.adopt(at=at, by="Mara")
    deployment("first")  # the original, should it share the database, stops
    with pytest.raises(AnotherInstance):
        engine.tick(at=at)


@pytest.mark.django_db
def test_machines_that_share_a_database_are_told_its_name(deployment, settings, at):
    engine.tick(at=at)
    deployment("second")
    settings.INSTANCE = Instance.objects.get().key
    assert instance.what_stands() == ""
    engine.tick(at=at)
    settings.INSTANCE = "staging"
    assert "this deployment is staging" in instance.what_stands()


@pytest.mark.slow
def test_a_copy_on_another_machine_leaves_everybody_alone(shop, tmp_path):
    shop.run("cut", "6")
    shop.run("engine", "-60")  # nothing is due yet; the database gets its owner
    folder = tmp_path / "copy"
    folder.mkdir()
    if shop.is_sqlite:
        other = folder / "shop.sqlite3"
        with (
            closing(sqlite3.connect(shop.folder / "shop.sqlite3")) as original,
            closing(sqlite3.connect(other)) as copy,
        ):
            original.backup(copy)
        assert sends_nothing(Shop(shop.nursery, folder, f"sqlite:///{other}"))
    else:
        with fresh_postgres(like=shop.database_url) as url:
            assert sends_nothing(Shop(shop.nursery, folder, url))
    assert shop.run("engine")["accepted"] > 0
    assert check(shop, Outbox(shop.folder / "outbox"), at_rest=True).taken > 0


def sends_nothing(copy: Shop) -> bool:
    for command in ("engine", "work"):
        child = copy.start(command)
        assert child.wait() == 1
        assert "the database belongs to the instance" in child.errors()
    return check(copy, Outbox(copy.folder / "outbox"), at_rest=True).taken == 0
