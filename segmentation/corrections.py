"""What people say about readings: their word wins, is kept, and teaches."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F, QuerySet

from customers.models import Customer, Interaction
from customers.spreadsheets import formula_safe
from segmentation.emotion.cleaning import clean, clean_title
from segmentation.emotion.evaluation import share
from segmentation.emotion.families import AROUSAL, FAMILIES, VALENCE
from segmentation.errors import CorrectionRefused
from segmentation.frames import families_of
from segmentation.models import Correction, EmotionScore
from segmentation.news import mark
from segmentation.profile.events import SOURCE_WEIGHT
from segmentation.scoring import read_again, text_of
from segmentation.showing import strongest_family

CORRECTED_NOTE = "read by a person"
_COLUMNS = ["text", "title", "family", "read_as", "rating", "corrected_at"]


def correct_reading(
    interaction: Interaction, *, family: str, by: Any, at: datetime
) -> Correction:
    """From now on this text reads as `family`, whatever the model says.

    An earlier correction is withdrawn and kept. Raises CorrectionRefused for a text
    that was never scored, an unknown family, or a customer who objected.
    """
    _refuse_objectors(interaction)
    if family not in FAMILIES:
        raise CorrectionRefused(
            f"{family!r} is no family; choose one of: {', '.join(FAMILIES)}."
        )
    with transaction.atomic():
        score = (
            EmotionScore.objects.select_for_update()
            .filter(interaction=interaction)
            .first()
        )
        if score is None:
            raise CorrectionRefused(
                "This text has not been read yet; it can be corrected once it is."
            )
        earlier = standing(interaction)
        read_as, share, version = _as_read(score, earlier)
        _withdraw(interaction, by=by, at=at)
        correction = Correction.objects.create(
            interaction=interaction,
            family=family,
            read_as=read_as,
            read_share=share,
            analyzer=version,
            corrected_by=by,
            corrected_at=at,
        )
        _write(score, family)
        mark([score.customer_id])
    return correction


def withdraw_correction(interaction: Interaction, *, by: Any, at: datetime) -> None:
    """The model's reading counts again; the correction is kept as withdrawn."""
    _refuse_objectors(interaction)
    scores = EmotionScore.objects.filter(interaction=interaction)
    with transaction.atomic():
        scores.select_for_update().first()
        if not _withdraw(interaction, by=by, at=at):
            raise CorrectionRefused("This text has no correction to take back.")
        scores.update(corrected=False, analyzer="")
    # After the commit: reading takes its time, and a crash leaves it to the next turn.
    # That is what changes the text, and marks its customer as news.
    read_again(scores)


def _refuse_objectors(interaction: Interaction) -> None:
    objected = Customer.objects.filter(
        pk=interaction.customer_id, profiling_objected_at__isnull=False
    )
    if objected.exists():
        raise CorrectionRefused("This customer objected to texts being read.")


def standing(interaction: Interaction) -> Correction | None:
    """The correction that counts now."""
    return Correction.objects.filter(
        interaction=interaction, withdrawn_at__isnull=True
    ).first()


def corrections_as_jsonl() -> Iterator[str]:
    """Standing corrections as labelled rows, as evaluate_emotion_model takes them."""
    for row in _rows():
        yield json.dumps(row, ensure_ascii=False) + "\n"


def corrections_as_csv() -> Iterator[str]:
    """The same as CSV, a line at a time."""
    line = io.StringIO()
    writer = csv.DictWriter(line, _COLUMNS)
    writer.writeheader()
    yield line.getvalue()
    for row in _rows():
        line.seek(0)
        line.truncate()
        writer.writerow({key: formula_safe(value) for key, value in row.items()})
        yield line.getvalue()


def figures() -> dict[str, Any] | None:
    """How often the model had said what people corrected to; None without any.

    They were corrected because they were wrong: it is no fair sample of all texts.
    """
    pairs = _standing().values_list("family", "read_as")
    n = pairs.count()
    return share(pairs.filter(family=F("read_as")).count(), n) if n else None


def _standing() -> QuerySet[Correction]:
    return Correction.objects.filter(
        withdrawn_at__isnull=True,
        interaction__customer__profiling_objected_at__isnull=True,
    ).order_by("pk")


def _rows() -> Iterator[dict[str, Any]]:
    """Names, addresses and signatures are masked, as the model reads a text."""
    for row in (
        _standing().select_related("interaction__customer").iterator(chunk_size=500)
    ):
        text = text_of(row.interaction)
        yield {
            "text": clean(text.text, names=text.names),
            "title": clean_title(text.title, names=text.names),
            "family": row.family,
            "read_as": row.read_as,
            "rating": row.interaction.rating,
            "corrected_at": row.corrected_at.date().isoformat(),
        }


def _as_read(score: EmotionScore, earlier: Correction | None) -> tuple[str, float, str]:
    """What the model said, also where a person has spoken already."""
    if earlier is not None:
        return earlier.read_as, earlier.read_share, earlier.analyzer
    if not score.families:
        return "", 0.0, score.analyzer
    family, hundredths = strongest_family(families_of(score.families).tolist())
    return family, hundredths / 100, score.analyzer


def _withdraw(interaction: Interaction, *, by: Any, at: datetime) -> int:
    return Correction.objects.filter(
        interaction=interaction, withdrawn_at__isnull=True
    ).update(withdrawn_at=at, withdrawn_by=by)


def _write(score: EmotionScore, family: str) -> None:
    """A person's word is whole: all of the text is of that family."""
    column = FAMILIES.index(family)
    mix = np.zeros(len(FAMILIES), "<f4")
    mix[column] = 1.0
    score.families = mix.tobytes()
    score.valence = float(VALENCE[column])
    score.arousal = float(AROUSAL[column])
    # What disagreed with the stars was the model; a person has looked.
    score.weight = SOURCE_WEIGHT.get(score.kind, 1.0)
    score.not_read = ""
    score.notes, score.disagrees = [CORRECTED_NOTE], False
    # No page may quote a sentence under the family that the person has rejected.
    score.sentences = [
        [text, mix.tolist(), *rest] for text, _, *rest in score.sentences
    ]
    score.corrected = True
    score.save()
