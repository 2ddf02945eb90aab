"""Real processes in milliseconds: forked from one that has everything imported.

As a script it is that one process: a line of JSON in, a line out; what it forked dies
with it. Each child reads its settings anew, so that one nursery serves many shops.
"""

import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
WORLD = ROOT / "tests" / "campaigns" / "world.py"
# What a child would otherwise import for itself.
BEFOREHAND = (
    "campaigns.sending.engine",
    "campaigns.services",
    "campaigns.sending.channels.anymail",
    "campaigns.sending.channels.smtp",
    "anymail.backends.postmark",
    "engagement.views",
    "engagement.webhooks",
    "django.test",
)
PR_SET_PDEATHSIG = 1


class Child:
    """A process that was started in the nursery; only the nursery can signal it."""

    def __init__(self, nursery: "Nursery", pid: int, out: Path) -> None:
        self.nursery, self.pid, self.out = nursery, pid, out
        self.status: int | None = None

    def poll(self) -> int | None:
        """How it ended, as subprocess tells it: -9 for SIGKILL; None: it runs."""
        if self.status is None:
            self.status = self.nursery.ask(do="poll", pid=self.pid)
        return self.status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            self.nursery.ask(do="signal", pid=self.pid, number=int(number))

    def wait(self, seconds: float = 120.0) -> int:
        ends = time.monotonic() + seconds
        while (status := self.poll()) is None:
            if time.monotonic() > ends:
                raise TimeoutError(f"It still runs after {seconds} s: {self.errors()}")
            time.sleep(0.01)
        return status

    def stopped(self) -> bool:
        """Does it stand still, by SIGSTOP?"""
        return self.nursery.ask(do="state", pid=self.pid) == "T"

    def answer(self, seconds: float = 120.0) -> Any:
        """The JSON it wrote; None when it was killed on the way."""
        status = self.wait(seconds)
        if status == -signal.SIGKILL:
            return None
        assert status == 0, f"It ended with {status}: {self.errors()}"
        return json.loads(self.out.read_text())

    def errors(self) -> str:
        said = self.out.with_suffix(".log")
        # One that was forked in this moment has not said anything yet.
        return said.read_text()[-4000:] if said.exists() else ""


def alive(pid: int) -> bool:
    """Is there a process of this number?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Nursery:
    """The one process, and a folder for what its children write."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._count = 0
        self._one_at_a_time = threading.Lock()
        env = {key: text for key, text in os.environ.items() if "ATTUNE" not in key}
        # Nothing is written there: each child has settings of its own.
        env |= {"ATTUNE_DATA_DIR": self._folder.name, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            env=env | {"DJANGO_SETTINGS_MODULE": "config.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for who holds the nursery.
            start_new_session=True,
        )

    def start(self, *arguments: str, env: dict[str, str]) -> Child:
        self._count += 1
        out = Path(self._folder.name, f"{self._count}.json")
        pid = self.ask(do="start", arguments=arguments, env=env, out=str(out))
        return Child(self, pid, out)

    def ask(self, **request: Any) -> Any:
        with self._one_at_a_time:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._folder.cleanup()


def _serve() -> None:
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    for name in BEFOREHAND:
        importlib.import_module(name)
    gc.freeze()
    living: dict[int, int | None] = {}
    for line in sys.stdin:
        request = json.loads(line)
        sys.stdout.write(json.dumps(_answer(request, living)) + "\n")
        sys.stdout.flush()
    for pid in [pid for pid in living if _poll(pid, living) is None]:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _answer(request: dict[str, Any], living: dict[int, int | None]) -> Any:
    if request["do"] == "start":
        pid = os.fork()
        if not pid:
            _live(request)
        living[pid] = None
        return pid
    pid = request["pid"]
    if request["do"] == "poll":
        return _poll(pid, living)
    if request["do"] == "state":
        if _poll(pid, living) is not None:
            return ""
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    # It was not waited for, so that its id can be nobody else's.
    if _poll(pid, living) is None:
        os.kill(pid, request["number"])
    return None


def _poll(pid: int, living: dict[int, int | None]) -> int | None:
    if living[pid] is None:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            living[pid] = os.waitstatus_to_exitcode(status)
    return living[pid]


def _live(request: dict[str, Any]) -> None:
    """A child's life: its own settings, one command of world.py, its answer."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        log = os.open(
            Path(request["out"]).with_suffix(".log"), os.O_CREAT | os.O_WRONLY
        )
        nothing = os.open(os.devnull, os.O_RDONLY)
        for theirs, ours in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(theirs, ours)
        for key in [key for key in os.environ if key.startswith("ATTUNE_")]:
            del os.environ[key]
        os.environ |= request["env"]
        _read_settings_anew()
        answer = _world().main(request["arguments"])
        Path(request["out"]).write_text(json.dumps(answer))
        status = 0
    finally:
        # Nothing may come out of here: outside is the nursery's own loop.
        traceback.print_exception(sys.exception())
        sys.stderr.flush()
        os._exit(status)


def _read_settings_anew() -> None:
    import logging.config

    from asgiref.local import Local
    from django.conf import settings
    from django.db import connections
    from django.utils.functional import empty

    for name in ("config.settings", "config.celery_settings", "config.urls"):
        sys.modules.pop(name, None)
    settings._wrapped = empty
    connections.__dict__.pop("settings", None)
    connections._settings = None
    connections._connections = Local(connections.thread_critical)
    logging.config.dictConfig(settings.LOGGING)


def _world() -> Any:
    spec = importlib.util.spec_from_file_location("campaign_world", WORLD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    _serve()
