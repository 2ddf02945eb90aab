import csv
import io
import json
from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from customers.services import object_to_profiling
from segmentation.corrections import (
    correct_reading,
    corrections_as_csv,
    corrections_as_jsonl,
    figures,
    standing,
    withdraw_correction,
)
from segmentation.emotion.families import FAMILIES
from segmentation.emotion.reading import read_texts
from segmentation.errors import CorrectionRefused
from segmentation.models import Correction, EmotionScore
from segmentation.scoring import of_other_versions, read_again, score_interactions
from segmentation.services import fit_run, refresh_if_needed


@pytest.fixture
def mara(db) -> User:
    return User.objects.create_user("mara", is_staff=True)


@pytest.fixture
def ticket(cy):
    score_interactions()
    return cy.interactions.order_by("occurred_at").last()


def mix(interaction) -> np.ndarray:
    score = EmotionScore.objects.get(interaction=interaction)
    return np.frombuffer(bytes(score.families), "<f4")


def test_a_persons_word_wins_and_is_kept_with_who_and_when(ticket, mara, at):
    read_as = FAMILIES[int(mix(ticket).argmax())]
    correction = correct_reading(ticket, family="sadness", by=mara, at=at)
    assert mix(ticket)[FAMILIES.index("sadness")] == 1.0
    assert (correction.read_as, correction.corrected_by) == (read_as, mara)
    assert correction.corrected_at == at
    assert EmotionScore.objects.get(interaction=ticket).valence == pytest.approx(-0.8)


def test_no_reading_again_takes_a_persons_word_away(ticket, mara, at):
    correct_reading(ticket, family="joy", by=mara, at=at)
    EmotionScore.objects.update(analyzer="older weights")
    assert ticket.emotion_score not in of_other_versions()
    assert read_again(of_other_versions()) == 1
    assert mix(ticket)[FAMILIES.index("joy")] == 1.0


def test_a_correction_counts_in_the_profile(ticket, mara, at):
    fit_run(at=at)
    assert ticket.customer.emotion_profile.valence < 0
    for interaction in ticket.customer.interactions.with_text():
        correct_reading(interaction, family="joy", by=mara, at=at)
    fit_run(at=at)
    ticket.customer.emotion_profile.refresh_from_db()
    assert ticket.customer.emotion_profile.valence > 0


def test_a_second_correction_replaces_the_first_and_both_are_kept(ticket, mara, at):
    first = correct_reading(ticket, family="joy", by=mara, at=at)
    second = correct_reading(ticket, family="trust", by=mara, at=at + timedelta(1))
    first.refresh_from_db()
    assert first.withdrawn_at == at + timedelta(1)
    assert standing(ticket) == second
    assert second.read_as == first.read_as  # what the model said, not the person


def test_taking_it_back_gives_the_models_reading_again(ticket, mara, at):
    before = mix(ticket).copy()
    correct_reading(ticket, family="joy", by=mara, at=at)
    withdraw_correction(ticket, by=mara, at=at)
    assert mix(ticket) == pytest.approx(before)
    assert standing(ticket) is None
    with pytest.raises(CorrectionRefused, match="no correction to take back"):
        withdraw_correction(ticket, by=mara, at=at)


def test_two_standing_corrections_of_one_text_cannot_be(ticket, mara, at):
    correct_reading(ticket, family="joy", by=mara, at=at)
    with pytest.raises(IntegrityError), transaction.atomic():
        Correction.objects.create(
            interaction=ticket, family="anger", analyzer="x", corrected_at=at
        )


def test_a_text_that_was_not_read_may_be_read_by_a_person(ticket, mara, at):
    EmotionScore.objects.filter(interaction=ticket).update(
        families=b"", not_read="language: Spanish", weight=0.0
    )
    correction = correct_reading(ticket, family="anger", by=mara, at=at)
    score = EmotionScore.objects.get(interaction=ticket)
    assert (correction.read_as, score.not_read, score.weight) == ("", "", 1.0)


def test_what_cannot_be_corrected_is_refused(cy, ticket, mara, at):
    with pytest.raises(CorrectionRefused, match="'hunger' is no family"):
        correct_reading(ticket, family="hunger", by=mara, at=at)
    EmotionScore.objects.all().delete()
    with pytest.raises(CorrectionRefused, match="not been read yet"):
        correct_reading(ticket, family="joy", by=mara, at=at)


def test_corrections_go_out_as_rows_to_train_and_evaluate_on(ticket, mara, at):
    ticket.text = '=HYPERLINK("x") Dear Ann, I am furious. Regards,\nCy'
    ticket.save()
    correct_reading(ticket, family="sadness", by=mara, at=at)
    row = json.loads("".join(corrections_as_jsonl()))
    assert (row["family"], row["read_as"]) == ("sadness", "anger")
    assert "Cy" not in row["text"]  # as the model reads it: without names
    (cells,) = csv.DictReader(io.StringIO("".join(corrections_as_csv())))
    assert cells["text"].startswith("'=")  # no formula in a spreadsheet


def test_the_page_knows_how_often_the_model_had_said_the_same(ticket, mara, at):
    assert figures() is None
    correct_reading(ticket, family="curiosity", by=mara, at=at)
    assert (figures()["share"], figures()["of"]) == (0.0, 1)


def test_a_corrected_text_is_checked_and_quoted_under_the_persons_family(
    ticket, mara, at
):
    EmotionScore.objects.filter(interaction=ticket).update(
        notes=["text and rating disagree"]
    )
    correct_reading(ticket, family="joy", by=mara, at=at)
    score = EmotionScore.objects.get(interaction=ticket)
    assert score.notes == ["read by a person"]
    joy = FAMILIES.index("joy")
    assert {families[joy] for _, families, _ in score.sentences} == {1.0}


def test_a_correction_while_the_text_is_being_read_again_stays(
    ticket, mara, at, monkeypatch
):
    def slow(items, **options):
        correct_reading(ticket, family="joy", by=mara, at=at)
        return read_texts(items, **options)

    monkeypatch.setattr("segmentation.scoring.read_texts", slow)
    read_again(EmotionScore.objects.filter(interaction=ticket))
    assert mix(ticket)[FAMILIES.index("joy")] == 1.0


def test_a_correction_is_reason_enough_to_sort_again(ticket, mara, at):
    run = refresh_if_needed(at=at).run
    assert refresh_if_needed(at=at) is None
    correct_reading(ticket, family="joy", by=mara, at=run.fitted_at + timedelta(1))
    assert refresh_if_needed(at=at) is not None


def test_an_objection_forgets_corrections_and_allows_no_more(ticket, mara, at):
    correct_reading(ticket, family="joy", by=mara, at=at)
    object_to_profiling(ticket.customer, source="a test", at=at)
    assert not Correction.objects.exists()
    assert not EmotionScore.objects.filter(customer=ticket.customer).exists()
    with pytest.raises(CorrectionRefused, match="objected"):
        correct_reading(ticket, family="joy", by=mara, at=at)
    with pytest.raises(CorrectionRefused, match="objected"):
        withdraw_correction(ticket, by=mara, at=at)


def test_an_objection_while_texts_are_being_read_leaves_nothing_behind(
    cy, at, monkeypatch
):
    def slow(items, **options):
        object_to_profiling(cy, source="a test", at=at)
        return read_texts(items, **options)

    monkeypatch.setattr("segmentation.scoring.read_texts", slow)
    score_interactions()
    assert not EmotionScore.objects.exists()
