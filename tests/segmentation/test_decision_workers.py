"""A decision made on a page, carried out by a real worker on a real broker."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from kombu import Connection

ROOT = Path(__file__).resolve().parents[2]
BROKER = "redis://127.0.0.1:6379/0"
PATIENCE_SECONDS = 60

pytestmark = [pytest.mark.slow, pytest.mark.redis]

SORT = """
from django.contrib.auth.models import User
from django.utils import timezone
from customers.models import Customer
from segmentation.models import Membership, Segment, SegmentationRun
User.objects.create_superuser("marian", password="x")
ada = Customer.objects.create(external_id="ada", email="ada@example.com")
run = SegmentationRun.objects.create(
    state="waiting", cut_off=timezone.now(), segmenter="anchored",
    model={"customers": 1}, customers=1, quality={"sizes": {}},
)
Membership.objects.create(
    run=run, customer=ada, segment=Segment.objects.get(key="anxious"),
    probability=0.8, since=timezone.now(),
)
print(run.pk)
"""
# A page answered in a thread of a server, as Granian does it.
PRESS = """
import threading
from django.conf import settings
from django.test import Client
settings.ALLOWED_HOSTS = ["testserver"]
def press():
    client = Client()
    assert client.login(username="marian", password="x")
    path = "/admin/segments/runs/{run}/approve/"
    answer = client.post(path, follow=True)
    assert "is being put into use" in answer.content.decode(), answer.content[-3000:]
thread = threading.Thread(target=press)
thread.start()
thread.join()
"""
LOOK = """
from segmentation.models import SegmentationRun
print(SegmentationRun.objects.get().state)
"""


@pytest.fixture
def manage(tmp_path):
    """manage.py on a shop and queues of its own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("ATTUNE_")} | {
        "ATTUNE_DATA_DIR": str(tmp_path),
        "ATTUNE_BROKER_URL": BROKER,
        "ATTUNE_QUEUE_PREFIX": f"decisions-{uuid.uuid4().hex[:8]}",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }

    def manage(*arguments, **more):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            **more,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()

    manage.env = env
    manage("migrate", "-v0")
    return manage


@pytest.fixture
def worker(manage, tmp_path):
    prefix = manage.env["ATTUNE_QUEUE_PREFIX"]
    with (tmp_path / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "config.celery", "worker"),
                *("-n", f"w@{prefix}", "-Q", f"{prefix}.control", "-c", "1"),
            ],
            cwd=ROOT,
            env=manage.env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        yield process
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
    with Connection(BROKER, connect_timeout=5) as connection:
        for key in connection.default_channel.client.keys(f"*{prefix}*"):
            connection.default_channel.client.delete(key)


def test_a_press_on_a_page_is_carried_out_by_a_worker(manage, worker):
    run = manage("shell", "-v0", "-c", SORT)[-1]
    manage("shell", "-v0", "-c", PRESS.replace("{run}", run))
    ends = time.monotonic() + PATIENCE_SECONDS
    state = ""
    while state != "published" and time.monotonic() < ends:
        time.sleep(1)
        state = manage("shell", "-v0", "-c", LOOK)[-1]
    assert state == "published"
