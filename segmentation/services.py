"""Read, fold, fit, publish: the decisions between interactions and segments."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from customers.models import Customer
from segmentation import news
from segmentation.bulk_rows import refresh_statistics, write_rows
from segmentation.clustering import quality, wording
from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.hysteresis import Standing, settle
from segmentation.clustering.model import (
    LABELS,
    SegmentModel,
    fit_model,
)
from segmentation.comparing import keep_counts
from segmentation.deeds import load_deeds, load_habits, next_moments
from segmentation.diagnosing import carry_out_open_diagnoses
from segmentation.drift_watch import observed
from segmentation.errors import NothingToSort
from segmentation.folding import fold_news
from segmentation.frames import load_people, load_texts
from segmentation.groups import Fit, look_for_groups
from segmentation.history import finish_publications
from segmentation.hold_measures import keep_measures
from segmentation.keeping import thin_runs
from segmentation.mapping import draw_map
from segmentation.models import (
    Correction,
    EmotionProfile,
    EmotionScore,
    GroupMember,
    MapDot,
    Membership,
    Pin,
    Segment,
    SegmentationRun,
    SegmentChange,
)
from segmentation.mood_keeping import keep_mood_of_fit, mood_waits, work_out_mood
from segmentation.pins import end_expired_pins, place_by_hand
from segmentation.places import count_places, nowhere, published_run
from segmentation.placing import (
    Sorting,
    lock_between,
    places_of,
    sort_customers,
    standing_in,
    write_profiles,
)
from segmentation.profile.behaviour import Terms
from segmentation.profile.habits import cut_thirds
from segmentation.publishing import carry_out_open, publish_run
from segmentation.scoring import (
    Progress,
    ScoreReport,
    score_interactions,
)

# Rows a transaction: the writer is free in between.
CHUNK = 5000
SEGMENTER = "anchored"
# Longer than the timetable lets a refresh take.
GIVEN_UP_AFTER = timedelta(hours=2)
# Everybody is sorted anew after so long (method.md 8), or when of so large a share of
# customers there was news, or as many joined or went.
REFIT_AFTER = timedelta(days=30)
REFIT_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What one refresh did."""

    scores: ScoreReport
    run: SegmentationRun
    # Customers of whom news was folded in, beside what the run itself has read.
    folded: int = 0

    def __str__(self) -> str:
        sizes = self.run.quality.get("sizes", {})
        words = ", ".join(f"{size:,} {key}" for key, size in sizes.items() if size)
        folded = f"{self.folded:,} folded in; " if self.folded else ""
        state = "" if self.run.state == "published" else f" ({self.run.waits_because})"
        return (
            f"{self.scores.read:,} texts read, {self.scores.not_read:,} not read; "
            f"{folded}{self.run.customers:,} customers: {words}{state}"
        )


def memberships_of(customer_ids: Iterable[int]) -> dict[int, Membership]:
    """Where these customers are in the published run; a newcomer is absent."""
    found = Membership.objects.filter(
        run__state=SegmentationRun.State.PUBLISHED, customer_id__in=list(customer_ids)
    ).select_related("segment")
    return {membership.customer_id: membership for membership in found}


def refresh_segments(
    *,
    at: datetime,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> RefreshReport:
    """Score what is new, fit, and publish unless it needs approval.

    at: the cut-off; later interactions do not count.
    """
    scores = score_interactions(workers=workers, progress=progress)
    return _sort_anew(scores, at=at, seed=seed)


def refresh_if_needed(*, at: datetime) -> RefreshReport | None:
    """Read what is new; sort everybody anew when a run is due, else fold it in.

    What a crash left half done is finished first. While a run waits for a person,
    reading and folding into the run in use go on. None: nothing was new.
    """
    finish_publications()
    carry_out_open(at=at)
    end_expired_pins(at=at)
    thin_runs(at=at)
    carry_out_open_diagnoses(at=at)
    if mood_waits(at=at):
        work_out_mood(at=at)
    if not Customer.objects.exists():
        return None
    scores = score_interactions()
    waiting = SegmentationRun.objects.filter(state=SegmentationRun.State.WAITING)
    if not waiting.exists() and _due(at=at):
        return _sort_anew(scores, at=at, seed=0)
    folded = fold_news(at=at)
    in_use = published_run()
    if in_use is None or not (scores.read or scores.not_read or folded):
        return None
    return RefreshReport(scores, in_use, folded)


def _sort_anew(scores: ScoreReport, *, at: datetime, seed: int) -> RefreshReport:
    run = fit_run(at=at, seed=seed)
    if run.state == SegmentationRun.State.FITTED:
        run = publish_run(run, at=at)
    # What came while it was fitted; all there was, where it waits for a person.
    folded = fold_news(at=at)
    run.refresh_from_db(fields=["quality"])
    thin_runs(at=at)
    return RefreshReport(scores, run, folded)


def _due(*, at: datetime) -> bool:
    """Is it time to sort everybody anew?"""
    run = _last_judged()
    if run is None or _given_up(run, at=at):
        return True
    judged_at = max(filter(None, (run.cut_off, run.published_at, run.declined_at)))
    much = max(REFIT_SHARE * run.customers, 1)
    return (
        at - judged_at >= REFIT_AFTER
        or abs(Customer.objects.count() - run.customers) >= much
        or news.since(run) >= much
    )


def _last_judged() -> SegmentationRun | None:
    """The run in use, or a later one that a person declined.

    Fitting what was declined once more, with nothing new to read, would only ask the
    same question again.
    """
    in_use = published_run()
    declined = SegmentationRun.objects.filter(
        state=SegmentationRun.State.DECLINED, pk__gt=in_use.pk if in_use else 0
    )
    return declined.first() or in_use


def _given_up(run: SegmentationRun, *, at: datetime) -> bool:
    """A later run was begun and never came into use: what it had read still counts."""
    return SegmentationRun.objects.filter(
        pk__gt=run.pk,
        state__in=[SegmentationRun.State.SORTING, SegmentationRun.State.FITTED],
        fitted_at__lt=at - GIVEN_UP_AFTER,
    ).exists()


def fit_run(*, at: datetime, seed: int = 0) -> SegmentationRun:
    """Fit a version: model, memberships and profiles' figures; not yet in use.

    Raises NothingToSort without customers.
    """
    if not Customer.objects.exists():
        raise NothingToSort("There are no customers yet: import a history first.")
    # Begun before anything is loaded: what is new from here on, this run has not read.
    run = SegmentationRun.objects.create(cut_off=at, segmenter=SEGMENTER, model={})
    news.sign(run)
    people = load_people()
    texts, habits = load_texts(people, at=at), load_habits(people, at=at)
    terms = Terms(float(settings.ANSWER_HOURS), cut_thirds(habits))
    deeds = load_deeds(people, at=at, terms=terms, habits=habits)
    before = published_run()
    previous = SegmentModel.from_json(before.model) if before else None
    model = fit_model(texts, deeds, seed=seed, previous=previous, terms=terms)
    sorting = sort_customers(
        people,
        texts,
        deeds,
        model,
        before=standing_in(before, people, at=at),
        rule=settle,
        at=at,
    )
    run.model, run.customers = model.to_json(), len(people.ids)
    run.quality = _quality(model, sorting)
    keep_measures(run, sorting.profiles, model)
    run.quality["drift"] = observed(texts, _named_sizes(sorting.settled), at=at)
    keep_mood_of_fit(texts, at=at)
    draw_map(
        run,
        people,
        sorting.profiles.composition,
        sorting.profiles.sums.texts > 0,
        sorting.settled.label,
        before=before,
    )
    run.save(update_fields=["model", "customers", "quality"])
    _write(run, sorting)
    refresh_statistics(Membership, EmotionProfile)
    later = next_moments(people, at=at)
    if later:
        news.put_off(run, later, due=min(later.values()))
    look_for_groups(Fit(run, people, texts, deeds, sorting.profiles, model), at=at)
    if Pin.objects.filter(ended_at=None).exists():
        place_by_hand(run, at=at)
        count_places(run)
        run.save(update_fields=["quality"])
    if before is not None:
        # What a person who has to approve it looks at.
        keep_counts(before, run, at=timezone.now())
    run.waits_because = _why_wait(run.quality) if before else ""
    waits = bool(run.waits_because)
    state = SegmentationRun.State.WAITING if waits else SegmentationRun.State.FITTED
    # One that took so long that a later run has replaced it stays replaced.
    SegmentationRun.objects.filter(
        pk=run.pk, state=SegmentationRun.State.SORTING
    ).update(state=state, waits_because=run.waits_because)
    run.refresh_from_db(fields=["state", "waits_because"])
    return run


def forget_inferences(customer: Customer, *, at: datetime) -> None:
    """Delete everything inferred of a customer; they are unknown from now on."""
    with transaction.atomic():
        EmotionScore.objects.filter(customer=customer).delete()
        Correction.objects.filter(interaction__customer=customer).delete()
        # SensitiveMatter stays: it holds no feeling, it only keeps marketing away.
        EmotionProfile.objects.filter(customer=customer).delete()
        unknown = Segment.objects.get(key="unknown")
        Membership.objects.filter(customer=customer).update(
            **nowhere(unknown, since=at)
        )
        # Where a person put them says what they feel as well as a reading does.
        Pin.objects.filter(customer=customer).delete()
        GroupMember.objects.filter(customer=customer).delete()
        MapDot.objects.filter(customer=customer).delete()
        SegmentChange.objects.filter(customer=customer).delete()
        # The next fold counts anew how many are in which segment.
        news.mark([customer.pk])


def _quality(model: SegmentModel, sorting: Sorting) -> dict[str, Any]:
    """Sizes, signatures and subtitles of a run, and how far it moved."""
    before, after = sorting.before.standing, sorting.settled
    sizes = np.bincount(after.label, minlength=len(LABELS))
    signatures = {}
    for position, key in enumerate(LABELS[:-2]):
        found = quality.signature(sorting.profiles.sums, after.label == position)
        if found is not None:
            signatures[key] = [[round(float(v), 4) for v in row] for row in found]
    return {
        "sizes": {key: int(size) for key, size in zip(LABELS, sizes, strict=True)},
        "signatures": signatures,
        "subtitles": {
            key: wording.subtitle(row, model.mix)
            for key, row in zip(LABELS[:-2], model.anchors, strict=True)
        },
        "renamed_share": round(
            quality.renamed_share(before.label, after.label, n_named=len(SEGMENTS)), 6
        ),
        "largest_shift": round(
            quality.largest_shift(before.label, after.label, n_named=len(SEGMENTS)), 6
        ),
        # Everybody's mean: a dominant family is one that stands out from it.
        "composition": sorting.usual.tolist(),
        "learned": model.learned,
        "kappa": round(model.kappa, 4),
    }


def _named_sizes(settled: Standing) -> list[int]:
    """Sizes of the seven segments, without those a person has placed."""
    sizes = np.bincount(settled.label, minlength=len(LABELS))[: len(SEGMENTS)]
    return [int(size) for size in sizes]


def _why_wait(figures: dict[str, Any]) -> str:
    reasons = []
    if figures["renamed_share"] > quality.RENAMED_MOST:
        reasons.append(
            f"{figures['renamed_share']:.0%} of customers would change segment"
        )
    if figures["largest_shift"] > quality.SHIFT_MOST:
        reasons.append(
            "a segment's share would move by "
            f"{100 * figures['largest_shift']:.0f} points"
        )
    return " and ".join(reasons).capitalize() + "." if reasons else ""


def _write(run: SegmentationRun, sorting: Sorting) -> None:
    """Places and profiles, a chunk of customers at a time.

    Who went or objected since they were loaded has none.
    """
    ids = sorting.people.ids
    for start in range(0, len(ids), CHUNK):
        rows = np.arange(start, min(len(ids), start + CHUNK))
        first, last = int(ids[rows[0]]), int(ids[rows[-1]])
        with transaction.atomic():
            there = lock_between(first, last)
            write_rows(Membership, places_of(sorting, rows, there).columns(run))
            # What was folded since this run began is newer than what it has read.
            newer = news.unread_between(run, first, last)
            write_profiles(
                sorting, rows, {pk: there[pk] for pk in there if pk not in newer}
            )
