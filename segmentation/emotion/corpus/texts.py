"""The corpus on disk → rows. GUIDELINES.md beside this file says how it was made."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from segmentation.emotion.evaluation import LabelledText
from segmentation.emotion.families import LABELS
from segmentation.emotion.labelled_file import read_labelled

FOLDER: Final = Path(__file__).parent
TRAINING: Final = FOLDER / "training"
DEVELOPMENT: Final = FOLDER / "development.jsonl"
HELD_OUT: Final = FOLDER / "held_out.jsonl"

KINDS: Final = (
    "explicit",
    "implicit",
    "sarcasm",
    "mixed",
    "negation",
    "churn",
    "loyalty",
    "question",
    "loaded",
    "calm",
    "short",
    "noisy",
    "dialect",
)


class CorpusDamaged(ValueError):
    """A row of the corpus breaks the guidelines; names file, line and reason."""


@dataclass(frozen=True, slots=True)
class CustomerText:
    """One training text. readers: labels by each of two, strongest first.

    sensitive: only a person may answer it; None where a reader could not tell.
    """

    text: str
    readers: tuple[tuple[str, ...], ...]
    valence: tuple[float, ...]
    kind: str
    trade: str
    situation: str
    sensitive: bool | None = None
    urgent: bool = False


def training_texts() -> list[CustomerText]:
    """All training texts, in the order of files and lines. Raises CorpusDamaged."""
    rows = []
    for path in sorted(TRAINING.glob("*.jsonl")):
        for line, fields in _lines(path):
            try:
                rows.append(_row(fields))
            except (KeyError, TypeError, ValueError) as error:
                raise CorpusDamaged(f"{path.name}, line {line}: {error!r}") from error
    return rows


def development_texts() -> list[LabelledText]:
    """The 400 texts that models are chosen on and never trained on."""
    return read_labelled(DEVELOPMENT)


def held_out_texts() -> list[LabelledText]:
    """Texts scored once a model is chosen, and not looked at before."""
    return read_labelled(HELD_OUT)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            yield number, json.loads(line)


def _row(fields: dict[str, Any]) -> CustomerText:
    readers = tuple(tuple(labels) for labels in fields["readers"])
    if len(readers) != 2:
        raise ValueError(f"needs two readers, has {len(readers)}")
    for labels in readers:
        if not 1 <= len(labels) <= 3 or not set(labels) <= set(LABELS):
            raise ValueError(f"a reader gives 1 to 3 of the 28 labels, not {labels}")
    if fields["kind"] not in KINDS:
        raise ValueError(f"{fields['kind']!r} is no kind")
    if not fields["text"].strip() or not fields["situation"].strip():
        raise ValueError("text and situation need words")
    return CustomerText(
        text=fields["text"],
        readers=readers,
        valence=tuple(float(value) for value in fields["valence"]),
        kind=fields["kind"],
        trade=fields["trade"],
        situation=fields["situation"],
        sensitive=fields.get("sensitive"),
        urgent=bool(fields.get("urgent", False)),
    )
