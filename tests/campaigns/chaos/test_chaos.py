"""Half a minute of `make chaos`: everything at once, on both databases."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("on", "speaks"),
    [
        ("sqlite", "postmark"),
        pytest.param("postgres", "resend", marks=pytest.mark.postgres),
    ],
)
def test_under_everything_at_once_nobody_is_lost_or_mailed_twice(on, speaks):
    options = {"minutes": "0.6", "customers": "6000", "speaks": speaks, "on": on}
    told = subprocess.run(
        [sys.executable, RUN, *(f"--{name}={said}" for name, said in options.items())],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-2000:] + told.stderr[-2000:]
    sums = json.loads(told.stdout.splitlines()[-1])
    assert (sums["lost"], sums["twice"]) == (0, 0)
    assert sums["killed"] > 0
    assert sums["killed"] + sums["frozen"] + sums["unsubscribed"] > 5
    ended = sums["accepted"] + sums["in_doubt"] + sums["suppressed"]
    assert ended + sum(sums["skipped"].values()) == sums["audience"] == 6000
