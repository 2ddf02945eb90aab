"""What every benchmark needs: its own place, CPU seconds, peak memory, one line."""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Taken:
    """seconds: on the clock; cpu_seconds: of this process, all threads."""

    seconds: float
    cpu_seconds: float
    result: Any


def take(work: Callable[[], Any]) -> Taken:
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Taken(time.perf_counter() - clock, time.process_time() - cpu, result)


def peak_megabytes() -> float:
    """Most memory this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def say(name: str, **figures: Any) -> None:
    """The one JSON line of a benchmark."""
    rounded = {
        key: round(value, 3) if isinstance(value, float) else value
        for key, value in figures.items()
    }
    print(json.dumps({"benchmark": name, **rounded}), flush=True)


@contextmanager
def fresh_django() -> Iterator[Path]:
    """Django on an empty SQLite database in a folder that is gone afterwards.

    ATTUNE_DATABASE_URL in the environment is left out: a benchmark empties tables.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("ATTUNE_DATABASE_URL", None)
        os.environ["ATTUNE_DATA_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield Path(folder)
        from django.db import connections

        connections.close_all()
