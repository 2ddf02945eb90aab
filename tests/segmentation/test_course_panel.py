from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from customers.services import object_to_profiling
from segmentation import news
from segmentation.course_panel import MARKS_SHOWN, course_panel
from segmentation.folding import fold_news
from segmentation.frames import families_of
from segmentation.models import EmotionProfile, EmotionScore
from segmentation.services import refresh_segments

# Three on one day, of which two count, around noon; then quiet; then angry.
SAID = [(200, "trust"), (200.1, "joy"), (199.9, "joy"), (60, "trust"), (2, "anger")]
LATELY = [(4, "trust"), (4.1, "joy"), (3.9, "joy"), (2, "anger")]


@pytest.fixture
def now():
    return timezone.now() - timedelta(minutes=1)


@pytest.fixture
def people(shop, now):
    """Three who wrote, one who did not, all sorted."""
    eve, kim, tom, _ = people = shop.add(4)
    noon = now.replace(hour=12, minute=0, second=0) - timedelta(days=1)
    for who, texts in ((eve, SAID), (kim, LATELY)):
        for days, family in texts:
            shop.read(who, noon - timedelta(days=days), family=family)
    shop.read(tom, noon, family="joy")
    # As a reader that has an opinion of its own on how pleasant a text is.
    for score in EmotionScore.objects.all():
        score.valence = -0.6 if families_of(score.families)[0] > 0.5 else 0.5
        score.save(update_fields=["valence"])
    refresh_segments(at=now)
    return people


def shown(customer):
    return course_panel(None, customer)


@pytest.mark.parametrize("who", [0, 1])
def test_every_moment_has_the_figures_that_a_fold_then_wrote(people, who):
    eve = people[who]
    rows = shown(eve)["moments"]
    assert [row.known for row in rows] == [False] + [True] * (len(rows) - 1)
    for row in rows[1:]:
        news.mark([eve.pk])
        assert fold_news(at=row.at) == 1
        then = EmotionProfile.objects.get(customer=eve)
        assert row.evidence == pytest.approx(then.evidence, abs=1e-9)
        assert row.lasting == pytest.approx(then.valence, abs=1e-9)
        assert row.negativity == pytest.approx(then.negativity, abs=1e-9)
        # A profile keeps its shares as float32.
        assert row.shares == pytest.approx(families_of(then.composition), abs=1e-7)


def test_a_day_of_three_texts_counts_two(people):
    first_known = shown(people[1])["moments"][1]
    # At the end of that day: 9.6, 12 and 14.4 hours old, each two thirds.
    aged = sum(2 ** (-hours / 24 / 180) for hours in (9.6, 12, 14.4))
    assert first_known.evidence == pytest.approx(2 / 3 * aged, abs=2e-4)


def test_without_a_text_without_a_run_and_after_an_objection_there_is_no_card(
    shop, people, now
):
    eve, _, tom, silent = people
    assert shown(silent) is None
    object_to_profiling(eve, source="rang us", at=now)
    assert shown(eve) is None
    assert shown(tom)["texts"] == 1


def test_before_the_first_run_there_is_no_card(shop, now):
    ann = shop.add(1)[0]
    shop.read(ann, now)
    assert shown(ann) is None


def test_a_text_of_tomorrow_is_not_in_it(shop, people, now):
    tom = people[2]
    shop.read(tom, now + timedelta(hours=20), family="anger")
    assert shown(tom)["texts"] == 1


def test_many_texts_cost_no_more_queries_and_no_more_marks(
    shop, people, now, django_assert_num_queries
):
    tom = people[2]
    with django_assert_num_queries(3):
        shown(tom)
    for hours in range(60):
        shop.read(tom, now - timedelta(hours=20 * hours), family="joy")
    with django_assert_num_queries(3):
        found = shown(tom)
    assert (len(found["marks"]), found["marks_left_out"]) == (MARKS_SHOWN, 21)
    assert len(found["moments"]) <= 28


def test_marks_stand_at_their_text_and_all_is_told_in_words(admin_client, people):
    mark = shown(people[0])["marks"][-1]
    # Valence -0.6 is 80 per cent from the top.
    assert (mark.family, mark.top) == ("anger", pytest.approx(80))
    address = reverse("admin:customers_customer_change", args=[people[0].pk])
    text = admin_client.get(address).content.decode()
    assert "Profile over time" in text
    assert "Show shares as a table" in text
    assert "no text yet: as everyone" in text
    label = text.split('class="course gap" role="img" aria-label="')[1].split('"')[0]
    assert label.startswith("Lasting +0.")


def test_shares_of_every_moment_fill_the_picture(people):
    for row in shown(people[0])["moments"]:
        assert np.sum(row.shares) == pytest.approx(1)
