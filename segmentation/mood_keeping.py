"""The mood of the home page: read at once, or for large shops worked out and kept.

A page reads some thousand texts while it loads. Where there are more, a worker or the
engine adds them up step by step, once a day, and a fit does with the texts that it has
in memory anyway; the page says of when it is.
"""

from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

from django.db.models import Max, Q
from django.utils import timezone

from segmentation.bulk_rows import INSTANT, read_columns
from segmentation.frames import days_before, unpack_families
from segmentation.models import EmotionScore, KeptMood
from segmentation.mood import REACH_DAYS, Mood, Tally, long_silent, mood_of
from segmentation.profile.events import Texts

# A tenth of a second.
READ_AT_ONCE: Final = 10_000
# A step takes a fifth of a second.
TEXTS_A_STEP: Final = 20_000
AGAIN_AFTER: Final = timedelta(days=1)
GIVEN_UP_AFTER: Final = timedelta(seconds=15)
_ONLY: Final = 1
# Of a mood that is being worked out: nothing is.
_NOTHING_BEGUN: Final[dict[str, Any]] = {
    "begun_at": None,
    "as_of": None,
    "added_to": 0,
    "tally": {},
    "worked_at": None,
}


def mood_for_page(*, at: datetime) -> tuple[Mood | None, bool]:
    """The mood, None without any text, and whether it is still to be worked out.

    Where there are few texts it is of now, else as it was worked out last.
    """
    if few_texts():
        return read_mood(at=at), False
    kept = KeptMood.objects.filter(pk=_ONLY, kept_at__isnull=False).first()
    if kept is None or kept.kept_at is None:
        return None, True
    if not kept.figures:
        return None, False
    return Mood.from_json(kept.figures, kept_at=kept.kept_at), False


def few_texts() -> bool:
    """Whether a page may read them while it loads."""
    found = EmotionScore.objects.order_by("pk").values_list("pk", flat=True)
    return not found[READ_AT_ONCE : READ_AT_ONCE + 1].exists()


def read_mood(*, at: datetime) -> Mood | None:
    """The mood up to now, from the families of stored scores; None without any text."""
    tally = _read_all(as_of=at)
    if not long_silent(tally, at=at):
        return mood_of(tally, as_of=at, stale=False)
    newest = tally.newest or at
    return mood_of(_read_all(as_of=newest), as_of=newest, stale=True)


def mood_waits(*, at: datetime) -> bool:
    """Whether it is to be worked out or gone on with, and nobody is at it."""
    kept = KeptMood.objects.filter(pk=_ONLY).first() or KeptMood()
    free = kept.worked_at is None or kept.worked_at <= at - GIVEN_UP_AFTER
    return free and _due(kept, at=at) and not few_texts()


def work_out_mood(*, at: datetime, until: float | None = None) -> bool:
    """Go on with it until it is kept or time.monotonic(); True: nothing is left.

    Two at once, or one after a crash, add no text twice: each step is kept only where
    nobody else has made it. What was kept before is shown meanwhile.
    """
    while True:
        if _step(at=at):
            return True
        if until is not None and monotonic() >= until:
            # Free for the next at once.
            KeptMood.objects.filter(pk=_ONLY).update(worked_at=None)
            return False


def keep_mood_of_fit(texts: Texts, *, at: datetime) -> None:
    """Keep the mood of a fit's texts as of its cut-off, unless a later one is kept."""
    ages, as_of, tally = texts.age_days, at, Tally()
    if len(texts):
        tally.newest = at - timedelta(days=float(ages.min()))
    stale = long_silent(tally, at=at)
    if stale and tally.newest is not None:
        as_of = tally.newest
        ages = ages - ages.min()
    tally.add(ages, texts.families)
    mood = mood_of(tally, as_of=as_of, stale=stale)
    KeptMood.objects.get_or_create(pk=_ONLY)
    KeptMood.objects.filter(Q(kept_at=None) | Q(kept_at__lt=at), pk=_ONLY).update(
        figures=mood.to_json() if mood else {}, kept_at=at, **_NOTHING_BEGUN
    )


def _due(kept: KeptMood, *, at: datetime) -> bool:
    return kept.kept_at is None or at - kept.kept_at >= AGAIN_AFTER


def _step(*, at: datetime) -> bool:
    """The next texts by id; True when there is nothing (more) to work out."""
    kept, _ = KeptMood.objects.get_or_create(pk=_ONLY)
    if not _due(kept, at=at):
        return True
    # Not in a transaction: nobody waits while it is read.
    here = KeptMood.objects.filter(
        pk=_ONLY, begun_at=kept.begun_at, as_of=kept.as_of, added_to=kept.added_to
    )
    begun, as_of, now = kept.begun_at, kept.as_of, timezone.now()
    if begun is None or as_of is None or at - begun >= AGAIN_AFTER:
        here.update(begun_at=at, as_of=at, added_to=0, tally={}, worked_at=now)
        return False
    tally = Tally.from_json(kept.tally)
    come_to = _add_next(tally, after=kept.added_to, as_of=as_of)
    if come_to is not None:
        here.update(added_to=come_to, tally=tally.to_json(), worked_at=now)
        return False
    if long_silent(tally, at=as_of):
        # Once more, by their age at the newest of them.
        here.update(as_of=tally.newest, added_to=0, tally={}, worked_at=now)
        return False
    mood = mood_of(tally, as_of=as_of, stale=as_of != begun)
    here.update(figures=mood.to_json() if mood else {}, kept_at=begun, **_NOTHING_BEGUN)
    return True


def _read_all(*, as_of: datetime) -> Tally:
    tally, come_to = Tally(), 0
    while (further := _add_next(tally, after=come_to, as_of=as_of)) is not None:
        come_to = further
    return tally


def _add_next(tally: Tally, *, after: int, as_of: datetime) -> int | None:
    """Add the next scores by id; the id that it has come to, None: there are no more.

    By id, since no index has them by time: a mood a day is not worth one.
    """
    ids = EmotionScore.objects.filter(pk__gt=after).order_by("pk")
    last = max(ids.values_list("pk", flat=True)[:TEXTS_A_STEP], default=None)
    if last is None:
        return None
    part = EmotionScore.objects.filter(
        pk__gt=after, pk__lte=last, occurred_at__lte=as_of
    ).exclude(families=b"")
    newest = part.aggregate(newest=Max("occurred_at"))["newest"]
    if newest is not None:
        tally.newest = max(newest, tally.newest or newest)
    columns = read_columns(
        part.filter(occurred_at__gt=as_of - timedelta(days=REACH_DAYS)),
        {"occurred_at": INSTANT, "families": "bytes"},
    )
    tally.add(
        days_before(columns["occurred_at"], at=as_of),
        unpack_families(columns["families"]),
    )
    return last
