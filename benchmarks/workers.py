"""One send by 1, 2 and 4 workers: rates, efficiency, memory of each.

Efficiency is rate(n) / (n * rate(1)), by the clock: no more than the processors allow,
and the sink wants some, too. Each worker is a process of its own; all begin at once.

    python benchmarks/workers.py [--mails 1000] [--workers 1 2] [--provider smtp]
        [--database URL]

The database must be empty and is emptied; by default it is a SQLite file that is gone
afterwards. Growth of memory at 100,000: --mails 100000 --workers 1.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import say
from senders import shop
from senders.sinks import sinks
from sending import SHOP, child


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--provider", choices=["smtp", *shop.OPTIONS], default="smtp")
    parser.add_argument("--database", default="", help="postgresql://user@host/name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sinks(Path(folder)) as ports:
        if ports is None:
            say("workers", skipped="smtp-sink could not be had")
            return
        runs = {
            n: _run(n, Path(folder), ports, options) for n in sorted(options.workers)
        }
    one = runs.get(1)
    for n, run in runs.items():
        if one is not None:
            run["efficiency"] = round(run["per_s"] / (n * one["per_s"]), 2)
    say(
        "workers",
        provider=options.provider,
        database=options.database.partition(":")[0] or "sqlite",
        mails=options.mails,
        processors=os.cpu_count(),
        workers=runs,
    )


def _run(
    n: int, folder: Path, ports: dict[str, int], options: argparse.Namespace
) -> dict[str, Any]:
    work = folder / f"by{n}"
    work.mkdir()
    known = shop.environment(options.provider, work, ports, database=options.database)
    child([sys.executable, "-c", SHOP, "build", str(options.mails)], known)
    env = {key: value for key, value in os.environ.items() if "ATTUNE" not in key}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", SHOP, "worker", str(options.mails)],
            cwd=Path(__file__).parent,
            env={**env, **known},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(n)
    ]
    pipes = [(one.stdin, one.stdout) for one in workers]
    for _, out in pipes:
        assert out is not None
        assert out.readline() == "ready\n"
    began = time.perf_counter()
    for into, _ in pipes:
        assert into is not None
        into.write("go\n")
        into.flush()
    told = [json.loads(one.communicate()[0]) for one in workers]
    seconds = time.perf_counter() - began
    accepted = sum(one["accepted"] for one in told)
    if accepted != options.mails:
        raise SystemExit(f"{n} workers: {accepted} of {options.mails} accepted")
    if options.database:
        child([sys.executable, "-c", SHOP, "clear", "0"], known)
    return {
        "per_s": round(accepted / seconds, 1),
        "per_cpu_s": round(accepted / sum(one["cpu_s"] for one in told), 1),
        "rss_growth_mb": round(max(one["rss_growth_mb"] for one in told), 1),
        "shares": sorted(one["accepted"] for one in told),
    }


if __name__ == "__main__":
    main()
