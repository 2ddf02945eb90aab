"""What must hold of a shop at rest, whatever happened before: for tests, by path."""

from collections import Counter, defaultdict
from datetime import UTC

import numpy as np
import pytest

from customers.models import Customer
from segmentation.checking import check_profiles
from segmentation.folding import fold_news
from segmentation.models import (
    EmotionProfile,
    EmotionScore,
    Membership,
    News,
    SegmentationRun,
    SegmentChange,
)

HALF_LIFE, CAP = 180.0, 2.0


def assert_sound(at):
    """One run in use, everybody in one place of it, figures and history that fit."""
    fold_news(at=at)
    run = SegmentationRun.objects.get(state="published")
    places = {
        place.customer_id: place
        for place in Membership.objects.filter(run=run).select_related("segment")
    }
    assert set(places) == set(Customer.objects.values_list("pk", flat=True))
    counted = Counter(place.segment.key for place in places.values())
    sizes = {key: n for key, n in run.quality["sizes"].items() if n}
    assert sizes == counted
    assert not News.objects.filter(waiting=True, due=None).exists()
    assert_history_leads_to(places)
    assert check_profiles(at=at).differ == []
    assert_profiles_are_those_of_the_texts()


def assert_history_leads_to(places):
    stands = {}
    for change in SegmentChange.objects.order_by("pk"):
        # Of whoever objected once, the first lines are deleted.
        came_from = stands.get(change.customer_id, change.from_segment_id)
        assert change.from_segment_id == came_from
        stands[change.customer_id] = change.to_segment_id
    for pk, segment in stands.items():
        assert places[pk].segment_id == segment


def assert_profiles_are_those_of_the_texts():
    """By another way than the code's: text by text, in plain Python."""
    texts = defaultdict(list)
    for score in EmotionScore.objects.exclude(families=b"").filter(
        customer__profiling_objected_at=None
    ):
        texts[score.customer_id].append(score)
    profiles = {one.customer_id: one for one in EmotionProfile.objects.all()}
    for pk, profile in profiles.items():
        kept = [one for one in texts[pk] if one.occurred_at <= profile.as_of]
        days = Counter()
        for one in kept:
            days[one.occurred_at.astimezone(UTC).date()] += one.weight
        weight, families = 0.0, np.zeros(9)
        for one in kept:
            day = days[one.occurred_at.astimezone(UTC).date()]
            age = (profile.as_of - one.occurred_at).total_seconds() / 86_400
            counts = one.weight * min(1, CAP / day) * 2 ** (-age / HALF_LIFE)
            weight += counts
            families += counts * np.frombuffer(bytes(one.families), "<f4").astype(float)
        state = np.frombuffer(bytes(profile.state), "<f8")
        assert state[0] == pytest.approx(weight, rel=1e-9)
        assert state[7:16] == pytest.approx(families, rel=1e-9)
        assert profile.texts == len(kept)
    assert {pk for pk, some in texts.items() if some} == set(profiles)
