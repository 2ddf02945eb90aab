from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from customers.models import Customer
from segmentation.corrections import standing
from segmentation.models import BrandWord, EmotionScore, SensitiveMatter
from segmentation.scoring import score_interactions


@pytest.fixture
def ticket(cy):
    score_interactions()
    return cy.interactions.order_by("occurred_at").last()


def page_of(interaction) -> str:
    return reverse("segmentation:text", args=[interaction.pk])


def test_the_page_of_a_text_shows_which_words_carried_it(admin_client, ticket):
    html = admin_client.get(page_of(ticket)).content.decode()
    assert "reads as anger" in html
    assert 'class="for"' in html
    assert "What carried anger" in html


def test_another_family_can_be_asked_for(admin_client, ticket):
    html = admin_client.get(page_of(ticket) + "?family=trust").content.decode()
    assert "What carried trust" in html
    assert admin_client.get(page_of(ticket) + "?family=<b>").status_code == 200


def test_a_text_is_shown_as_text_whatever_it_holds(admin_client, cy, ticket, at):
    ticket.text = 'I am <furious> & "tired" of waiting! <img src=x onerror=alert(1)>'
    ticket.save()
    SensitiveMatter.objects.create(
        interaction=ticket, customer=cy, occurred_at=timezone.now()
    )
    spanish = ticket.customer.interactions.order_by("occurred_at").first()
    spanish.text = "<img src=x onerror=alert(2)> Llevo dos semanas esperando y nada"
    spanish.save()
    EmotionScore.objects.all().delete()
    score_interactions()
    for path in (
        page_of(ticket),
        page_of(spanish),
        reverse("segmentation:to_read"),
        reverse("segmentation:words"),
    ):
        html = admin_client.get(path).content.decode()
        assert "<img src=x" not in html, path
    assert "&lt;furious&gt;" in admin_client.get(page_of(ticket)).content.decode()
    tried = {"text": ticket.text, "phrase": "<b>tired</b>", "try": "1"}
    answer = admin_client.post(reverse("segmentation:words"), tried)
    assert "<img src=x" not in answer.content.decode()
    assert "<b>tired" not in answer.content.decode()


def test_a_correction_by_form_wins_and_can_be_taken_back(admin_client, ticket):
    admin_client.post(page_of(ticket), {"family": "sadness"})
    assert standing(ticket).family == "sadness"
    html = admin_client.get(page_of(ticket)).content.decode()
    assert "A person read this as sadness" in html
    admin_client.post(page_of(ticket), {"withdraw": "1"})
    assert standing(ticket) is None


def test_who_may_see_may_not_correct(client, ticket):
    user = User.objects.create_user("trainee", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_emotionscore"))
    client.force_login(user)
    assert client.get(page_of(ticket)).status_code == 200
    assert client.post(page_of(ticket), {"family": "joy"}).status_code == 403
    SensitiveMatter.objects.create(
        interaction=ticket, customer=ticket.customer, occurred_at=timezone.now()
    )
    words = reverse("segmentation:words")
    assert client.get(words).status_code == 200
    assert client.post(words, {"phrase": "x"}).status_code == 403
    assert not BrandWord.objects.exists()
    assert client.get(reverse("segmentation:to_read")).status_code == 403
    assert client.get(reverse("segmentation:corrections")).status_code == 403
    html = client.get(page_of(ticket)).content.decode()
    assert "This message is for a person" not in html
    assert 'id="correct"' not in html


def test_after_an_objection_the_page_explains_nothing(admin_client, ticket, at):
    # Not by the service, which forgets: a score that should not be there is not shown.
    Customer.objects.update(profiling_objected_at=at)
    html = admin_client.get(page_of(ticket)).content.decode()
    assert "objected" in html
    assert "What carried" not in html
    assert "reads as" not in html


def test_a_text_in_another_language_says_that_it_was_not_read(admin_client, ticket):
    ticket.text = "Estoy muy enfadado, nadie contesta y quiero mi dinero."
    ticket.save()
    EmotionScore.objects.all().delete()
    score_interactions()
    html = admin_client.get(page_of(ticket)).content.decode()
    assert "Not read: Spanish" in html


def test_a_word_is_tried_before_it_is_kept(admin_client, db):
    path = reverse("segmentation:words")
    text = "The Horrible Rage set came on Monday."
    asked = {"text": text, "phrase": "Horrible Rage", "family": "", "try": "1"}
    html = admin_client.post(path, asked).content.decode()
    assert "Without rules: reads as" in html
    assert "is read as a name" in html
    assert not BrandWord.objects.exists()
    admin_client.post(path, {"phrase": "Horrible Rage", "family": ""})
    assert BrandWord.objects.get().phrase == "Horrible Rage"
    admin_client.post(path, {"remove": BrandWord.objects.get().pk})
    assert not BrandWord.objects.exists()


def test_messages_for_a_person_are_listed_and_cleared(admin_client, cy, ticket):
    matter = SensitiveMatter.objects.create(
        interaction=ticket, customer=cy, occurred_at=timezone.now(), urgent=True
    )
    page = reverse("segmentation:to_read")
    assert "read this now" in admin_client.get(page).content.decode()
    admin_client.post(reverse("segmentation:matter", args=[matter.pk]), {"clear": "1"})
    matter.refresh_from_db()
    assert matter.cleared_at
    assert "No message waits" in admin_client.get(page).content.decode()


def test_a_long_list_of_messages_for_a_person_has_pages(
    admin_client, cy, ticket, monkeypatch
):
    monkeypatch.setattr("segmentation.reading_views.MATTERS_SHOWN", 1)
    for row in cy.interactions.all():
        SensitiveMatter.objects.create(
            interaction=row, customer=cy, occurred_at=timezone.now()
        )
    page = reverse("segmentation:to_read")
    first = admin_client.get(page).content.decode()
    assert "2 messages are for a person" in first
    assert "1 to 1 of 2" in first
    second = admin_client.get(f"{page}?waiting=2").content.decode()
    texts = [row.text for row in cy.interactions.all()]
    assert sorted(text in unescape(first) for text in texts) == [False, True]
    assert sorted(text in unescape(second) for text in texts) == [False, True]
    assert admin_client.get(f"{page}?waiting=rubbish").status_code == 200


def test_the_model_page_shows_figures_with_their_intervals(admin_client, ticket):
    admin_client.post(page_of(ticket), {"family": "sadness"})
    html = admin_client.get(reverse("segmentation:model")).content.decode()
    for words in ("GoEmotions test", "Where it fails", "Kind by kind", "SHA-256"):
        assert words in html
    for name in ("corrections", "corrections_csv"):
        answer = admin_client.get(reverse(f"segmentation:{name}"))
        assert b"sadness" in b"".join(answer.streaming_content)


@pytest.mark.parametrize("asked", ["abc", "-1", "9" * 30, "9" * 5000])
def test_a_rule_there_is_none_of_cannot_be_removed(admin_client, db, asked):
    path = reverse("segmentation:words")
    assert admin_client.post(path, {"remove": asked}).status_code == 404
