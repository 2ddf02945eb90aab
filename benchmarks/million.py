"""A whole shop, a million customers if asked: fit, publish and every page, each timed.

python benchmarks/million.py [--customers 1000] [--requests 3] [--database URL]

The database must be empty; by default it is a SQLite file that is gone afterwards. Each
step is a process of its own, so that its peak is its own. pages: [p50 ms, p95 ms, p95
ms of CPU, queries, requests], the slowest first; percentiles need --requests 20. Goals
for a million on two cores: a fit (without the model's own part) and publishing take
60 s of CPU and 3 GB, pages 300 ms.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from measure import peak_megabytes, take

ROOT = Path(__file__).resolve().parent.parent
SMALL = 1000
# New texts, a tenth of the customers' number.
NEWS_SHARE = 0.1
FEW = 3
# The first fit is of a month ago, so that there is something to move.
EARLIER = timedelta(days=30)
STEPS = (
    "fill",
    "first_fit",
    "first_publish",
    "refit",
    "publish",
    "fold",
    "pandas",
    "pages",
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=SMALL)
    parser.add_argument("--database", help="such as postgresql://user@host/name")
    parser.add_argument("--requests", type=int, default=FEW)
    parser.add_argument("--seconds-a-page", type=float, default=10.0)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--child", choices=STEPS)
    parser.add_argument("--at", type=datetime.fromisoformat)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_step(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/shop.sqlite3"
        os.environ["ATTUNE_DATABASE_URL"] = url
        os.environ["ATTUNE_DATA_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        at = options.at or datetime.now(UTC).replace(microsecond=0)
        figures = {"benchmark": "million", "database": url.partition(":")[0]}
        for step in options.steps:
            figures[step] = _child(step, options, at)
        print(json.dumps(figures), flush=True)


def _child(step: str, options: argparse.Namespace, at: datetime) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", step, "--at", at.isoformat(),
         "--customers", str(options.customers), "--requests", str(options.requests),
         "--seconds-a-page", str(options.seconds_a_page)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    print(f"{step}: {done.stdout.strip()}", file=sys.stderr, flush=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _step(options: argparse.Namespace) -> dict[str, Any]:
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from large_shop import filling, pages, steps

    at = options.at
    if options.child == "fill":
        _make_empty_tables()
        filled = take(lambda: filling.fill(options.customers, at=at))
        return {
            **filled.result,
            "s": round(filled.seconds, 1),
            "peak_mb": round(peak_megabytes()),
        }
    if options.child == "pages":
        return pages.look(requests=options.requests, seconds=options.seconds_a_page)
    if options.child == "fold":
        return steps.fold_in(texts=round(NEWS_SHARE * options.customers), at=at)
    if options.child == "pandas":
        return steps.pandas(at=at)
    first = options.child.startswith("first")
    step = steps.publish if options.child.endswith("publish") else steps.refit
    return step(at=at - EARLIER if first else at)


def _make_empty_tables() -> None:
    from django.core.management import call_command

    from customers.models import Customer

    call_command("migrate", verbosity=0, interactive=False)
    if Customer.objects.exists():
        raise SystemExit("This database holds customers: give an empty one.")


if __name__ == "__main__":
    main()
