"""The steps whose time is promised: a fit and its parts, publishing, pandas beside."""

import os
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from django.db import connection
from measure import Taken, peak_megabytes, take

from large_shop.sums import pandas_sums
from segmentation import services
from segmentation.folding import fold_news
from segmentation.frames import load_people, load_texts
from segmentation.models import SegmentationRun
from segmentation.profile.decay import fold

# What fit_run() calls, by the part of the work that it is.
PARTS = {
    "load": ["load_people", "load_texts", "load_habits", "load_deeds", "standing_in"],
    "fit": ["fit_model"],
    "assign": ["sort_customers", "_quality", "observed", "draw_map"],
    "write": ["_write"],
    "groups": ["look_for_groups"],
}


def refit(*, at: datetime) -> dict[str, Any]:
    """A fit of everybody, and what each part of it took."""
    # Importing scikit-learn is not what is measured.
    import segmentation.clustering.temper  # noqa: F401

    parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for part, names in PARTS.items():
        for name in names:
            setattr(services, name, _timed(getattr(services, name), parts[part]))
    figures = measured(lambda: services.fit_run(at=at))
    run = SegmentationRun.objects.latest("pk")
    return {
        **figures,
        "customers_per_s": round(run.customers / figures["s"]),
        "waits": run.waits_because,
        "parts": {
            part: {"s": round(wall, 2), "cpu_s": round(cpu, 2)}
            for part, (wall, cpu) in parts.items()
        },
    }


def publish(*, at: datetime) -> dict[str, Any]:
    """The newest run comes into use, with the history of who moved."""
    run = SegmentationRun.objects.latest("pk")
    # Approved, as a run that moves much asks for.
    figures = measured(lambda: services.publish_run(run, at=at, approved_by="bench"))
    made = run.publications.get()
    return {
        **figures,
        "customers_per_s": round(run.customers / figures["s"]),
        "moved": made.moved,
        "newly_sorted": made.newly_sorted,
    }


def fold_in(*, texts: int, at: datetime) -> dict[str, Any]:
    """So many new texts, read already, are folded into profiles and places."""
    from large_shop.filling import add_news

    marked = add_news(texts, at=at)
    figures = measured(lambda: fold_news(at=at))
    return {
        **figures,
        "texts": texts,
        "customers": marked,
        "texts_per_s": round(texts / figures["s"]),
    }


def pandas(*, at: datetime) -> dict[str, Any]:
    """Decayed sums by a groupby, beside our fold of the same texts of this shop.

    What is loaded is loaded by us for both; pandas has its own peak above that.
    """
    import pandas as pd

    people = load_people()
    texts = load_texts(people, at=at)
    loaded = peak_megabytes()
    ours = take(lambda: fold(texts))
    ours_peak = peak_megabytes()
    theirs = take(lambda: pandas_sums(pd, texts))
    apart = np.abs(ours.result.weight - theirs.result["weight"].to_numpy()).max()
    assert apart < 1e-9, f"the weights differ by {apart}"
    return {
        "texts": len(texts),
        "fold_s": round(ours.seconds, 2),
        "fold_cpu_s": round(ours.cpu_seconds, 2),
        "pandas_s": round(theirs.seconds, 2),
        "pandas_cpu_s": round(theirs.cpu_seconds, 2),
        "fold_texts_per_cpu_s": round(len(texts) / ours.cpu_seconds),
        "pandas_texts_per_cpu_s": round(len(texts) / theirs.cpu_seconds),
        "fold_ratio": round(theirs.cpu_seconds / ours.cpu_seconds, 2),
        "loaded_mb": round(loaded),
        "fold_peak_mb": round(ours_peak),
        "pandas_peak_mb": round(peak_megabytes()),
    }


def _timed(work: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def run(*args: Any, **named: Any) -> Any:
        taken = take(lambda: work(*args, **named))
        spent[0] += taken.seconds
        spent[1] += taken.cpu_seconds
        return taken.result

    return run


def measured(work: Callable[[], Any]) -> dict[str, Any]:
    """s on the clock; cpu_s of this process; server_cpu_s of PostgreSQL's for it."""
    server = _Server()
    taken: Taken = take(work)
    return {
        "s": round(taken.seconds, 2),
        "cpu_s": round(taken.cpu_seconds, 2),
        "server_cpu_s": server.cpu_seconds(),
        "peak_mb": round(peak_megabytes()),
    }


class _Server:
    """The process that serves this connection, where it runs on this machine."""

    def __init__(self) -> None:
        self.stat: Path | None = None
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self.stat = Path(f"/proc/{cursor.fetchone()[0]}/stat")
        self.before = self._read()

    def cpu_seconds(self) -> float | None:
        after = self._read()
        if self.before is None or after is None:
            return None
        return round(after - self.before, 2)

    def _read(self) -> float | None:
        if self.stat is None or not self.stat.exists():
            return None
        fields = self.stat.read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")
