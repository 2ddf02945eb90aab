"""The compiler and its guards against layouts that were broken at random."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.shared
def test_no_broken_layout_ends_a_process_or_lets_a_panic_through(shared_data):
    ran = subprocess.run(
        [sys.executable, HERE / "mutations.py", "--inputs", "20000", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(ran.stdout)
    assert (ran.returncode, said["deaths"], said["sound"]) == (0, [], True), said
    assert said["compiled"] > 4_000
    assert said["refused"] > 8_000
