"""Interactions that have not been read yet become emotion scores."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import numpy as np
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from customers.models import Customer, Interaction
from segmentation import reading_mark
from segmentation.emotion.brand_words import BrandWords
from segmentation.emotion.reading import (
    DEFAULT_ANALYZER,
    DISAGREEMENT,
    Reading,
    TextToRead,
    read_texts,
    reading_version,
)
from segmentation.models import EmotionScore
from segmentation.news import mark
from segmentation.profile.events import SOURCE_WEIGHT
from segmentation.sensitive_matters import keep_matters
from segmentation.shop_words import brand_words

# Texts per transaction: a crash loses the reading of this many at most.
CHUNK = 200
# Sentences kept with a score to show why; the rest is read again when asked for.
SENTENCES_KEPT = 5
# NPS and CSAT scales above five are brought to one to five for the agreement check.
_FIVE, _TEN = 5.0, 10.0

_READ_FIELDS = [
    "families",
    "valence",
    "arousal",
    "weight",
    "sentences",
    "language",
    "not_read",
    "notes",
    "disagrees",
    "analyzer",
]

Progress = Callable[[int, int | None], None]
Row = TypeVar("Row", bound=Model)


@dataclass(slots=True)
class ScoreReport:
    """Texts read, and those that were not, by reason."""

    read: int = 0
    not_read: int = 0


def outdated() -> QuerySet[EmotionScore]:
    """Scores that other rules of the shop touch since; a person's word stays."""
    return EmotionScore.objects.filter(
        analyzer="", corrected=False, customer__profiling_objected_at=None
    )


def of_other_versions() -> QuerySet[EmotionScore]:
    """Scores that the model or the rules of before made."""
    return EmotionScore.objects.filter(
        corrected=False, customer__profiling_objected_at=None
    ).exclude(analyzer=reading_version(brand_words=brand_words()))


def read_again(
    scores: QuerySet[EmotionScore],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> int:
    """Read the texts of these scores again, in place; returns how many.

    In place and in chunks: a profile never misses a text meanwhile, and a crash leaves
    every text with its old reading or its new one.
    """
    rules = brand_words()
    total = scores.count() if progress else None
    done = 0
    with _readers(workers) as read_chunks:
        chunks = _scored_chunks(scores)
        for rows, readings in read_chunks(chunks, DEFAULT_ANALYZER, rules):
            _store(rows, readings, rules, DEFAULT_ANALYZER, write=_replace)
            done += len(rows)
            if progress:
                progress(len(rows), total)
    return done


def score_interactions(
    *,
    analyzer: str = DEFAULT_ANALYZER,
    workers: int = 1,
    progress: Progress | None = None,
) -> ScoreReport:
    """Read every text that has no score yet; safe to stop and start at any time.

    Then those again that new rules of the shop touch.
    workers: processes that read at once; 1 reads in this process.
    """
    report = ScoreReport()
    rules = brand_words()
    reading = reading_mark.begin_pass(at=timezone.now())
    waiting = reading_mark.waiting_in(reading)
    total = waiting.count() if progress else None
    with _readers(workers) as read_chunks:
        for rows, readings in read_chunks(_chunks(waiting), analyzer, rules):
            scores = _store(rows, readings, rules, analyzer, write=_insert)
            report.read += sum(not score.not_read for score in scores)
            report.not_read += sum(bool(score.not_read) for score in scores)
            reading_mark.has_come_to(rows[-1].pk)
            if progress:
                progress(len(rows), total)
    read_again(outdated(), workers=workers)
    reading_mark.end_pass(reading)
    version = reading_version(brand_words=brand_words())
    if reading.version != version:
        reading_mark.read_by("" if of_other_versions()[:1].exists() else version)
    return report


def _store(
    rows: Sequence[Interaction],
    readings: Sequence[Reading],
    rules: BrandWords,
    analyzer: str,
    *,
    write: Callable[[list[EmotionScore]], None],
) -> list[EmotionScore]:
    """Keep the readings of a chunk, all or nothing: a crash between a score and its
    sensitive matter would lose the matter for good.

    In the same transaction their customers are marked as news. Reading takes seconds.
    Who objected meanwhile is left out, and what was taken away; what a person corrected
    meanwhile stays; a rule of the shop that came meanwhile marks the chunk as outdated.
    """
    version = reading_version(analyzer=analyzer, brand_words=rules)
    with transaction.atomic():
        willing = set(
            Customer.objects.select_for_update(no_key=True)
            .order_by("pk")
            .filter(
                pk__in={row.customer_id for row in rows},
                profiling_objected_at__isnull=True,
            )
            .values_list("pk", flat=True)
        )
        # Who takes an interaction away locks its customer first.
        there = set(
            Interaction.objects.filter(pk__in=[row.pk for row in rows]).values_list(
                "pk", "customer_id"
            )
        )
        kept = [
            (row, reading)
            for row, reading in zip(rows, readings, strict=True)
            if row.customer_id in willing and (row.pk, row.customer_id) in there
        ]
        keep_matters(
            [
                (row, reading.sensitive.urgent)
                for row, reading in kept
                if reading.sensitive
            ]
        )
        scores = [_score(row, reading, version) for row, reading in kept]
        write(scores)
        mark(score.customer_id for score in scores)
    if brand_words().digest != rules.digest:
        EmotionScore.objects.filter(
            interaction__in=[row for row, _ in kept], corrected=False
        ).update(analyzer="")
    return scores


def _insert(scores: list[EmotionScore]) -> None:
    # Two processes may read the same text: the constraint keeps one score.
    EmotionScore.objects.bulk_create(scores, ignore_conflicts=True)


def _replace(scores: list[EmotionScore]) -> None:
    locked = dict(
        EmotionScore.objects.select_for_update()
        .filter(
            interaction_id__in=[score.interaction_id for score in scores],
            corrected=False,
        )
        .values_list("interaction_id", "pk")
    )
    made = [score for score in scores if score.interaction_id in locked]
    for score in made:
        score.pk = locked[score.interaction_id]
    EmotionScore.objects.bulk_update(made, _READ_FIELDS)


def _scored_chunks(scores: QuerySet[EmotionScore]) -> Iterator[list[Interaction]]:
    waiting = scores.order_by("pk").select_related("interaction__customer")
    for found in _chunks(waiting):
        yield [score.interaction for score in found]


def _chunks(waiting: QuerySet[Row]) -> Iterator[list[Row]]:
    """By primary key, so that no chunk is seen twice while scores are being written."""
    last = 0
    while rows := list(waiting.filter(pk__gt=last)[:CHUNK]):
        last = rows[-1].pk
        yield rows


Chunked = Iterator[tuple[list[Interaction], list[Reading]]]
ReadChunks = Callable[[Iterator[list[Interaction]], str, BrandWords], Chunked]


@contextmanager
def _readers(workers: int) -> Iterator[ReadChunks]:
    if workers <= 1:
        yield _read_here
        return
    # Spawned, not forked: a child must not share a database connection. What it runs
    # is pure, so it needs no Django.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:

        def read_there(
            chunks: Iterator[list[Interaction]], analyzer: str, rules: BrandWords
        ) -> Chunked:
            waiting = []
            for rows in chunks:
                future = pool.submit(
                    read_texts, _texts(rows), analyzer=analyzer, brand_words=rules
                )
                waiting.append((rows, future))
                if len(waiting) > 2 * workers:
                    done, early = waiting.pop(0)
                    yield done, early.result()
            for done, late in waiting:
                yield done, late.result()

        yield read_there


def _read_here(
    chunks: Iterator[list[Interaction]], analyzer: str, rules: BrandWords
) -> Chunked:
    for rows in chunks:
        yield rows, read_texts(_texts(rows), analyzer=analyzer, brand_words=rules)


def text_of(row: Interaction) -> TextToRead:
    """An interaction as the reader takes it; names are masked before scoring."""
    return TextToRead(
        text=row.text,
        title=row.subject,
        rating=_out_of_five(row.rating),
        language=row.customer.language or None,
        names=tuple(
            name for name in (row.customer.first_name, row.customer.last_name) if name
        ),
    )


def _texts(rows: Sequence[Interaction]) -> list[TextToRead]:
    return [text_of(row) for row in rows]


def _out_of_five(rating: float | None) -> float | None:
    if rating is None or rating <= _FIVE:
        return rating
    return 1 + (_FIVE - 1) * min(rating, _TEN) / _TEN


def _score(row: Interaction, reading: Reading, version: str) -> EmotionScore:
    strongest = sorted(
        reading.sentences,
        key=lambda sentence: -sentence.share * float(1 - sentence.families[-1]),
    )
    return EmotionScore(
        interaction=row,
        customer_id=row.customer_id,
        occurred_at=row.occurred_at,
        kind=row.kind,
        families=(
            b""
            if reading.families is None
            else np.asarray(reading.families, "<f4").tobytes()
        ),
        valence=reading.valence,
        arousal=reading.arousal,
        weight=reading.weight * SOURCE_WEIGHT.get(row.kind, 1.0),
        sentences=[
            [
                sentence.text[:500],
                [round(float(value), 4) for value in sentence.families],
                round(sentence.share, 4),
            ]
            for sentence in strongest[:SENTENCES_KEPT]
        ],
        language=reading.language,
        not_read=reading.not_read[:80],
        notes=list(reading.notes),
        disagrees=DISAGREEMENT in reading.notes,
        analyzer=version,
    )


def usable_processes() -> int:
    """Processes that reading may use on this machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
