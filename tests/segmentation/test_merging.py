from datetime import timedelta

import pytest

from customers.merging import merge_customers
from customers.models import Interaction
from customers.services import object_to_profiling
from segmentation.corrections import correct_reading
from segmentation.folding import fold_news
from segmentation.models import (
    EmotionProfile,
    EmotionScore,
    Pin,
    Segment,
    SegmentChange,
    SensitiveMatter,
)
from segmentation.pins import pin_customer
from segmentation.services import memberships_of, published_run, refresh_segments

DAY = timedelta(days=1)


@pytest.fixture
def two(shop, at):
    """Two with three texts and one, of the last the same, beside a third customer."""
    ann, anna, ben = shop.add(3)
    for days in (3, 20, 100):
        shop.read(ann, at - days * DAY)
    shop.read(anna, at - 5 * DAY, family="anger")
    shop.read(ben, at - 5 * DAY)
    refresh_segments(at=at)
    return ann, anna


def twins(shop, ann, anna, when):
    """A text that both have, of the same kind and key."""
    ours, theirs = shop.read(ann, when), shop.read(anna, when)
    Interaction.objects.filter(pk=theirs.interaction_id).update(key="twin")
    Interaction.objects.filter(pk=ours.interaction_id).update(key="twin")
    return ours.interaction, theirs.interaction


def merge(ann, anna, at, by=None):
    merge_customers(ann, anna, by=by, at=at)
    fold_news(at=at)


def test_the_profile_of_the_one_is_the_union_of_both(two, at, soundness):
    ann, anna = two
    merge(ann, anna, at + DAY)
    assert EmotionProfile.objects.get(customer=ann).texts == 4
    assert EmotionScore.objects.filter(customer=ann).count() == 4
    soundness.assert_sound(at + DAY)
    assert sum(published_run().quality["sizes"].values()) == 2


def test_a_text_that_both_had_counts_once(two, shop, at, soundness):
    ann, anna = two
    twins(shop, ann, anna, at)
    merge(ann, anna, at + DAY)
    assert EmotionProfile.objects.get(customer=ann).texts == 5
    soundness.assert_sound(at + DAY)


def test_a_persons_word_on_such_a_text_is_kept(two, shop, at, admin_user):
    ann, anna = two
    ours, theirs = twins(shop, ann, anna, at)
    correct_reading(theirs, family="joy", by=admin_user, at=at)
    merge(ann, anna, at + DAY)
    score = EmotionScore.objects.get(interaction=ours)
    assert (score.corrected, score.customer) == (True, ann)
    assert ours.corrections.get().family == "joy"


def test_marketing_stays_away_until_both_matters_are_cleared(two, shop, at):
    ann, anna = two
    ours, theirs = twins(shop, ann, anna, at)
    for text, cleared in ((ours, at), (theirs, None)):
        SensitiveMatter.objects.create(
            interaction=text, customer=text.customer, occurred_at=at, cleared_at=cleared
        )
    merge(ann, anna, at + DAY)
    matter = SensitiveMatter.objects.get()
    assert (matter.customer, matter.cleared_at) == (ann, None)


def test_an_objection_of_either_leaves_nothing_inferred(two, at):
    ann, anna = two
    object_to_profiling(anna, source="test", at=at)
    merge(ann, anna, at + DAY)
    assert not EmotionScore.objects.filter(customer=ann).exists()
    assert not EmotionProfile.objects.filter(customer=ann).exists()
    assert not SegmentChange.objects.filter(customer=ann).exists()
    assert memberships_of([ann.pk])[ann.pk].segment.key == "unknown"


def test_a_pin_of_the_other_places_the_kept_one(two, at, admin_user, soundness):
    ann, anna = two
    mixed = Segment.objects.get(key="mixed")
    pin_customer(anna, segment=mixed, reason="asked", by=admin_user, at=at)
    merge(ann, anna, at + DAY)
    assert memberships_of([ann.pk])[ann.pk].segment == mixed
    assert memberships_of([ann.pk])[ann.pk].run_segment is not None
    soundness.assert_sound(at + DAY)


def test_of_two_pins_that_of_the_kept_one_stands(two, at, admin_user):
    ann, anna = two
    for person, key in ((ann, "mixed"), (anna, "joy")):
        segment = Segment.objects.get(key="excited" if key == "joy" else key)
        pin_customer(person, segment=segment, reason="asked", by=admin_user, at=at)
    merge(ann, anna, at + DAY, by=admin_user)
    assert Pin.objects.get(ended_at=None).segment.key == "mixed"
    assert Pin.objects.get(ended="replaced").customer == ann
