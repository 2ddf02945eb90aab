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
