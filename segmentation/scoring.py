"""Interactions that have not been read yet become emotion scores."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from django.db.models import QuerySet

from customers.models import Interaction
from segmentation.emotion.analyzers import analyzer_named
from segmentation.emotion.reading import (
    DEFAULT_ANALYZER,
    Reading,
    TextToRead,
    read_texts,
)
from segmentation.models import EmotionScore
from segmentation.profile.events import SOURCE_WEIGHT

# Texts per transaction: a crash loses the reading of this many at most.
CHUNK = 200
# Sentences kept with a score to show why; the rest is read again when asked for.
SENTENCES_KEPT = 5
# NPS and CSAT scales above five are brought to one to five for the agreement check.
_FIVE, _TEN = 5.0, 10.0

Progress = Callable[[int, int | None], None]


@dataclass(slots=True)
class ScoreReport:
    """Texts read, and those that were not, by reason."""

    read: int = 0
    not_read: int = 0


def unscored() -> QuerySet[Interaction]:
    """Texts without a score, of customers who have not objected to being profiled."""
    return (
        Interaction.objects.with_text()
        .filter(emotion_score=None, customer__profiling_objected_at=None)
        .select_related("customer")
        .order_by("pk")
    )


def score_interactions(
    *,
    analyzer: str = DEFAULT_ANALYZER,
    workers: int = 1,
    progress: Progress | None = None,
) -> ScoreReport:
    """Read every text that has no score yet; safe to stop and start at any time.

    workers: processes that read at once; 1 reads in this process.
    """
    report = ScoreReport()
    version = analyzer_named(analyzer).version
    waiting = unscored()
    total = waiting.count() if progress else None
    with _readers(workers) as read_chunks:
        for rows, readings in read_chunks(_chunks(waiting), analyzer):
            scores = [
                _score(row, reading, version)
                for row, reading in zip(rows, readings, strict=True)
            ]
            # Two processes may read the same text: the constraint keeps one score.
            EmotionScore.objects.bulk_create(scores, ignore_conflicts=True)
            report.read += sum(not score.not_read for score in scores)
            report.not_read += sum(bool(score.not_read) for score in scores)
            if progress:
                progress(len(rows), total)
    return report


def _chunks(waiting: QuerySet[Interaction]) -> Iterator[list[Interaction]]:
    """By primary key, so that no chunk is seen twice while scores are being written."""
    last = 0
    while rows := list(waiting.filter(pk__gt=last)[:CHUNK]):
        last = rows[-1].pk
        yield rows


Chunked = Iterator[tuple[list[Interaction], list[Reading]]]
ReadChunks = Callable[[Iterator[list[Interaction]], str], Chunked]


@contextmanager
def _readers(workers: int) -> Iterator[ReadChunks]:
    if workers <= 1:
        yield _read_here
        return
    # Spawned, not forked: a child must not share a database connection. What it runs
    # is pure, so it needs no Django.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:

        def read_there(chunks: Iterator[list[Interaction]], analyzer: str) -> Chunked:
            waiting = []
            for rows in chunks:
                future = pool.submit(read_texts, _texts(rows), analyzer=analyzer)
                waiting.append((rows, future))
                if len(waiting) > 2 * workers:
                    done, early = waiting.pop(0)
                    yield done, early.result()
            for done, late in waiting:
                yield done, late.result()

        yield read_there


def _read_here(chunks: Iterator[list[Interaction]], analyzer: str) -> Chunked:
    for rows in chunks:
        yield rows, read_texts(_texts(rows), analyzer=analyzer)


def _texts(rows: Sequence[Interaction]) -> list[TextToRead]:
    return [
        TextToRead(
            text=row.text,
            title=row.subject,
            rating=_out_of_five(row.rating),
            language=row.customer.language or None,
            names=tuple(
                name
                for name in (row.customer.first_name, row.customer.last_name)
                if name
            ),
        )
        for row in rows
    ]


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
        analyzer=version,
    )


def usable_processes() -> int:
    """Processes that reading may use on this machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
