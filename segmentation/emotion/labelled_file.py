"""A file of labelled texts → rows to evaluate on: JSON lines or CSV."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from segmentation.emotion.evaluation import LabelledText
from segmentation.emotion.families import FAMILIES, FAMILY_LABELS

_NEEDS: Final = 'each row needs "text" and "family" (or, without a family, "valence")'
_VALENCE_WORDS: Final = {
    "negative": -1.0,
    "neg": -1.0,
    "neutral": 0.0,
    "neu": 0.0,
    "mixed": 0.0,
    "positive": 1.0,
    "pos": 1.0,
}
_TRUE: Final = {"1", "true", "yes", "y"}
_LABEL_FAMILY: Final = {
    label: family for family, labels in FAMILY_LABELS.items() for label in labels
}


class LabelsRefused(ValueError):
    """A row that can't be used: its line, what was needed and what came."""


def read_labelled(path: Path) -> list[LabelledText]:
    """All rows of a file; CSV if its name ends in .csv, else JSON lines.

    Raises LabelsRefused for the first row that is wrong, or a file without rows.
    """
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelsRefused(
            f"{path.name} needs UTF-8, byte {error.start:,} is not."
        ) from error
    fields = _csv(content) if path.suffix.lower() == ".csv" else _json_lines(content)
    rows: list[LabelledText] = []
    reached = 0
    try:
        for line, row in fields:
            reached = line
            rows.append(_row(row))
    except LabelsRefused as error:  # it names its own line
        raise LabelsRefused(f"{path.name}, {error}") from error
    except (ValueError, OverflowError, RecursionError, csv.Error) as error:
        raise LabelsRefused(f"{path.name}, line {reached}: {error}") from error
    if not rows:
        raise LabelsRefused(f"{path.name} has no rows; {_NEEDS}.")
    return rows


def _csv(content: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(content) + 1))
    reader = csv.DictReader(io.StringIO(content, newline=""))
    for row in reader:
        yield reader.line_num, {(name or "").strip(): row[name] for name in row}


def _json_lines(content: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LabelsRefused(
                f"line {number} is no JSON: {error}; write one object a line."
            ) from error
        if not isinstance(fields, dict):
            raise LabelsRefused(f"line {number} needs an object; {_NEEDS}.")
        yield number, fields


def _row(fields: Mapping[str, Any]) -> LabelledText:
    text = fields.get("text")
    if not isinstance(text, str):
        raise ValueError(f'"text" needs a string, got {text!r}; {_NEEDS}')
    family = fields.get("family") or ""
    valence = _valence(fields.get("valence"))
    if not family and valence is None:
        raise ValueError(f"no family and no valence; {_NEEDS}")
    return LabelledText(
        text=text,
        family=_family(family) if family else "",
        acceptable=frozenset(map(_family, _several(fields.get("acceptable")))),
        valence=valence,
        kind=str(fields.get("kind") or ""),
        hard=_flag(fields.get("hard")),
        title=str(fields.get("title") or ""),
        rating=_number(fields.get("rating")),
    )


def _family(value: object) -> str:
    name = str(value).strip().casefold()
    if name in FAMILIES:
        return name
    if name in _LABEL_FAMILY:  # one of the 28 stands for its family
        return _LABEL_FAMILY[name]
    raise ValueError(f"{value!r} is no family; one of: {', '.join(FAMILIES)}")


def _several(value: object) -> list[Any]:
    """A list, or names between commas, semicolons, bars or spaces; or JSON in a CSV."""
    if value is None or value == "":
        return []
    if isinstance(value, list):
        return value
    text = str(value).strip()
    if text.startswith("["):
        return list(json.loads(text))
    for mark in ",;|/":
        text = text.replace(mark, " ")
    return text.split()


def _valence(value: object) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().casefold() in _VALENCE_WORDS:
        return _VALENCE_WORDS[value.strip().casefold()]
    number = _number(value)
    if number is None or not -1 <= number <= 1:
        raise ValueError(
            f'"valence" needs -1 to 1 or negative, neutral, positive; got {value!r}'
        )
    return number


def _number(value: object) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{str(value)[:40]!r} is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _flag(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().casefold() in _TRUE
    return bool(value)
