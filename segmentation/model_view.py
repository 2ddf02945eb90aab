"""Door: what the classifier is worth, from the evaluation shipped with it."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from customers.doors import shown_page
from segmentation import corrections
from segmentation.emotion.families import FAMILIES
from segmentation.emotion.model_report import LANGUAGES, headline, sensitive_lines
from segmentation.emotion.reading import reading_version
from segmentation.emotion.weights import FOLDER
from segmentation.models import BrandWord, Correction
from segmentation.reading_mark import all_read_by
from segmentation.scoring import of_other_versions
from segmentation.sensitive_matters import waiting_matters
from segmentation.shop_words import brand_words
from segmentation.showing import tint

EVALUATION = FOLDER / "eval.json"


@require_safe
def model(request: HttpRequest) -> HttpResponse:
    """Data, figures with intervals, where it fails, who is read worse."""
    found = json.loads(EVALUATION.read_text(encoding="utf-8"))
    development = found["development"]["family"]
    return shown_page(
        request,
        "segmentation/model.html",
        title="The emotion classifier",
        crumbs=[("Texts", None), ("The classifier", None)],
        found=found,
        about=found["about"],
        headline=headline(found),
        kinds=_kinds(found),
        bins=[
            {
                **row,
                "x": 100 * row["confidence"],
                "y": 100 - 100 * row["accuracy"],
                "r": 1.5 + 5 * (row["texts"] / development["texts"]) ** 0.5,
            }
            for row in development["calibration"]["bins"]
        ],
        calibration_error=development["calibration"]["ece"],
        confusion=_confusion(development["confusion"]),
        families=FAMILIES,
        languages=[
            (LANGUAGES.get(code, code), row)
            for code, row in found["languages"]["by_language"].items()
        ],
        sensitive=sensitive_lines(found["sensitive"]),
        corrected=corrections.figures(),
        corrections=Correction.objects.filter(withdrawn_at__isnull=True).count(),
        rules=BrandWord.objects.count(),
        for_a_person=(
            waiting_matters(at=timezone.now()).count()
            if request.user.has_perm("segmentation.view_sensitivematter")
            else 0
        ),
        other_versions=_of_other_versions(),
    )


def _of_other_versions() -> bool:
    # Looking for one among millions that are all of this version takes long.
    version = reading_version(brand_words=brand_words())
    return not all_read_by(version) and of_other_versions()[:1].exists()


def _kinds(found: dict[str, Any]) -> list[dict[str, Any]]:
    development = found["development"]["family"]["by_kind"]
    held_out = found["held_out"]["family"]["by_kind"]
    return [
        {"kind": kind, "development": development.get(kind), "held_out": held_out[kind]}
        for kind in sorted(held_out, key=lambda kind: -held_out[kind]["strict"])
    ]


def _confusion(table: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Rows of counts with the tint of each cell, by its share of the row."""
    rows = []
    for family in FAMILIES:
        counts = table.get(family, {})
        total = sum(counts.values())
        rows.append(
            {
                "family": family,
                "cells": [
                    {
                        "family": column,
                        "count": counts.get(column, 0),
                        "tint": tint(counts.get(column, 0), total),
                    }
                    for column in (*FAMILIES, "not read")
                ],
            }
        )
    return rows
