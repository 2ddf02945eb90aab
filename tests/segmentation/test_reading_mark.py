from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from customers.models import Customer, Interaction
from customers.services import allow_profiling, object_to_profiling
from segmentation import reading_mark, scoring
from segmentation.models import EmotionScore, ReadingMark
from segmentation.reading_mark import begin_pass, end_pass, texts_waiting, waiting_in
from segmentation.scoring import score_interactions
from segmentation.shop_words import add_brand_word

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=11)


@pytest.fixture
def ann(db):
    return Customer.objects.create(external_id="ann", email="ann@example.com")


def write(customer, text="Thank you, what a lovely pot."):
    return Interaction.objects.create(
        customer=customer,
        occurred_at=timezone.now(),
        kind="review",
        key=f"k{Interaction.objects.count()}",
        text=text,
    )


def a_pass(began, *, meanwhile=lambda: None):
    """A pass that reads all it finds, as if it had begun at that time."""
    one = begin_pass(at=began)
    found = list(waiting_in(one))
    meanwhile()
    EmotionScore.objects.bulk_create(
        EmotionScore(
            interaction=text,
            customer=text.customer,
            occurred_at=text.occurred_at,
            kind=text.kind,
            analyzer="by hand",
        )
        for text in found
    )
    end_pass(one)
    return found


def read_to():
    return ReadingMark.objects.get().read_to


def test_what_two_passes_ten_minutes_apart_have_passed_is_not_looked_at_again(ann, at):
    text = write(ann)
    assert a_pass(at) == [text]
    assert read_to() == 0
    a_pass(at + LATER)
    assert read_to() == text.pk


def test_a_text_that_was_still_being_recorded_is_read(ann, at):
    late, early = write(ann), write(ann)
    number = late.pk
    late.delete()
    a_pass(at)
    # Committed only now, with the lower number that it had got.
    Interaction.objects.create(
        pk=number, customer=ann, occurred_at=at, kind="review", key="late", text="Oh!"
    )
    assert [text.pk for text in a_pass(at + LATER)] == [number]
    assert read_to() == early.pk


def test_passes_close_to_each_other_never_hold_the_mark_back(ann, at):
    text = write(ann)
    for minute in range(0, 14, 2):
        a_pass(at + timedelta(minutes=minute))
    assert read_to() == text.pk


def test_who_lets_texts_be_read_again_is_read_however_long_ago_they_wrote(ann, at):
    text = write(ann)
    object_to_profiling(ann, source="test", at=at)
    write(Customer.objects.create(external_id="ben"))
    a_pass(at)
    a_pass(at + LATER)
    assert read_to() > text.pk
    allow_profiling(ann, source="test", at=at)
    assert texts_waiting() == 1
    assert a_pass(at + 2 * LATER) == [text]


def test_a_mark_that_goes_down_during_a_pass_is_not_raised_by_it(ann, at):
    text = write(ann)
    object_to_profiling(ann, source="test", at=at)
    a_pass(at)
    a_pass(at + LATER, meanwhile=lambda: allow_profiling(ann, source="test", at=at))
    assert read_to() < text.pk
    assert a_pass(at + 2 * LATER) == [text]


def test_reading_goes_on_where_it_was_left(ann, monkeypatch):
    monkeypatch.setattr(scoring, "CHUNK", 1)
    first, second = write(ann), write(ann, "I am furious, nobody answers.")
    keep, begun = scoring._store, []

    def dies(*arguments, **named):
        if begun:
            raise KeyboardInterrupt
        begun.append(1)
        return keep(*arguments, **named)

    monkeypatch.setattr(scoring, "_store", dies)
    with pytest.raises(KeyboardInterrupt):
        score_interactions()
    assert ReadingMark.objects.get().reading_at == first.pk
    assert (read_to(), texts_waiting()) == (0, 1)
    monkeypatch.undo()
    score_interactions()
    assert EmotionScore.objects.filter(interaction=second).exists()
    assert texts_waiting() == 0


def test_so_many_and_no_more_are_counted(ann, monkeypatch):
    monkeypatch.setattr(reading_mark, "COUNTED", 3)
    for _ in range(6):
        write(ann)
    assert texts_waiting() == 4


def test_pages_look_at_no_text_below_the_mark(ann, admin_client):
    write(ann)
    score_interactions()
    for page in (reverse("segmentation:segments"), reverse("admin:index")):
        with CaptureQueriesContext(connection) as asked:
            admin_client.get(page)
        looked = [
            query["sql"]
            for query in asked.captured_queries
            if "emotionscore" in query["sql"]
            and "customers_interaction" in query["sql"]
        ]
        newest = Interaction.objects.latest("pk").pk
        assert looked
        assert all(f'"customers_interaction"."id" > {newest}' in sql for sql in looked)


def test_the_model_page_looks_for_other_versions_only_where_there_may_be_some(
    ann, admin_client, at
):
    write(ann)
    score_interactions()
    with CaptureQueriesContext(connection) as asked:
        page = admin_client.get(reverse("segmentation:model")).content.decode()
    assert not [q for q in asked.captured_queries if '"analyzer" = ' in q["sql"]]
    add_brand_word(phrase="Slapsilly", family="", by=None, at=at)
    score_interactions()
    after = admin_client.get(reverse("segmentation:model")).content.decode()
    assert (
        "earlier weights or rules" in page,
        "earlier weights or rules" in after,
    ) == (False, True)


def test_texts_that_disagree_with_their_stars_are_counted_by_themselves(
    ann, admin_client
):
    text = write(ann, "I love it.")
    Interaction.objects.filter(pk=text.pk).update(rating=1.0)
    write(ann)
    score_interactions()
    assert EmotionScore.objects.filter(disagrees=True).get().interaction == text
    page = admin_client.get(reverse("segmentation:disagreeing")).content.decode()
    assert "I love it." in page
    assert "lovely pot" not in page


def test_what_disagreed_before_there_was_a_column_is_found(ann, at):
    text = write(ann)
    score_interactions()
    EmotionScore.objects.update(notes=["text and rating disagree"])
    migration = import_module("segmentation.migrations.0014_disagreeing_so_far")
    migration.fill(apps, None)
    assert EmotionScore.objects.get(disagrees=True).interaction == text
