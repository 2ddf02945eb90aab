"""A year of a real history replayed month by month: how often people change segment.

python benchmarks/replay.py [--history FILE.csv.gz] [--months 12]

At the end of each month the model is fitted again, held by the one before, on what had
been written by then; customers are sorted by it once plainly and once with hysteresis.
A flip is a change between two segments, or between one and mixed; who is unknown before
or after does not flip. Plain sorting is the baseline, in the same run. Without FILE:
the reviews of ../shared/data, or where they are not there the invented shop's history,
which the line then says.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from measure import say

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.sample_shop import write_history
from segmentation.clustering.hysteresis import Standing, settle
from segmentation.clustering.model import (
    UNKNOWN_LABEL,
    assign,
    fit_model,
    profile_customers,
)
from tests.segmentation.histories import History, read_history

ROOT = Path(__file__).resolve().parent.parent
MONTH_DAYS = 365.25 / 12
REVIEWS = ROOT.parent / "shared/data/reviews/interactions_musical_instruments.csv.gz"
# The invented shop's two years end here; any day would do.
INVENTED_END = datetime(2026, 11, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--history", type=Path)
    parser.add_argument("--months", type=int, default=12)
    options = parser.parse_args()
    path = options.history or (REVIEWS if REVIEWS.exists() else None)
    history = read_history(path) if path else _invented()
    n = history.customers
    plain = np.full(n, -1)
    held = Standing(np.full(n, -1), np.zeros(n), np.zeros(n, np.int64))
    flips = {"plain": 0, "held": 0}
    months_known = {"plain": 0, "held": 0}
    model = None
    for month in range(options.months, -1, -1):
        texts, deeds = history.until(history.last_day - month * MONTH_DAYS)
        model = fit_model(texts, deeds, seed=0, previous=model)
        found = assign(profile_customers(texts, deeds, model), model)
        waited = Standing(held.label, held.days + MONTH_DAYS, held.ahead)
        settled = settle(found, waited)
        for name, before, after in (
            ("plain", plain, found.label),
            ("held", held.label, settled.label),
        ):
            known = (before >= 0) & (before != UNKNOWN_LABEL) & (after != UNKNOWN_LABEL)
            flips[name] += int((before[known] != after[known]).sum())
            months_known[name] += int(known.sum())
        plain, held = found.label, settled
    a_year = {name: 12 * flips[name] / months_known[name] for name in flips}
    say(
        "replay",
        history=path.name if path else "invented",
        customers=n,
        texts=len(history.text_day),
        months=options.months,
        customer_years=months_known["held"] / 12,
        flips_per_customer_year_plain=a_year["plain"],
        flips_per_customer_year_held=a_year["held"],
        ratio=a_year["held"] / a_year["plain"],
        target_ratio=0.6,
    )


def _invented() -> History:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sample_shop.csv.gz"
        write_history(path, at=INVENTED_END)
        return read_history(path)


if __name__ == "__main__":
    main()
