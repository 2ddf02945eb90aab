"""Opens wait a moment, and are stored when the process ends."""

import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

from engagement.hits import Open, OpenBuffer, flush_at_exit
from engagement.verdict import Hit


def _hit() -> Open:
    return Open(
        7, datetime(2026, 3, 2, tzinfo=UTC), Hit(is_click=False, user_agent="x")
    )


def _worker(path: Path) -> None:
    """A server's worker: keeps two opens, then ends before they are due."""
    buffer = OpenBuffer(lambda opens: path.write_text(str(len(opens))))
    flush_at_exit(buffer)
    buffer.keep(_hit())
    buffer.keep(_hit())


def test_a_worker_that_ends_stores_what_waits(settings, tmp_path):
    settings.OPENS_FLUSH_MS = 60_000
    path = tmp_path / "stored"
    process = multiprocessing.get_context("fork").Process(target=_worker, args=(path,))
    process.start()
    process.join(20)
    assert path.read_text() == "2"


def test_with_no_wait_each_open_is_stored_at_once(settings):
    settings.OPENS_FLUSH_MS = 0
    stored = []
    buffer = OpenBuffer(stored.append)
    buffer.keep(_hit())
    assert [len(opens) for opens in stored] == [1]
