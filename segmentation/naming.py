"""A segment's name, its tone, and whose tone it borrows; each change is kept.

Sends that are scheduled keep what they were frozen with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from segmentation.clustering.anchors import SEGMENTS
from segmentation.errors import DecisionRefused
from segmentation.models import RuleSegment, Segment, SegmentationRun, SegmentEdit
from segmentation.reasons import tidy_name
from segmentation.tones import (
    ALWAYS_NEUTRAL,
    GUARDED_SEGMENTS,
    NEUTRAL,
    PARENTS,
    TONE_NAMES,
    own_tone_fits,
    shared_tone_fits,
)

# A segment needs so many customers, or this share of those who were read, to be worth
# words of its own: method.md 2.2, step 6.
PEOPLE_NEEDED: Final = 50
SHARE_NEEDED: Final = 0.02
# Runs in which it was too small before anything is suggested.
SMALL_RUNS: Final = 2


@dataclass(frozen=True, slots=True)
class SmallSegment:
    """Too few for words of their own: how many, how many it takes, whose would do."""

    customers: int
    needed: int
    parent: Segment | None


def change_segment(
    segment: Segment,
    *,
    name: str,
    tone: str,
    sent_as: Segment | None,
    by: Any,
    at: datetime,
) -> Segment:
    """Another name or tone, or (sent_as) the tone of another segment; all of it kept.

    Raises DecisionRefused for a name that can't be one or is taken, a tone there is
    none of, one that urges people whom that would hurt, and a chain of borrowed tones.
    """
    tidy = _tidy(name)
    with transaction.atomic():
        # All of them: two who lend each other their tones at once wait here.
        known = {
            one.pk: one for one in Segment.objects.select_for_update().order_by("pk")
        }
        found = known[segment.pk]
        borrowed = known[sent_as.pk] if sent_as else None
        _check(found, tidy, tone, borrowed, list(known.values()))
        before = (
            found.name,
            found.tone,
            known[found.sent_as_id].name if found.sent_as_id else "",
        )
        after = (tidy, tone, borrowed.name if borrowed else "")
        found.name, found.tone, found.sent_as = tidy, tone, borrowed
        found.save(update_fields=["name", "tone", "sent_as"])
        SegmentEdit.objects.bulk_create(
            SegmentEdit(
                segment=found,
                what=what,
                before=was,
                after=now,
                changed_by=by,
                changed_at=at,
            )
            for what, was, now in zip(SegmentEdit.What, before, after, strict=True)
            if was != now
        )
    return found


def check_there_is(tone: str) -> None:
    """Raises DecisionRefused for a tone there is none of."""
    if tone not in TONE_NAMES:
        raise DecisionRefused(
            f"There is no tone “{tone[:40]}”: choose one of the list."
        )


def check_change(
    segment: Segment, *, name: str, tone: str, sent_as: Segment | None
) -> None:
    """Raises DecisionRefused where change_segment would; changes nothing."""
    _check(segment, _tidy(name), tone, sent_as, list(Segment.objects.all()))


def _check(
    segment: Segment,
    name: str,
    tone: str,
    sent_as: Segment | None,
    everyone: list[Segment],
) -> None:
    _check_name(segment, name, everyone)
    _check_tone(segment, tone)
    _check_borrowing(segment, sent_as, everyone)
    _check_lending(segment, tone, everyone)


def _tidy(name: str) -> str:
    return tidy_name(name, whose="A segment", refused=DecisionRefused)


def _check_name(segment: Segment, name: str, everyone: list[Segment]) -> None:
    for other in everyone:
        if other.pk != segment.pk and other.name.casefold() == name.casefold():
            raise DecisionRefused(
                f"Another segment is called “{other.name}”: choose another name."
            )


def _check_tone(segment: Segment, tone: str) -> None:
    check_there_is(tone)
    if own_tone_fits(segment.key, tone):
        return
    if segment.key in GUARDED_SEGMENTS:
        raise DecisionRefused(
            f"The {tone} tone may urge; people whose messages read as "
            f"{segment.key} are never urged. Choose another tone."
        )
    raise DecisionRefused(
        f"Nothing is known of customers in “{segment}”, or they objected to "
        "profiling: they are always written to in the neutral tone."
    )


def _check_borrowing(
    segment: Segment, lender: Segment | None, everyone: list[Segment]
) -> None:
    if lender is None:
        return
    if lender.pk == segment.pk:
        raise DecisionRefused("A segment can't be written to like itself.")
    if lender.sent_as_id:
        raise DecisionRefused(
            f"“{lender}” is itself written to like another segment: choose that one."
        )
    borrowers = [one.name for one in everyone if one.sent_as_id == segment.pk]
    if borrowers:
        raise DecisionRefused(
            f"“{borrowers[0]}” is written to like “{segment}”: end that first."
        )
    if not shared_tone_fits(segment.key, lender.tone):
        raise DecisionRefused(
            f"“{segment}” can't be written to like “{lender}”: the {lender.tone} tone "
            "has no guard against pressure on people whom it would hurt."
        )


def _check_lending(segment: Segment, tone: str, everyone: list[Segment]) -> None:
    """Those who borrow its tone must be able to bear the new one."""
    for one in everyone:
        if one.sent_as_id == segment.pk and not shared_tone_fits(one.key, tone):
            raise DecisionRefused(
                f"“{one}” is written to like “{segment}”, and the {tone} tone has no "
                "guard against pressure on people whom it would hurt. End that first."
            )


def sending_tones(*, audience: RuleSegment | None = None) -> dict[str, str]:
    """The tone that each segment's customers are written to in, by the segment's key.

    audience: a rule whose customers have a tone of their own. It never replaces the
    guarded tone of people whom pressure would hurt, nor the neutral one of those of
    whom nothing is known.
    """
    segments = Segment.objects.select_related("sent_as")
    tones = {one.key: sending_tone(one) for one in segments}
    if audience is None or not audience.tone:
        return tones
    return {
        key: audience.tone if shared_tone_fits(key, audience.tone) else tone
        for key, tone in tones.items()
    }


def sending_tone(segment: Segment) -> str:
    """The tone that a segment's customers are written to in."""
    lender = segment.sent_as
    if segment.key == ALWAYS_NEUTRAL:
        return NEUTRAL
    if lender is None:
        return segment.tone
    # The lender's tone may have been changed by other ways than this module.
    fits = shared_tone_fits(segment.key, lender.tone)
    return lender.tone if fits else NEUTRAL


def segments_in_tone(tone: str) -> list[str]:
    """The keys of the segments whose customers get this tone."""
    return [key for key, found in sending_tones().items() if found == tone]


def too_small(segment: Segment) -> SmallSegment | None:
    """A segment that was too small for words of its own in the last runs, else None."""
    if segment.key not in SEGMENTS:
        return None
    runs = list(
        SegmentationRun.objects.filter(published_at__isnull=False).order_by(
            "-published_at", "-pk"
        )[:SMALL_RUNS]
    )
    if len(runs) < SMALL_RUNS or not all(run.reportable for run in runs):
        return None
    if any(_size(run, segment) >= _needed(run) for run in runs):
        return None
    return SmallSegment(
        customers=_size(runs[0], segment),
        needed=_needed(runs[0]),
        parent=Segment.objects.filter(key=PARENTS.get(segment.key, "")).first(),
    )


def _size(run: SegmentationRun, segment: Segment) -> int:
    sizes: Mapping[str, int] = run.quality.get("sizes", {})
    return sizes.get(segment.key, 0)


def _needed(run: SegmentationRun) -> int:
    return max(PEOPLE_NEEDED, round(SHARE_NEEDED * run.scored))
