from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from customers.models import Consent, Interaction
from customers.services import (
    allow_profiling,
    object_to_profiling,
    record_interactions,
    remove_interactions,
)
from customers.sources.rows import InteractionRow
from segmentation import folding, news, services
from segmentation.checking import check_profiles
from segmentation.corrections import correct_reading, withdraw_correction
from segmentation.exports import changes_as_csv
from segmentation.folding import fold_news
from segmentation.history import stays_of
from segmentation.models import (
    EmotionProfile,
    News,
    Segment,
    SegmentationRun,
    SegmentChange,
)
from segmentation.pins import pin_customer
from segmentation.publishing import publish_run
from segmentation.services import (
    fit_run,
    memberships_of,
    published_run,
    refresh_if_needed,
    refresh_segments,
)
from segmentation.why import explain

DAY = timedelta(days=1)


@pytest.fixture
def sorted_shop(shop, at):
    """Thirty customers with three texts each, sorted; nothing new."""
    people = shop.add(30)
    shop.read_all(
        (person, at - back * DAY, ("trust", "anger", "anxiety")[n % 3])
        for n, person in enumerate(people)
        for back in (5, 40, 90)
    )
    refresh_segments(at=at)
    return people


def place(customer):
    return memberships_of([customer.pk])[customer.pk]


def waiting():
    return set(News.objects.filter(waiting=True).values_list("pk", flat=True))


def test_a_run_leaves_no_news_behind(sorted_shop):
    assert not News.objects.exists()


def test_only_who_has_news_is_folded(sorted_shop, shop, at):
    ann, ben = sorted_shop[:2]
    kept = EmotionProfile.objects.get(customer=ben)
    shop.read(ann, at + DAY)
    assert fold_news(at=at + 2 * DAY) == 1
    assert EmotionProfile.objects.get(customer=ann).texts == 4
    assert EmotionProfile.objects.get(customer=ann).as_of == at + 2 * DAY
    assert EmotionProfile.objects.get(customer=ben).as_of == kept.as_of
    assert fold_news(at=at + 2 * DAY) == 0
    assert check_profiles(at=at + 3 * DAY).differ == []


def test_what_is_folded_is_what_the_next_run_would_keep(sorted_shop, shop, at):
    ann = sorted_shop[0]
    shop.read(ann, at - 20 * DAY, family="joy")
    fold_news(at=at + DAY)
    folded = EmotionProfile.objects.get(customer=ann)
    fit_run(at=at + DAY)
    fitted = EmotionProfile.objects.get(customer=ann)
    assert bytes(folded.state) == bytes(fitted.state)
    assert folded.last_text_at == fitted.last_text_at


def test_who_is_clearly_elsewhere_moves_with_the_news_and_it_is_told(
    sorted_shop, shop, at
):
    ann = sorted_shop[0]
    before = place(ann).segment
    for hours in range(8):
        shop.read(ann, at + hours * DAY, family="anger")
    fold_news(at=at + 9 * DAY)
    after = place(ann)
    assert (before.key, after.segment.key) == ("trusting", "frustrated")
    assert (after.since, after.folded_at) == (at + 9 * DAY, at + 9 * DAY)
    change = SegmentChange.objects.filter(customer=ann).first()
    assert (change.from_segment, change.publication) == (before, None)
    assert [stay.by_hand for stay in stays_of(ann)] == [False, False]
    assert "".join(changes_as_csv()).count(",yes") == 0
    sizes = published_run().quality["sizes"]
    assert (sizes["trusting"], sizes["frustrated"]) == (9, 11)


def test_why_is_told_as_of_the_news(sorted_shop, shop, at):
    ann = sorted_shop[0]
    shop.read(ann, at + DAY)
    fold_news(at=at + 2 * DAY)
    assert explain(place(ann)).texts == 4


def test_who_joined_gets_a_place_and_the_figures_say_so(sorted_shop, shop, at):
    eve, fay = shop.add(2)
    shop.read(eve, at + DAY, family="anger")
    assert fold_news(at=at + 2 * DAY) == 2
    assert place(fay).segment.key == "unknown"
    assert sum(published_run().quality["sizes"].values()) == 32
    assert SegmentChange.objects.get(customer=eve).from_segment is None


def test_a_pin_stays_and_the_reading_beside_it_is_new(
    sorted_shop, shop, at, admin_user
):
    ann = sorted_shop[0]
    mixed = Segment.objects.get(key="mixed")
    pin_customer(ann, segment=mixed, reason="asked", by=admin_user, at=at)
    for n in range(8):
        shop.read(ann, at + n * DAY, family="anger")
    fold_news(at=at + 9 * DAY)
    assert (place(ann).segment, place(ann).run_segment.key) == (mixed, "frustrated")
    assert published_run().quality["by_hand"]["mixed"] == 1
    assert published_run().quality["sizes"]["mixed"] == 1
    assert SegmentChange.objects.filter(customer=ann).count() == 2


def test_a_text_of_tomorrow_is_folded_tomorrow(sorted_shop, shop, at):
    ann = sorted_shop[0]
    shop.read(ann, at + DAY)
    assert fold_news(at=at) == 1
    assert EmotionProfile.objects.get(customer=ann).texts == 3
    assert fold_news(at=at) == 0
    assert fold_news(at=at + DAY) == 1
    assert EmotionProfile.objects.get(customer=ann).texts == 4


def test_what_lies_after_a_cut_off_is_folded_once_it_is_due(sorted_shop, shop, at):
    ann = sorted_shop[0]
    shop.read(ann, at + DAY)
    refresh_segments(at=at + timedelta(hours=1))
    assert EmotionProfile.objects.get(customer=ann).texts == 3
    assert fold_news(at=at + 2 * DAY) == 1
    assert EmotionProfile.objects.get(customer=ann).texts == 4


# What makes news, each with the change itself.


def test_a_text_that_was_read_is_news(sorted_shop, at):
    ann = sorted_shop[0]
    ann.interactions.create(occurred_at=at, kind="reply", key="r", text="Thanks!")
    services.score_interactions()
    assert waiting() == {ann.pk}


def test_a_correction_is_news_and_so_is_its_withdrawal(sorted_shop, at, admin_user):
    text = Interaction.objects.filter(customer=sorted_shop[0]).first()
    correct_reading(text, family="joy", by=admin_user, at=at)
    assert waiting() == {sorted_shop[0].pk}
    fold_news(at=at)
    withdraw_correction(text, by=admin_user, at=at)
    assert waiting() == {sorted_shop[0].pk}
    fold_news(at=at)
    assert check_profiles(at=at).differ == []


def row(customer, at, **more):
    return InteractionRow(
        customer_id=customer.external_id, email=customer.email, occurred_at=at, **more
    )


def test_what_was_done_is_news_and_what_was_written_waits_to_be_read(sorted_shop, at):
    ann, ben, cat, dan = sorted_shop[:4]
    rows = [
        row(ann, at, kind="survey", rating=2),
        row(ben, at, kind="return"),
        row(cat, at, kind="visit"),
        row(dan, at, kind="reply", text="Thank you."),
    ]
    record_interactions(rows, source="test", at=at)
    assert waiting() == {ann.pk, ben.pk, cat.pk}
    fold_news(at=at)
    record_interactions(rows, source="again", at=at)
    assert waiting() == set()


def test_visits_alone_call_for_no_new_run(sorted_shop, at):
    run = published_run()
    visits = [row(one, at, kind="visit") for one in sorted_shop]
    record_interactions(visits, source="test", at=at)
    assert news.since(run) == 0
    rating = row(sorted_shop[0], at, kind="survey", rating=2)
    record_interactions([rating], source="test", at=at)
    record_interactions([row(sorted_shop[0], at, kind="order")], source="test", at=at)
    assert news.since(run) == 1


def test_an_answer_that_came_later_is_news_once(sorted_shop, at):
    ann = sorted_shop[0]
    asked = row(ann, at - timedelta(days=9), kind="ticket", key="T1", text="Hello?")
    record_interactions([asked], source="test", at=at)
    fold_news(at=at)
    answered = replace(asked, answered_at=at - timedelta(days=2))
    report = record_interactions([answered], source="test", at=at)
    assert (report.stored, waiting()) == (0, {ann.pk})
    fold_news(at=at)
    record_interactions([answered], source="again", at=at)
    assert waiting() == set()


def test_what_is_taken_away_is_news_and_its_profile_goes_with_the_last_text(
    sorted_shop, at
):
    ann = sorted_shop[0]
    assert remove_interactions(Interaction.objects.filter(customer=ann)) == 3
    assert waiting() == {ann.pk}
    fold_news(at=at)
    assert not EmotionProfile.objects.filter(customer=ann).exists()
    assert place(ann).segment.key == "unknown"


def test_who_takes_an_objection_back_is_news(sorted_shop, at):
    ann = sorted_shop[0]
    object_to_profiling(ann, source="test", at=at)
    fold_news(at=at)
    allow_profiling(ann, source="test", at=at)
    assert waiting() == {ann.pk}
    assert Consent.objects.filter(customer=ann).count() == 2


def test_who_objected_is_unknown_whatever_news_there_is(sorted_shop, at):
    ann = sorted_shop[0]
    news.mark([ann.pk])
    object_to_profiling(ann, source="test", at=at)
    fold_news(at=at + DAY)
    assert place(ann).segment.key == "unknown"
    assert not EmotionProfile.objects.filter(customer=ann).exists()
    assert not SegmentChange.objects.filter(customer=ann).exists()
    assert published_run().quality["sizes"]["trusting"] == 9


def test_however_many_objected_the_places_are_counted_once(
    sorted_shop, shop, at, monkeypatch
):
    monkeypatch.setattr(folding, "CHUNK", 2)
    for person in sorted_shop[:8]:
        shop.read(person, at)
    for person in sorted_shop[:8:2]:
        object_to_profiling(person, source="test", at=at)
    with CaptureQueriesContext(connection) as asked:
        assert fold_news(at=at + DAY) == 8
    counts = [query for query in asked.captured_queries if "GROUP BY" in query["sql"]]
    places = [query for query in counts if "segmentation_membership" in query["sql"]]
    # Two chunks of the four who objected, and none of the others.
    assert len(places) == 2
    assert published_run().quality["sizes"]["unknown"] == 4


def test_who_is_erased_is_no_longer_counted(sorted_shop, at):
    sorted_shop[0].delete()
    fold_news(at=at)
    assert published_run().quality["sizes"]["trusting"] == 9


# Runs and news beside each other.


def test_a_kill_between_reading_and_fitting_leaves_it_to_the_next_turn(sorted_shop, at):
    ann = sorted_shop[0]
    ann.interactions.create(occurred_at=at, kind="reply", key="r", text="Thanks!")
    services.score_interactions()  # and here it was killed
    assert refresh_if_needed(at=at + DAY).folded == 1
    assert EmotionProfile.objects.get(customer=ann).texts == 4


def test_what_is_read_while_a_run_waits_reaches_the_profile(
    sorted_shop, at, monkeypatch, admin_user
):
    ann = sorted_shop[0]
    in_use = published_run()
    monkeypatch.setattr(services.quality, "RENAMED_MOST", -0.01)
    run = refresh_segments(at=at + DAY).run
    ann.interactions.create(occurred_at=at, kind="reply", key="r", text="Thanks!")
    report = refresh_if_needed(at=at + 2 * DAY)
    assert (report.folded, published_run(), run.state) == (1, in_use, "waiting")
    assert EmotionProfile.objects.get(customer=ann).texts == 4
    publish_run(run, at=at + 3 * DAY, approved_by=admin_user)
    assert waiting() == {ann.pk}
    assert place(ann).folded_at == at + 2 * DAY
    assert fold_news(at=at + 4 * DAY) == 1
    assert place(ann).run == run
    assert check_profiles(at=at + 5 * DAY).differ == []


def test_who_moves_by_news_while_a_run_waits_does_not_move_back_with_it(
    sorted_shop, shop, at, monkeypatch, admin_user
):
    ann = sorted_shop[0]
    monkeypatch.setattr(services.quality, "RENAMED_MOST", -0.01)
    run = refresh_segments(at=at).run
    for n in range(8):
        shop.read(ann, at + n * DAY, family="anger")
    fold_news(at=at + 9 * DAY)
    publish_run(run, at=at + 9 * DAY, approved_by=admin_user)
    assert place(ann).segment.key == "frustrated"
    assert SegmentChange.objects.filter(customer=ann).count() == 2


def test_a_run_writes_no_profile_over_a_newer_one(sorted_shop, shop, at, monkeypatch):
    ann = sorted_shop[0]
    real = services.fit_model

    def meanwhile(*given, **more):
        shop.read(ann, at)
        assert fold_news(at=at + DAY) == 1
        return real(*given, **more)

    monkeypatch.setattr(services, "fit_model", meanwhile)
    run = fit_run(at=at)
    assert EmotionProfile.objects.get(customer=ann).texts == 4
    assert waiting() == set()
    publish_run(run, at=at + DAY)
    assert waiting() == {ann.pk}


def test_a_run_is_due_when_a_tenth_has_news_or_thirty_days_have_passed(
    sorted_shop, shop, at
):
    assert refresh_if_needed(at=at + DAY) is None
    for person in sorted_shop[:2]:
        shop.read(person, at)
    assert refresh_if_needed(at=at + DAY).folded == 2
    assert SegmentationRun.objects.count() == 1
    shop.read(sorted_shop[2], at)
    assert refresh_if_needed(at=at + 2 * DAY).run.pk == published_run().pk
    assert SegmentationRun.objects.count() == 2
    assert refresh_if_needed(at=at + 31 * DAY) is None
    assert refresh_if_needed(at=at + 32 * DAY) is not None
    assert SegmentationRun.objects.count() == 3


def test_a_profile_seen_much_later_is_still_what_its_texts_say(sorted_shop, at):
    found = check_profiles(at=at + 200 * DAY)
    assert (found.customers, found.differ, found.waiting) == (30, [], 0)


def test_a_profile_that_is_wrong_is_found(sorted_shop, at):
    profile = EmotionProfile.objects.get(customer=sorted_shop[3])
    sums = np.frombuffer(bytes(profile.state), "<f8").copy()
    sums[0] *= 1 + 1e-8
    profile.state = sums.tobytes()
    profile.save()
    assert check_profiles(at=at).differ == [sorted_shop[3].pk]
