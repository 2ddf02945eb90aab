import logging

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError

from campaigns import tasks
from campaigns.models import EngineNode, Send
from campaigns.services import schedule_send
from config.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture
def published(monkeypatch):
    """What would have gone to the broker."""
    calls = []
    for task in (tasks.tick, tasks.materialise, tasks.pump):
        monkeypatch.setattr(
            task,
            "apply_async",
            lambda args, expires, name=task.name: calls.append((name, args)),
        )
    return calls


def test_the_tasks_wake_each_other_until_a_send_is_sent(
    world, campaign, published, django_capture_on_commit_callbacks
):
    from django.utils import timezone

    world.add_customers(12)
    schedule_send(campaign, scheduled_at=timezone.now(), at=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        tasks.tick()
    assert published == [("campaigns.tasks.materialise", (Send.objects.get().pk,))]
    with django_capture_on_commit_callbacks(execute=True):
        tasks.materialise(Send.objects.get().pk)
    assert published[1:] == [("campaigns.tasks.pump", ("bulk",))]
    tasks.pump("bulk")
    assert Send.objects.get().state == "sent"
    assert EngineNode.objects.get().role == "worker"


def test_a_doubled_task_changes_nothing(world, campaign, published, at):
    world.add_customers(12)
    send = world.prepared_send(campaign, at=timezone.now())
    for _ in range(2):
        tasks.tick()
        tasks.materialise(send.pk)
        tasks.pump("bulk")
    assert send.messages.filter(state="accepted").count() == 12


def test_nothing_is_published_of_what_is_rolled_back(
    published, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        tasks.wake(tasks.pump, "bulk")
    assert published == []
    assert len(callbacks) == 1


def test_a_broker_that_is_down_is_logged_by_id_and_ignored(
    monkeypatch, caplog, django_capture_on_commit_callbacks
):
    def down(args, expires):
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.materialise, "apply_async", down)
    with (
        caplog.at_level(logging.WARNING),
        django_capture_on_commit_callbacks(execute=True),
    ):
        tasks.wake(tasks.materialise, 7)
    assert "campaigns.tasks.materialise(7,) was not published" in caplog.text


@pytest.mark.parametrize(
    ("task", "args", "queue"),
    [
        (tasks.pump, ("transactional",), "orders"),
        (tasks.pump, ("bulk",), "send"),
        (tasks.materialise, (7,), "audience"),
        (tasks.tick, (), "control"),
    ],
)
def test_nothing_to_many_stands_before_mail_about_an_order(task, args, queue):
    found = app.amqp.router.route({}, task.name, args=args)["queue"]
    assert found.name.rpartition(".")[2] == queue


def test_a_worker_that_sends_for_long_says_that_it_lives(monkeypatch):
    turn = tasks._Turn("bulk")
    assert not turn()
    first = EngineNode.objects.get().last_seen
    assert not turn()
    assert EngineNode.objects.get().last_seen == first  # not at every mail
    monkeypatch.setattr(tasks.engine, "HEARTBEAT_SECONDS", 0.0)
    assert not turn()
    assert EngineNode.objects.get().last_seen > first
