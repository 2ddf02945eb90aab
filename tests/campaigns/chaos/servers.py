"""Servers of a test's own, on ports of their own: they may be stopped and killed.

None of them touches what else runs on the machine; each is gone at the end.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
# A simple query of the protocol, as the driver ends a transaction.
COMMIT = b"COMMIT\0"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, *, seconds: float = PATIENCE_SECONDS) -> None:
    ends = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < ends, f"Nobody answers on port {port}."
        time.sleep(0.05)


def _program(name: str) -> str:
    """Of PostgreSQL: Debian keeps its server's programs off the path."""
    there = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(there[-1]) if there else shutil.which(name)
    assert found, f"This test needs PostgreSQL's {name}."
    return found


class Eavesdropper:
    """Stands between workers and PostgreSQL; now and then a COMMIT gets through, and
    its answer does not: whoever waits for it cannot know what holds."""

    def __init__(self, to: int, *, share: float, seed: int) -> None:
        self.lost = 0
        self._to, self._share, self._chance = to, share, random.Random(seed)
        self._listens = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listens.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listens.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listens.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            falls_silent = threading.Event()
            for source, sink, hears in (
                (client, server, True),
                (server, client, False),
            ):
                threading.Thread(
                    target=self._pass_on,
                    args=(source, sink, hears, falls_silent),
                    daemon=True,
                ).start()

    def _pass_on(
        self,
        source: socket.socket,
        sink: socket.socket,
        hears: bool,
        falls_silent: threading.Event,
    ) -> None:
        with suppress(OSError), source, sink:
            while said := source.recv(65536):
                if hears and COMMIT in said and self._chance.random() < self._share:
                    falls_silent.set()
                    self.lost += 1
                if falls_silent.is_set() and not hears:
                    break  # the answer goes to nobody
                sink.sendall(said)
            for end in (source, sink):  # the other thread may wait for it
                end.shutdown(socket.SHUT_RDWR)


class OwnPostgres:
    """A cluster in a folder of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}"
        self._folder = Path(tempfile.mkdtemp(prefix="postgres"))
        self._data = self._folder / "data"
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
            self._user = {"user": "postgres", "extra_groups": []}

    def __enter__(self) -> "OwnPostgres":
        self._call(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync"
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self._folder)

    def start(self) -> None:
        # fsync: the machine goes on, only the server dies.
        options = (
            f"-p {self.port} -h 127.0.0.1 -k {self._folder} "
            "-c fsync=off -c max_connections=50 -c shared_buffers=64MB"
        )
        log = self._folder / "log"
        self._call("pg_ctl", "start", "-w", "-D", self._data, "-l", log, "-o", options)

    def stop(self, how: str) -> None:
        """how: fast (connections are ended) or immediate (as if it crashed)."""
        self._call("pg_ctl", "stop", "-w", "-D", self._data, "-m", how)

    def _call(self, program: str, *arguments: Any) -> None:
        subprocess.run(
            [_program(program), *map(str, arguments)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            **self._user,
        )


class OwnRedis:
    """A server that keeps nothing on disk: stopped, it has forgotten everything."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "OwnRedis":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
             "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            cwd=tempfile.gettempdir(),
        )  # fmt: skip
        wait_for(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def purge(self, queues: Sequence[str]) -> int:
        """Empty these queues, and all else with them; how much waited there."""
        import redis

        found = redis.Redis(port=self.port)
        waiting = sum(found.llen(name) for name in queues)  # type: ignore[misc]
        found.flushall()
        return waiting


class OwnRabbit:
    """A node of its own name; its queues live in a folder that goes with it."""

    def __init__(self) -> None:
        self.port, self._distribution = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._folder = Path(tempfile.mkdtemp(prefix="rabbit"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self._folder, "rabbitmq")
            self._user = {"user": "rabbitmq", "extra_groups": []}
        (self._folder / "rabbit.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
        )
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": f"attune{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbit"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "OwnRabbit":
        try:
            self.start()
        except AssertionError:
            # Nobody else ends a node that was too slow to be heard of.
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._env,
            cwd=self._folder,
            start_new_session=True,
            **self._user,
        )
        # Erlang is slow to begin where everybody else is busy.
        wait_for(self.port, seconds=4 * PATIENCE_SECONDS)

    def stop(self) -> None:
        if self._process is not None:
            # A group of its own: the server is a child of a shell.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def purge(self, queues: Sequence[str]) -> int:
        """Empty these queues; how much waited in them."""
        from amqp.exceptions import NotFound
        from kombu import Connection

        waiting = 0
        with Connection(self.url, connect_timeout=5) as connection:
            for name in queues:
                # Until somebody publishes there is none.
                with suppress(NotFound), connection.channel() as channel:
                    waiting += channel.queue_purge(name) or 0
        return waiting
