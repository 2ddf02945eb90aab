"""Texts on standard input, one JSON object per line out."""

import json
import math
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from segmentation.emotion.analyzers import ANALYZERS
from segmentation.emotion.families import FAMILIES, FloatArray
from segmentation.emotion.reading import (
    DEFAULT_ANALYZER,
    Reading,
    TextToRead,
    read_texts,
)
from segmentation.emotion.weights import WeightsDamaged

_LINES_AT_ONCE = 64
_DECIMALS = 4


class LineRefused(ValueError):
    """A line of input that is no text and no valid JSON object."""


class Command(BaseCommand):
    help = (
        "Read the emotion in texts from standard input: plain lines, or JSON lines "
        'with "text" and, if you have them, "title", "rating" (1 to 5), "language" and '
        '"names" (a list, masked before reading). Writes one JSON object per line. A '
        "line of broken JSON gives an object with its number and the error; the others "
        "are read, and the command ends with 1."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--analyzer", choices=sorted(ANALYZERS), default=DEFAULT_ANALYZER
        )

    def handle(self, *, analyzer: str = DEFAULT_ANALYZER, **options: Any) -> None:
        refused: list[int] = []
        lines = enumerate(_lines(sys.stdin.buffer), start=1)
        at_once = 1 if sys.stdin.isatty() else _LINES_AT_ONCE
        while chunk := list(islice(lines, at_once)):
            for answer in _answers(chunk, analyzer):
                if "error" in answer:
                    refused.append(answer["line"])
                self.stdout.write(json.dumps(answer, allow_nan=False))
            self.stdout.flush()
        if refused:
            which = ", ".join(map(str, refused[:10])) + (", …" if refused[10:] else "")
            raise CommandError(f"Not read because of broken JSON: line {which}.")


def _lines(stream: BinaryIO) -> Iterator[str]:
    for number, raw in enumerate(stream):
        # A spreadsheet's "save as UTF-8" starts with a byte order mark.
        line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
        yield line.removeprefix("\ufeff") if number == 0 else line


def _answers(chunk: list[tuple[int, str]], analyzer: str) -> list[dict[str, Any]]:
    items: dict[int, TextToRead] = {}
    errors: dict[int, str] = {}
    for number, line in chunk:
        try:
            items[number] = _item(line)
        except LineRefused as error:
            errors[number] = str(error)
    try:
        readings = read_texts(list(items.values()), analyzer=analyzer)
    except WeightsDamaged as error:
        raise CommandError(str(error)) from error
    read = dict(zip(items, readings, strict=True))
    return [
        _answer(number, read[number])
        if number in read
        else {"line": number, "error": errors[number]}
        for number, _ in chunk
    ]


def _item(line: str) -> TextToRead:
    """A line that starts with "{" is JSON, any other is the text itself."""
    if not line.lstrip().startswith("{"):
        return TextToRead(line)
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise LineRefused(
            f"broken JSON at column {error.colno}: {error.msg}; "
            'write {"text": "…"} on one line'
        ) from error
    except (ValueError, RecursionError) as error:
        raise LineRefused(f"JSON that can't be read: {error}") from error
    if not isinstance(fields.get("text"), str):
        found = _kind(fields["text"]) if "text" in fields else "nothing"
        raise LineRefused(f'"text" needs a string, got {found}')
    return TextToRead(
        text=fields["text"],
        title=_string(fields, "title") or "",
        rating=_rating(fields.get("rating")),
        language=_string(fields, "language"),
        names=_names(fields.get("names")),
    )


def _string(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise LineRefused(f'"{name}" needs a string, got {_kind(value)}')
    return value


def _rating(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LineRefused(f'"rating" needs a number from 1 to 5, got {_kind(value)}')
    if not math.isfinite(value) or not 1 <= value <= 5:
        raise LineRefused(f'"rating" needs a number from 1 to 5, got {value}')
    return float(value)


def _names(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise LineRefused(f'"names" needs a list of strings, got {_kind(value)}')
    return tuple(value)


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", bool: "true or false"}.get(
        type(value), "null" if value is None else f"a {type(value).__name__}"
    )


def _answer(number: int, reading: Reading) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "line": number,
        "language": reading.language,
        "not_read": reading.not_read,
        "weight": reading.weight,
        "labels": {label: _rounded(p) for label, p in reading.labels.items()},
        "families": None,
        "valence": None,
        "arousal": None,
        "segments": None,
        "sentences": [
            {
                "text": sentence.text,
                "share": _rounded(sentence.share),
                "families": _named(FAMILIES, sentence.families),
            }
            for sentence in reading.sentences
        ],
        "notes": list(reading.notes),
        "for_a_person": bool(reading.sensitive),
    }
    if reading.families is not None:
        answer["families"] = _named(FAMILIES, reading.families)
        answer["valence"] = _rounded(reading.valence)
        answer["arousal"] = _rounded(reading.arousal)
        answer["segments"] = _segment_evidence(reading.families)
    return answer


def _segment_evidence(families: FloatArray) -> dict[str, float]:
    """How well each anchor explains this one text, shares that sum to 1.

    Against a uniform base, as one text knows nothing of a shop: lam = q / (1/9), and
    the evidence of segment s is sum over f of lam_f A0_sf. A customer's segment also
    weighs their other texts and the shop's usual ones; docs/method.md, "Segments".
    """
    from segmentation.clustering.anchors import SEGMENTS, anchor_matrix

    base = np.full(len(FAMILIES), 1.0 / len(FAMILIES))
    evidence = anchor_matrix(base) @ (families / base)
    return _named(tuple(SEGMENTS), evidence / evidence.sum())


def _named(names: tuple[str, ...], values: FloatArray) -> dict[str, float]:
    return dict(zip(names, map(_rounded, values), strict=True))


def _rounded(value: float) -> float:
    return round(float(value), _DECIMALS)
