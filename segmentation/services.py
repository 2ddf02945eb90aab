"""Read, fold, fit, publish: the decisions between interactions and segments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models.functions import Coalesce

from customers.models import Customer
from segmentation.clustering import quality, wording
from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.hysteresis import Standing, settle
from segmentation.clustering.model import (
    LABELS,
    UNKNOWN_LABEL,
    Assignment,
    ProfileTable,
    SegmentModel,
    assign,
    fit_model,
    profile_customers,
)
from segmentation.corrections import changed_since
from segmentation.diagnosing import carry_out_open_diagnoses
from segmentation.drift_watch import observed
from segmentation.emotion.families import FAMILIES
from segmentation.errors import NothingToSort
from segmentation.frames import (
    FAMILY_PACKED,
    SECONDS_A_DAY,
    People,
    load_deeds,
    load_people,
    load_texts,
    pack_sums,
)
from segmentation.groups import Fit, look_for_groups
from segmentation.history import finish_publications
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
from segmentation.pins import end_expired_pins, place_by_hand
from segmentation.places import count_places, nowhere
from segmentation.profile.events import IntArray, Texts
from segmentation.publishing import carry_out_open, publish_run
from segmentation.scoring import (
    Progress,
    ScoreReport,
    outdated,
    score_interactions,
    unscored,
)

# Rows a transaction: the writer is free in between.
CHUNK = 5000
SEGMENTER = "anchored"
# Longer than the timetable lets a refresh take.
GIVEN_UP_AFTER = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What one refresh did."""

    scores: ScoreReport
    run: SegmentationRun

    def __str__(self) -> str:
        sizes = self.run.quality.get("sizes", {})
        words = ", ".join(f"{size:,} {key}" for key, size in sizes.items() if size)
        state = "" if self.run.state == "published" else f" ({self.run.waits_because})"
        return (
            f"{self.scores.read:,} texts read, {self.scores.not_read:,} not read; "
            f"{self.run.customers:,} customers: {words}{state}"
        )


def published_run() -> SegmentationRun | None:
    """The run in use."""
    return SegmentationRun.objects.filter(state=SegmentationRun.State.PUBLISHED).first()


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
    """Score what is new, fold, fit, and publish unless it needs approval.

    at: the cut-off; later interactions do not count.
    """
    scores = score_interactions(workers=workers, progress=progress)
    run = fit_run(at=at, seed=seed)
    if run.state == SegmentationRun.State.FITTED:
        run = publish_run(run, at=at)
    thin_runs(at=at)
    return RefreshReport(scores, run)


def refresh_if_needed(*, at: datetime) -> RefreshReport | None:
    """Refresh when there is something to read, or customers nobody has sorted yet.

    What a crash left half done is finished first.
    """
    finish_publications()
    carry_out_open(at=at)
    end_expired_pins(at=at)
    thin_runs(at=at)
    carry_out_open_diagnoses(at=at)
    run = _last_judged()
    sorted_already = run is not None and run.customers == Customer.objects.count()
    waiting = SegmentationRun.objects.filter(state=SegmentationRun.State.WAITING)
    if not Customer.objects.exists():
        return None
    if waiting.exists():  # reading goes on while a person decides
        score_interactions()
        return None
    news = unscored().exists() or outdated().exists()
    if (
        run
        and sorted_already
        and not news
        and not changed_since(run.fitted_at)
        and not _given_up(run, at=at)
    ):
        return None
    return refresh_segments(at=at)


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
    people = load_people()
    if not len(people.ids):
        raise NothingToSort("There are no customers yet: import a history first.")
    texts, deeds = load_texts(people, at=at), load_deeds(people, at=at)
    before = published_run()
    previous = SegmentModel.from_json(before.model) if before else None
    model = fit_model(texts, deeds, seed=seed, previous=previous)
    profiles = profile_customers(texts, deeds, model)
    found = assign(profiles, model, objected=people.objected)
    standing = _standing(people, before, at=at)
    settled = settle(found, standing)
    run = SegmentationRun.objects.create(
        cut_off=at,
        segmenter=SEGMENTER,
        model=model.to_json(),
        customers=len(people.ids),
        quality=_quality(model, profiles, standing, settled)
        | {"drift": observed(texts, _named_sizes(settled), at=at)},
    )
    _write_memberships(run, people, profiles, found, settled, at=at)
    _write_profiles(people, profiles, texts, at=at)
    draw_map(
        run,
        people,
        profiles.composition,
        profiles.sums.texts > 0,
        settled.label,
        before=before,
    )
    run.save(update_fields=["quality"])
    look_for_groups(Fit(run, people, texts, deeds, profiles, model), at=at)
    if Pin.objects.filter(ended_at=None).exists():
        place_by_hand(run, at=at)
        count_places(run)
        run.save(update_fields=["quality"])
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


def _standing(
    people: People, before: SegmentationRun | None, *, at: datetime
) -> Standing:
    n = len(people.ids)
    label = np.full(n, -1, np.int64)
    days, ahead = np.zeros(n), np.zeros(n, np.int64)
    if before is not None:
        index = {key: position for position, key in enumerate(LABELS)}
        rows = (
            Membership.objects.filter(run=before)
            .order_by("customer_id")
            # Where the run itself had them: a pin is no reading to hold on to.
            .values_list(
                "customer_id",
                Coalesce("run_segment__key", "segment__key"),
                "since",
                "ahead_in_a_row",
            )
        )
        for customer, key, since, in_a_row in rows.iterator(chunk_size=20_000):
            row = int(np.searchsorted(people.ids, customer))
            label[row] = index[key]
            days[row] = max(0.0, (at - since).total_seconds() / SECONDS_A_DAY)
            ahead[row] = in_a_row
    return Standing(label, days, ahead)


def _quality(
    model: SegmentModel, profiles: ProfileTable, before: Standing, after: Standing
) -> dict[str, Any]:
    """Sizes, signatures and subtitles of a run, and how far it moved."""
    sizes = np.bincount(after.label, minlength=len(LABELS))
    signatures = {}
    for position, key in enumerate(LABELS[:-2]):
        found = quality.signature(profiles.sums, after.label == position)
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


def _write_memberships(
    run: SegmentationRun,
    people: People,
    profiles: ProfileTable,
    found: Assignment,
    settled: Standing,
    *,
    at: datetime,
) -> None:
    segment_ids = dict(Segment.objects.values_list("key", "pk"))
    label_ids = [segment_ids[key] for key in LABELS]
    since = dict(
        Membership.objects.filter(
            run__state=SegmentationRun.State.PUBLISHED
        ).values_list("customer_id", "since")
    )
    everyone = np.arange(len(people.ids))
    own = _own_probability(found, settled.label)
    rival = _rivals(found, settled.label)
    rival_probability = found.posterior[everyone, rival]
    known = settled.label != UNKNOWN_LABEL
    for rows in _chunks(len(people.ids)):
        Membership.objects.bulk_create(
            Membership(
                run=run,
                customer_id=int(people.ids[row]),
                segment_id=label_ids[settled.label[row]],
                probability=float(own[row]) if known[row] else 0.0,
                next_best_id=label_ids[rival[row]] if known[row] else None,
                next_probability=float(rival_probability[row]) if known[row] else 0.0,
                evidence=float(profiles.sums.weight[row]),
                since=since.get(int(people.ids[row]), at) if settled.days[row] else at,
                ahead_in_a_row=int(settled.ahead[row]),
            )
            for row in rows
        )


def _own_probability(found: Assignment, label: IntArray) -> Any:
    """The probability of where a customer is kept, which may not be the best one."""
    rows = np.arange(len(label))
    named = label < len(LABELS) - 2
    return np.where(
        named, found.posterior[rows, np.where(named, label, 0)], found.probability
    )


def _rivals(found: Assignment, label: IntArray) -> IntArray:
    """The likeliest of the seven that a customer is not in."""
    order = np.argsort(-found.posterior, axis=1, kind="stable")
    rivals: IntArray = np.where(order[:, 0] != label, order[:, 0], order[:, 1])
    return rivals


def _write_profiles(
    people: People, profiles: ProfileTable, texts: Texts, *, at: datetime
) -> None:
    youngest = np.full(len(people.ids), np.inf)
    np.minimum.at(youngest, texts.customer, texts.age_days)
    fields = [
        "as_of",
        "state",
        "texts",
        "last_text_at",
        "evidence",
        "valence",
        "composition",
        "negativity",
        "dominant_family",
    ]
    strongest = (profiles.composition / profiles.composition.mean(axis=0)).argmax(1)
    for rows in _chunks(len(people.ids)):
        EmotionProfile.objects.bulk_create(
            (
                EmotionProfile(
                    customer_id=int(people.ids[row]),
                    as_of=at,
                    state=pack_sums(profiles.sums, row),
                    texts=int(profiles.sums.texts[row]),
                    last_text_at=at - timedelta(days=float(youngest[row])),
                    evidence=float(profiles.sums.weight[row]),
                    valence=float(profiles.valence[row]),
                    composition=profiles.composition[row]
                    .astype(FAMILY_PACKED)
                    .tobytes(),
                    negativity=float(profiles.negativity[row]),
                    dominant_family=FAMILIES[int(strongest[row])],
                )
                for row in rows
                # Nothing is kept of those who said nothing, or objected.
                if profiles.sums.texts[row] and not people.objected[row]
            ),
            update_conflicts=True,
            unique_fields=["customer"],
            update_fields=fields,
        )


def _chunks(n: int) -> Iterator[range]:
    for start in range(0, n, CHUNK):
        yield range(start, min(n, start + CHUNK))
