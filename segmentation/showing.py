"""What the pages show of segments: questions with a bounded answer, whatever the size.

Signatures and sizes were computed when the run was published and are read from it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from django.db.models import Q

from segmentation.clustering.wording import how_sure
from segmentation.emotion.families import FAMILIES
from segmentation.models import EmotionScore, Membership, Segment, SegmentationRun
from segmentation.naming import sending_tone
from segmentation.pictures import (
    MiniBar,
    SignatureBar,
    mini_bar,
    signature_bar,
    sparkline,
)
from segmentation.places import surest_members

MEMBERS_SHOWN = 8
MEMBERS_A_PAGE = 50
SENTENCES_SHOWN = 4
# Members whose texts are looked through for sentences that show a segment.
MEMBERS_READ = 60
RUNS_IN_A_TREND = 8
WORDS_LEAST, WORDS_MOST = 4, 40
# A family is worth a word in a segment's sentence from this share of a sentence on.
PERCENT = 100

# Per cent of a family's colour behind a number: more, and joy and trust hide it in the
# dark.
_DEEPEST_TINT: Final = 40


def tint(count: int, of: int) -> int:
    """How much of a family's colour stands behind a count, in per cent."""
    return round(_DEEPEST_TINT * count / max(1, of))


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """How much of one family a segment's words carry, against everyone."""

    family: str
    ratio: float
    low: float
    high: float
    bar: SignatureBar

    @property
    def as_much(self) -> bool:
        return self.low <= 1 <= self.high


@dataclass(frozen=True, slots=True)
class ShownSentence:
    """A sentence, what it reads as, and the interaction it stands in."""

    text: str
    family: str
    strength: int
    kind: str
    occurred_at: datetime
    customer_id: int


@dataclass(frozen=True, slots=True)
class Member:
    membership: Membership
    words: str
    why: ShownSentence | None


@dataclass(frozen=True, slots=True)
class SegmentLine:
    """One line of the overview."""

    segment: Segment
    customers: int
    share: float
    change: int | None
    trend: str
    subtitle: str
    bars: tuple[tuple[str, MiniBar], ...]
    # Of the customers, those whom a person has placed.
    by_hand: int
    # What they are written to in, their own or a borrowed one.
    tone: str


def overview(run: SegmentationRun) -> list[SegmentLine]:
    """All segments side by side, in their fixed order."""
    earlier = list(
        SegmentationRun.objects.filter(
            published_at__isnull=False, published_at__lte=run.published_at
        ).order_by("-published_at")[:RUNS_IN_A_TREND]
    )[::-1]
    sizes = run.quality.get("sizes", {})
    total = sum(sizes.values()) or 1
    lines = []
    by_hand = run.quality.get("by_hand", {})
    for segment in Segment.objects.select_related("sent_as"):
        past = [each.quality.get("sizes", {}).get(segment.key, 0) for each in earlier]
        lines.append(
            SegmentLine(
                segment=segment,
                customers=sizes.get(segment.key, 0),
                share=sizes.get(segment.key, 0) / total,
                change=past[-1] - past[-2] if len(past) > 1 else None,
                trend=sparkline(past) if len(past) > 1 else "",
                subtitle=run.quality.get("subtitles", {}).get(segment.key, ""),
                bars=tuple(
                    (row.family, mini_bar(row.ratio)) for row in signature(run, segment)
                ),
                by_hand=by_hand.get(segment.key, 0),
                tone=sending_tone(segment),
            )
        )
    return lines


def signature(run: SegmentationRun, segment: Segment) -> list[SignatureRow]:
    """The nine rows of a segment's signature; none while it has too few people."""
    rows = run.quality.get("signatures", {}).get(segment.key, [])
    return [
        SignatureRow(family, ratio, low, high, signature_bar(ratio, low, high))
        for family, (ratio, low, high) in zip(FAMILIES, rows, strict=False)
    ]


def sentences_of_segment(run: SegmentationRun, segment: Segment) -> list[ShownSentence]:
    """Sentences of sure members that carry the segment's family most, one a person."""
    if not segment.family:
        return []
    sure = surest_members(run, segment).values_list("customer_id", flat=True)
    best = best_sentences(sure[:MEMBERS_READ], segment.family)
    shown = sorted(best.values(), key=lambda sentence: -sentence.strength)
    return shown[:SENTENCES_SHOWN]


def best_sentences(
    customer_ids: Iterable[int], family: str
) -> dict[int, ShownSentence]:
    """Of each customer, the sentence that reads most as this family."""
    column = FAMILIES.index(family)
    best: dict[int, ShownSentence] = {}
    scores = (
        EmotionScore.objects.filter(customer_id__in=list(customer_ids))
        .exclude(families=b"")
        .order_by("-occurred_at")
        .only("customer_id", "kind", "occurred_at", "sentences")
    )
    for score in scores:
        for sentence in _sentences(score, column):
            known = best.get(score.customer_id)
            if known is None or sentence.strength > known.strength:
                best[score.customer_id] = sentence
    return best


def _sentences(score: EmotionScore, column: int) -> Iterable[ShownSentence]:
    for text, families, *_ in score.sentences:
        if WORDS_LEAST <= text.count(" ") + 1 <= WORDS_MOST:
            yield ShownSentence(
                text,
                FAMILIES[column],
                round(PERCENT * families[column]),
                score.kind,
                score.occurred_at,
                score.customer_id,
            )


def strongest_family(families: Sequence[float]) -> tuple[str, int]:
    """The family a sentence reads as most, and how much of a hundred."""
    column = int(np.argmax(families))
    return FAMILIES[column], round(PERCENT * float(families[column]))


def members_of(
    run: SegmentationRun,
    segment: Segment,
    *,
    after: tuple[float, int] | None = None,
    limit: int = MEMBERS_A_PAGE,
) -> list[Member]:
    """Members, surest first; after: probability and id of the last one seen."""
    found = Membership.objects.filter(run=run, segment=segment)
    if after is not None:
        probability, pk = after
        found = found.filter(
            Q(probability__lt=probability) | Q(pk__gt=pk),
            # What the index goes by.
            probability__lte=probability,
        )
    page = list(
        found.select_related("customer", "next_best", "run_segment").order_by(
            "-probability", "pk"
        )[:limit]
    )
    why = (
        best_sentences((each.customer_id for each in page), segment.family)
        if segment.family
        else {}
    )
    return [
        Member(each, how_sure(each.probability), why.get(each.customer_id))
        for each in page
    ]


def readings_of(customer_id: int, *, limit: int = 40) -> list[dict[str, Any]]:
    """What a customer's texts read as, newest first, sentence by sentence."""
    scores = (
        EmotionScore.objects.filter(customer_id=customer_id)
        .select_related("interaction")
        .order_by("-occurred_at")[:limit]
    )
    return [
        {
            "score": score,
            "sentences": [
                (text, *strongest_family(families))
                for text, families, *_ in score.sentences
            ],
        }
        for score in scores
    ]
