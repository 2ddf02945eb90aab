from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from customers.models import Customer
from customers.services import record_interactions
from customers.sources import InteractionRow
from segmentation.holds import Hold, held
from segmentation.models import EmotionScore, SensitiveMatter
from segmentation.scoring import read_again, score_interactions
from segmentation.sensitive_matters import (
    REASON,
    clear_matter,
    keep_matters,
    mark_seen,
    waiting_matters,
)


@pytest.fixture
def mara(db) -> User:
    return User.objects.create_user("mara", is_staff=True)


@pytest.fixture
def write(db, at):
    def wrote(text: str, *, days_ago: float = 1, name: str = "eve") -> Customer:
        row = InteractionRow(
            customer_id=name,
            email=f"{name}@example.com",
            occurred_at=at - timedelta(days=days_ago),
            kind="ticket",
            text=text,
            language="en",
        )
        record_interactions([row], source="a test", at=at)
        score_interactions()
        return Customer.objects.get(external_id=name)

    return wrote


LOSS = "My husband passed away last week, please cancel his razor subscription."


def test_a_bereavement_stops_marketing_and_waits_for_a_person(write, at):
    eve = write(LOSS)
    until = at + timedelta(days=89)
    assert held([eve.pk], at=at) == {eve.pk: Hold(REASON, until)}
    assert [matter.customer for matter in waiting_matters(at=at)] == [eve]


def test_of_what_kind_it_is_is_not_stored():
    fields = {field.name for field in SensitiveMatter._meta.get_fields()}
    assert fields == {
        "id",
        "interaction",
        "customer",
        "occurred_at",
        "urgent",
        "found_at",
        "seen_at",
        "seen_by",
        "cleared_at",
        "cleared_by",
    }


def test_after_ninety_days_marketing_may_go_on(write, at):
    eve = write(LOSS, days_ago=91)
    assert held([eve.pk], at=at) == {}
    before = held([eve.pk], at=at - timedelta(days=2))
    assert before[eve.pk].because == REASON


def test_reading_it_does_not_end_the_silence_clearing_it_does(write, mara, at):
    eve = write(LOSS)
    matter = SensitiveMatter.objects.get()
    mark_seen(matter, by=mara, at=at)
    assert not waiting_matters(at=at).exists()
    assert held([eve.pk], at=at)
    clear_matter(matter, by=mara, at=at)
    matter.refresh_from_db()
    assert (matter.seen_by, matter.cleared_by) == (mara, mara)
    assert all(one.because != REASON for one in held([eve.pk], at=at).values())


def test_an_urgent_message_stands_first(write, at):
    write(LOSS, days_ago=3)
    ann = write("Cancel it all. I don't want to be alive any more.", name="ann")
    assert waiting_matters(at=at).first().customer == ann
    assert waiting_matters(at=at).first().urgent


def test_a_dead_battery_is_no_bereavement(write):
    write("The battery died after a day and I am angry.")
    assert not SensitiveMatter.objects.exists()


def test_reading_the_texts_again_does_not_open_what_was_cleared(write, mara, at):
    write(LOSS)
    clear_matter(SensitiveMatter.objects.get(), by=mara, at=at)
    read_again(EmotionScore.objects.all())
    assert SensitiveMatter.objects.get().cleared_at == at


def test_what_an_import_brings_of_long_ago_waits_for_nobody(write, at):
    write(LOSS, days_ago=400)
    assert SensitiveMatter.objects.exists()
    assert not waiting_matters(at=at).exists()


def test_what_turns_out_urgent_is_shown_again(write, mara, at):
    eve = write(LOSS)
    matter = SensitiveMatter.objects.get()
    mark_seen(matter, by=mara, at=at)
    keep_matters([(eve.interactions.get(), True)])
    assert waiting_matters(at=at).get().urgent


def test_a_crash_while_keeping_scores_loses_no_matter(write, monkeypatch):
    def crash(scores):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("segmentation.scoring._insert", crash)
        with pytest.raises(KeyboardInterrupt):
            write(LOSS)
    assert not EmotionScore.objects.exists()
    assert not SensitiveMatter.objects.exists()
    score_interactions()
    assert EmotionScore.objects.count() == SensitiveMatter.objects.count() == 1
