"""Labelled texts in, figures out."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from segmentation.emotion.analyzers import ANALYZERS, analyzer_named
from segmentation.emotion.evaluation import Answer, evaluate, summary
from segmentation.emotion.labelled_file import LabelsRefused, read_labelled
from segmentation.emotion.reading import DEFAULT_ANALYZER, TextToRead, read_texts
from segmentation.emotion.weights import WeightsDamaged


class Command(BaseCommand):
    help = (
        "Read labelled texts as the product reads them and print, as JSON, how well: "
        "top-1 family accuracy (strict and with acceptable families), macro-F1, "
        "valence, calibration, abstention, per kind. FILE has JSON lines or, if its "
        'name ends in .csv, CSV, with "text" and "family" and, if you have them, '
        '"acceptable", "valence", "kind", "hard", "title" and "rating".'
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--analyzer", choices=sorted(ANALYZERS), default=DEFAULT_ANALYZER
        )
        parser.add_argument(
            "--mistakes",
            type=int,
            default=0,
            metavar="N",
            help="also list the first N texts that were read as another family",
        )

    def handle(
        self,
        *,
        file: Path,
        analyzer: str = DEFAULT_ANALYZER,
        mistakes: int = 0,
        **options: Any,
    ) -> None:
        try:
            rows = read_labelled(file)
        except FileNotFoundError as error:
            raise CommandError(f"There is no file {file}.") from error
        except (LabelsRefused, OSError) as error:
            raise CommandError(str(error)) from error
        items = [TextToRead(row.text, row.title, row.rating) for row in rows]
        try:
            readings = read_texts(items, analyzer=analyzer)
        except WeightsDamaged as error:
            raise CommandError(str(error)) from error
        answers = [
            Answer(reading.families, reading.valence, reading.not_read)
            for reading in readings
        ]
        figures = evaluate(rows, answers)
        found: dict[str, Any] = {
            "file": file.name,
            "analyzer": analyzer_named(analyzer).version,
            "summary": summary(figures),
            **figures,
        }
        if mistakes:
            wrong = [
                {
                    "text": row.text,
                    "family": row.family,
                    "acceptable": sorted(row.acceptable),
                    "read_as": answer.family or f"not read: {answer.why}",
                    "confidence": round(answer.confidence, 3),
                }
                for row, answer in zip(rows, answers, strict=True)
                if row.family and answer.family != row.family
            ]
            found["mistakes"] = wrong[:mistakes]
        self.stdout.write(
            json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
        )
