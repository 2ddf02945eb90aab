"""Random streams of events in any order, against the sum over all texts."""

from datetime import timedelta
from random import Random

import pytest

from customers.merging import merge_customers
from customers.models import Interaction
from customers.services import (
    allow_profiling,
    object_to_profiling,
    remove_interactions,
)
from segmentation.corrections import correct_reading
from segmentation.emotion.families import FAMILIES
from segmentation.folding import fold_news
from segmentation.models import EmotionScore, SegmentationRun
from segmentation.publishing import publish_run, roll_back_to
from segmentation.services import fit_run, refresh_segments

EVENTS = 60


class Stream:
    """Things that happen to a shop, chosen by a seed; time goes on between them."""

    def __init__(self, shop, at, by, seed):
        self.shop, self.at, self.by, self.random = shop, at, by, Random(seed)
        self.people = shop.add(6)
        for person in self.people:
            shop.read(person, at - timedelta(days=3))
        refresh_segments(at=at)

    def happen(self):
        self.at += timedelta(hours=self.random.choice([0, 1, 7, 30, 400]))
        self.random.choice(
            [self.text] * 8
            + [self.correction, self.deletion, self.objection, self.newcomer]
            + [self.merge]
            + [self.fold] * 3
            + [self.run, self.way_back]
        )()

    def anybody(self):
        person = self.random.choice(self.people)
        person.refresh_from_db()
        return person

    def text(self):
        """Of now, late, of the same day as others, or of tomorrow."""
        person = self.anybody()
        if person.profiling_objected_at is None:
            ago = self.random.choice([0, 0.1, 0.2, 1, 1.05, 40, 300, -0.9])
            family = self.random.choice(FAMILIES)
            weight = self.random.choice([1, 0.9, 0.3])
            when = self.at - timedelta(days=ago)
            self.shop.read(person, when, family=family, weight=weight)

    def some_text(self):
        scores = list(EmotionScore.objects.order_by("pk"))
        return self.random.choice(scores).interaction if scores else None

    def correction(self):
        if text := self.some_text():
            family = self.random.choice(FAMILIES)
            correct_reading(text, family=family, by=self.by, at=self.at)

    def deletion(self):
        if text := self.some_text():
            remove_interactions(Interaction.objects.filter(pk=text.pk))

    def objection(self):
        person = self.anybody()
        if person.profiling_objected_at is None:
            object_to_profiling(person, source="test", at=self.at)
        else:
            allow_profiling(person, source="test", at=self.at)

    def newcomer(self):
        self.people += self.shop.add(1)

    def merge(self):
        if len(self.people) > 2:
            kept, other = self.random.sample(self.people, 2)
            merge_customers(kept, other, by=self.by, at=self.at)
            self.people.remove(other)

    def fold(self):
        fold_news(at=self.at)

    def run(self):
        run = fit_run(at=self.at)
        self.text()
        publish_run(run, at=self.at, approved_by=self.by)

    def way_back(self):
        earlier = SegmentationRun.objects.filter(state="superseded").first()
        if earlier:
            roll_back_to(earlier, at=self.at, by=self.by)


@pytest.mark.parametrize("seed", range(6))
def test_any_stream_of_events_ends_where_a_full_recomputation_does(
    shop, at, admin_user, soundness, seed
):
    stream = Stream(shop, at, admin_user, seed)
    for _ in range(EVENTS):
        stream.happen()
    soundness.assert_sound(stream.at + timedelta(days=1))


def test_the_order_in_which_texts_come_changes_nothing(shop, at):
    ann, ben = shop.add(2)
    refresh_segments(at=at)
    ages = [1, 1, 1, 2, 5, 40, 40, 300]
    for age in ages:
        shop.read(ann, at - timedelta(days=age))
        fold_news(at=at + timedelta(days=1))
    for age in reversed(ages):
        shop.read(ben, at - timedelta(days=age))
    fold_news(at=at + timedelta(days=1))
    one, other = ann.emotion_profile, ben.emotion_profile
    assert bytes(one.state) == bytes(other.state)
