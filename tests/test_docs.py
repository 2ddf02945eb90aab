"""What the documents show can be run, and gives what they say."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_one_customer_by_hand_comes_out_as_the_code_says():
    words = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(.*?)```", words, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "both ways agree" in done.stdout


def test_every_picture_and_page_a_document_names_is_there():
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        named = re.findall(r"\]\(((?!http)[^)#]+)", page.read_text(encoding="utf-8"))
        missing = [name for name in named if not (page.parent / name).exists()]
        assert missing == [], page.name


def test_every_test_that_the_failure_matrix_names_is_there():
    words = (ROOT / "docs" / "failure_matrix.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", words)
    assert len(named) > 25
    missing = [
        f"{file}::{test}"
        for file, test in named
        if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_the_failure_matrix_has_every_row():
    words = (ROOT / "docs" / "failure_matrix.md").read_text(encoding="utf-8")
    rows = set()
    for cell in re.findall(r"^\| (F[^|]+) \|", words, re.MULTILINE):
        for first, last in re.findall(r"F(\d+)(?:-F(\d+))?", cell):
            rows |= set(range(int(first), int(last or first) + 1))
    assert rows == set(range(1, 35))
