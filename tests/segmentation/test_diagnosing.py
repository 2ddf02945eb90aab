import json
from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from customers.models import Customer, Interaction
from segmentation.diagnosing import (
    ask_diagnosis,
    carry_out_diagnosis,
    carry_out_open_diagnoses,
    diagnose_run,
)
from segmentation.errors import TooFewToDiagnose
from segmentation.models import EmotionScore, RunDiagnosis
from segmentation.publishing import publish_run
from segmentation.services import fit_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def sorted_shop(shop, generator, at):
    """So many customers of the generator with their texts, sorted and published."""

    def sorted_shop(count):
        made = generator.make_customers(count, seed=3)
        people = shop.add(count)
        texts = Interaction.objects.bulk_create(
            Interaction(
                customer=people[who],
                occurred_at=at - timedelta(days=number % 50),
                kind="review",
                key=f"k{number}",
                text="said",
            )
            for number, who in enumerate(made.texts.customer)
        )
        EmotionScore.objects.bulk_create(
            EmotionScore(
                interaction=text,
                customer_id=text.customer_id,
                occurred_at=text.occurred_at,
                kind=text.kind,
                families=row.astype("<f4").tobytes(),
                weight=1.0,
                analyzer="test",
            )
            for text, row in zip(texts, made.texts.families, strict=True)
        )
        run = publish_run(fit_run(at=at), at=at)
        return run, people, int((made.counts >= 3).sum())

    return sorted_shop


def page(client, name="diagnostics", *args):
    answer = client.get(reverse(f"segmentation:{name}", args=args))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_the_sample_is_whoever_wrote_three_texts_and_did_not_object(sorted_shop, at):
    run, people, enough = sorted_shop(600)
    assert diagnose_run(run).customers == enough
    wrote = EmotionScore.objects.filter(customer=people[0]).count()
    Customer.objects.filter(pk=people[0].pk).update(profiling_objected_at=at)
    assert diagnose_run(run).customers == enough - (wrote >= 3)


def test_a_button_measures_it_and_the_page_shows_the_numbers(
    admin_client, admin_user, sorted_shop
):
    run, _, enough = sorted_shop(600)
    assert "Not measured for this run yet." in page(admin_client)
    answer = admin_client.post(reverse("segmentation:diagnose"))
    assert answer.url == reverse("segmentation:diagnostics")
    asked = RunDiagnosis.objects.get()
    assert (asked.run, asked.asked_by) == (run, admin_user)
    text = page(admin_client)
    assert f"{enough} customers with three texts or more" in text
    seven = next(one for one in asked.figures["free"] if one["groups"] == 7)
    assert f"agree with the segments by {seven['agreement']:.2f}, where" in text
    for cluster in asked.figures["clusters"]:
        assert cluster["name"] in text
        assert f"{cluster['distance']:.3f}" in text


def test_asked_twice_it_is_measured_once(sorted_shop, admin_user, at):
    run, *_ = sorted_shop(600)
    first = ask_diagnosis(run, by=admin_user, at=at)
    carry_out_diagnosis(first.pk, at=at)
    later = at + timedelta(hours=1)
    again = ask_diagnosis(run, by=None, at=later)
    assert carry_out_diagnosis(again.pk, at=later).done_at == at
    assert (again.pk, again.asked_by) == (first.pk, admin_user)


def test_too_few_who_wrote_are_told_in_words(admin_client, sorted_shop, at):
    run, _, enough = sorted_shop(150)
    with pytest.raises(TooFewToDiagnose, match=f"{enough} customers wrote 3 texts"):
        diagnose_run(run)
    admin_client.post(reverse("segmentation:diagnose"))
    text = page(admin_client)
    assert "200 are needed to look for clusters" in text
    assert "Try again" in text
    again = ask_diagnosis(run, by=None, at=at)
    assert (again.refused, again.done_at) == ("", None)


def test_of_a_run_of_another_version_nothing_is_measured(admin_client, sorted_shop, at):
    run, *_ = sorted_shop(600)
    run.model["format"] = 0
    run.save()
    admin_client.post(reverse("segmentation:diagnose"))
    assert "An earlier version of the programme made run" in page(admin_client)


def test_what_nobody_took_up_is_done_at_the_next_turn(shop, at):
    run = shop.publish({}, at=at)
    asked = ask_diagnosis(run, by=None, at=at)
    carry_out_open_diagnoses(at=at)
    asked.refresh_from_db()
    assert asked.done_at == at
    assert asked.refused.startswith("0 customers wrote")


def test_while_it_waits_the_page_says_so_and_offers_to_do_it_here(
    admin_client, shop, at
):
    asked = ask_diagnosis(shop.publish({}, at=at), by=None, at=at)
    for text in (page(admin_client), page(admin_client, "diagnosis", asked.pk)):
        assert "Free clusters are being looked for." in text
        assert "Do it here and now" in text
    admin_client.post(reverse("segmentation:diagnose_here", args=[asked.pk]))
    assert "are needed to look for clusters" in page(admin_client)


def test_whoever_may_only_look_may_not_ask(client, shop, at):
    shop.publish({}, at=at)
    user = User.objects.create_user("trainee", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_segment"))
    client.force_login(user)
    assert "Look for free clusters" not in page(client)
    assert client.post(reverse("segmentation:diagnose")).status_code == 403
    assert not RunDiagnosis.objects.exists()


def test_looking_measures_nothing_and_the_form_carries_its_token(admin_user, shop, at):
    shop.publish({}, at=at)
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    path = reverse("segmentation:diagnose")
    assert client.get(path).status_code == 405
    assert client.post(path).status_code == 403
    assert not RunDiagnosis.objects.exists()


def test_the_command_prints_what_the_page_shows(sorted_shop, capsys):
    sorted_shop(600)
    call_command("segment_diagnostics", format="json")
    figures = json.loads(capsys.readouterr().out)
    assert figures == RunDiagnosis.objects.get().figures
    call_command("segment_diagnostics")
    out = capsys.readouterr().out
    assert "free 10" in out
    kept = figures["segments"]["kept"]
    assert f"{kept:.1%}" in out


def test_the_command_says_what_is_missing(db):
    with pytest.raises(CommandError, match="No run is in use yet"):
        call_command("segment_diagnostics")


def test_before_the_first_sorting_the_page_says_so(admin_client, db):
    assert "Nobody has been sorted yet." in page(admin_client)
    admin_client.post(reverse("segmentation:diagnose"))
    assert not RunDiagnosis.objects.exists()


def test_texts_of_some_customers_keep_their_order(generator):
    texts = generator.make_customers(20, seed=1).texts
    found = texts.of(np.array([3, 7]))
    assert found.n_customers == 2
    assert np.array_equal(
        found.families[found.customer == 1], texts.families[texts.customer == 7]
    )
