from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from customers.merging import merge_customers
from customers.services import object_to_profiling, record_interactions
from customers.sources.rows import InteractionRow
from segmentation.clustering.model import SegmentModel
from segmentation.deeds import load_deeds, load_habits, tell_deeds
from segmentation.folding import fold_news
from segmentation.frames import load_people
from segmentation.models import Membership, News
from segmentation.profile.behaviour import DEEDS, Terms
from segmentation.profile.habits import Thirds
from segmentation.services import memberships_of, published_run, refresh_segments
from segmentation.why import explain

TWO_DAYS = Terms(answer_hours=48.0)
THIRDS = Terms(answer_hours=48.0, thirds=Thirds(low_most=0.4, high_least=1.5))
NAMES = list(DEEDS)


@pytest.fixture
def did(shop, at):
    """Records what a customer did, so many days ago."""

    def record(customer, days_ago, kind, **more):
        moment = at - timedelta(days=days_ago)
        row = InteractionRow(customer.external_id, customer.email, moment, kind, **more)
        record_interactions([row], source="test", at=at)
        return row

    return record


def names(people, at, terms=THIRDS):
    return [NAMES[code] for code in load_deeds(people, at=at, terms=terms).code]


def test_a_ticket_answered_past_what_is_promised_is_a_late_answer(shop, did, at):
    (ann,) = shop.add(1)
    did(ann, 20, "ticket", key="late", answered_at=at - timedelta(days=17))
    did(ann, 10, "ticket", key="soon", answered_at=at - timedelta(days=9))
    did(ann, 5, "ticket", key="open")
    found = load_deeds(load_people(), at=at, terms=TWO_DAYS)
    assert [NAMES[code] for code in found.code] == ["late answer"]
    # It is as old as the answer.
    assert found.age_days == pytest.approx([17.0])


def test_a_rating_says_more_than_the_late_answer_it_came_with(shop, did, at):
    (ann,) = shop.add(1)
    answered = at - timedelta(days=3)
    did(ann, 20, "ticket", rating=5, answered_at=answered)
    assert names(load_people(), at, TWO_DAYS) == ["high rating"]


def test_an_answer_of_tomorrows_clock_is_not_late_yet(shop, did, at):
    (ann,) = shop.add(1)
    did(ann, 5, "ticket", answered_at=at + timedelta(hours=3))
    assert names(load_people(), at, TWO_DAYS) == []
    assert names(load_people(), at + timedelta(hours=4), TWO_DAYS) == ["late answer"]


def test_habits_are_what_was_done_in_half_a_year_and_not_what_was_opened_or_asked(
    shop, did, at
):
    ann, ben = shop.add(2)
    for days_ago, kind in ((200, "order"), (150, "order"), (20, "visit"), (5, "reply")):
        did(ann, days_ago, kind)
    did(ben, 90, "ticket")
    found = load_habits(load_people(), at=at)
    assert found.times.tolist() == [3.0, 0.0]
    assert found.known_days == pytest.approx([180.0, 90.0])
    assert names(load_people(), at) == ["middling engagement", "low engagement"]


def test_of_who_objected_nothing_is_counted(shop, did, at):
    (ann,) = shop.add(1)
    for days_ago in range(1, 100):
        did(ann, days_ago, "visit")
    object_to_profiling(ann, source="test", at=at)
    assert names(load_people(), at) == []
    assert load_habits(load_people(), at=at).known_days.tolist() == [0.0]


def test_of_few_people_the_same_is_found_as_of_all(shop, did, at):
    ann, ben, cat = shop.add(3)
    did(ann, 100, "order")
    did(ben, 100, "survey", rating=1)
    did(cat, 70, "return")
    everybody, only = load_people(), load_people([ben.pk, cat.pk])
    whole = load_deeds(everybody, at=at, terms=THIRDS)
    part = load_deeds(only, at=at, terms=THIRDS)
    theirs = np.isin(everybody.ids[whole.customer], only.ids)
    assert part.code.tolist() == whole.code[theirs].tolist()
    assert part.age_days == pytest.approx(whole.age_days[theirs])


def test_deeds_are_told_in_the_order_they_are_loaded(shop, did, at):
    (ann,) = shop.add(1)
    did(ann, 80, "ticket", answered_at=at - timedelta(days=60))
    did(ann, 70, "return")
    did(ann, 90, "survey", rating=3)
    found = load_deeds(load_people(), at=at, terms=THIRDS)
    told = list(tell_deeds(load_people(), at=at, terms=THIRDS))
    assert [one.words for one in told] == [DEEDS[NAMES[c]].words for c in found.code]
    ages = [(at - one.moment) / timedelta(days=1) for one in told]
    assert ages == pytest.approx(found.age_days.tolist())


@pytest.fixture
def lively_shop(shop, at):
    """120 customers in trust or to the point; every third never comes by."""
    people = shop.add(120)
    shop.read_all(
        (one, at - timedelta(days=days_ago), "neutral" if n % 2 else "trust")
        for n, one in enumerate(people)
        for days_ago in (70, 30, 10)
    )
    visits = [
        InteractionRow(
            one.external_id, one.email, at - timedelta(days=3 + 5 * visit), "visit"
        )
        for n, one in enumerate(people)
        for visit in range(n % 3 * 4)
    ]
    record_interactions(visits, source="test", at=at)
    refresh_segments(at=at)
    return people


def reasons(customer):
    return explain(memberships_of([customer.pk])[customer.pk])


def test_a_run_keeps_where_its_thirds_were_cut_and_a_fold_goes_by_them(
    lively_shop, did, at
):
    model = SegmentModel.from_json(published_run().model)
    assert (model.terms.thirds.low_most, model.terms.answer_hours) == (0.0, 48.0)
    idle = lively_shop[3]
    before = reasons(idle).total
    for days_ago in range(1, 30):
        did(idle, days_ago, "visit")
    fold_news(at=at)
    assert reasons(idle).total != pytest.approx(before)
    assert not reasons(idle).indifferent


def test_indifferent_is_who_writes_to_the_point_and_never_comes(lively_shop):
    found = {
        place.customer_id: explain(place).indifferent
        for place in Membership.objects.filter(segment__key__in=["neutral", "trusting"])
    }
    neutral_idle, neutral_busy, trusting_idle = lively_shop[3], lively_shop[5], 6
    assert found[neutral_idle.pk]
    assert not found[neutral_busy.pk]
    assert not found[lively_shop[trusting_idle].pk]


def test_who_never_wrote_is_not_called_indifferent(lively_shop, did, shop, at):
    (ann,) = shop.add(1)
    for days_ago in (90, 60, 30, 1):
        did(ann, days_ago, "survey", rating=3)
    refresh_segments(at=at)
    place = memberships_of([ann.pk])[ann.pk]
    assert place.segment.key == "neutral"
    assert not explain(place).indifferent


def test_whoever_only_clicks_stays_unknown(lively_shop, shop, did, at):
    (ann,) = shop.add(1)
    for days_ago in range(1, 100):
        did(ann, days_ago, "visit")
    refresh_segments(at=at)
    assert memberships_of([ann.pk])[ann.pk].segment.key == "unknown"


def test_reasons_with_habits_add_up_to_what_is_kept(lively_shop, did, at):
    for one in lively_shop[:10]:
        did(one, 1, "order")
    fold_news(at=at)
    model = SegmentModel.from_json(published_run().model)
    for one in lively_shop[:12]:
        place = memberships_of([one.pk])[one.pk]
        found = explain(place)
        parts = sum(reason.part for reason in found.reasons) + found.others
        assert parts == pytest.approx(found.total, abs=1e-9)
        # The odds of the segment against the next best, by their totals.
        key, rival = place.segment.key, place.next_best.key
        shares = dict(
            zip(
                (
                    "frustrated",
                    "anxious",
                    "disappointed",
                    "excited",
                    "trusting",
                    "questioning",
                    "neutral",
                ),
                model.shares,
                strict=True,
            )
        )
        place.segment, place.next_best = place.next_best, place.segment
        theirs = explain(place).total
        odds = np.exp(found.total - theirs) * shares[key] / shares[rival]
        kept = place.probability / place.next_probability
        assert odds == pytest.approx(kept, rel=1e-6)


def test_what_two_customers_did_is_counted_as_one_once_they_are_merged(
    lively_shop, did, at, admin_user
):
    kept, twin = lively_shop[0], lively_shop[2]
    merge_customers(kept, twin, by=admin_user, at=at)
    fold_news(at=at)
    assert load_habits(load_people([kept.pk]), at=at).times.tolist() == [8.0]


def test_an_answer_is_filled_in_once_and_never_changed(shop, did, at):
    (ann,) = shop.add(1)
    asked = did(ann, 9, "ticket", key="T1")
    first, second = at - timedelta(days=2), at - timedelta(days=1)
    for answered in (first, second):
        again = replace(asked, answered_at=answered)
        record_interactions([again], source="test", at=at)
    assert ann.interactions.get().answered_at == first


def test_a_merge_keeps_the_answer_that_one_of_the_two_had(shop, did, at, admin_user):
    ann, twin = shop.add(2)
    answered = at - timedelta(days=2)
    did(ann, 9, "ticket", key="T1")
    did(twin, 9, "ticket", key="T1", answered_at=answered)
    merge_customers(ann, twin, by=admin_user, at=at)
    assert ann.interactions.get().answered_at == answered


def test_an_answer_known_already_is_no_news(shop, did, at):
    (ann,) = shop.add(1)
    asked = did(ann, 9, "ticket", key="T1", answered_at=at, text="Hello?")
    News.objects.all().delete()
    record_interactions([asked], source="again", at=at)
    assert not News.objects.exists()
