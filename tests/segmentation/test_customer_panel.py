from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from customers.models import Interaction
from customers.services import object_to_profiling
from segmentation import customer_filters
from segmentation.customer_panel import profile_panel, timeline_notes
from segmentation.emotion.families import FAMILIES
from segmentation.models import (
    EmotionProfile,
    Membership,
    Segment,
    SegmentationRun,
    SensitiveMatter,
)
from segmentation.sensitive_matters import REASON
from segmentation.services import refresh_segments


@pytest.fixture
def now():
    return timezone.now() - timedelta(minutes=1)


@pytest.fixture
def said(shop, now):
    """Two texts and an order, the second not read, the third without a text."""
    ann = shop.add(1)[0]
    joyful = shop.read(ann, now - timedelta(days=3), family="joy")
    foreign = shop.read(ann, now - timedelta(days=2))
    foreign.families, foreign.not_read = b"", "language: Welsh"
    foreign.save()
    order = shop.read(ann, now - timedelta(days=1), kind="order")
    order.families, order.not_read = b"", "no text"
    order.save()
    return ann, joyful, foreign, order


def test_the_timeline_tells_what_each_text_reads_as(admin_client, said):
    ann, joyful, *_ = said
    address = reverse("admin:customers_customer_change", args=[ann.pk])
    text = admin_client.get(address).content.decode().split("What was said and done")[1]
    assert "reads as joy" in text
    assert "<span>84 of 100</span>" in text
    assert reverse("segmentation:text", args=[joyful.interaction_id]) in text
    assert "not read: Welsh" in text
    assert "no text" not in text


def test_forty_lines_ask_once_and_a_person_s_word_is_told(
    said, django_assert_num_queries
):
    ann, joyful, foreign, _ = said
    joyful.corrected = True
    joyful.save()
    with django_assert_num_queries(2):
        notes = timeline_notes(list(Interaction.objects.filter(customer=ann)))
    assert set(notes) == {joyful.interaction_id, foreign.interaction_id}
    assert "84 of 100, by a person" in notes[joyful.interaction_id]


def test_after_an_objection_the_timeline_says_no_feeling(admin_client, said, now):
    ann, *_ = said
    object_to_profiling(ann, source="rang us", at=now)
    address = reverse("admin:customers_customer_change", args=[ann.pk])
    assert "reads as" not in admin_client.get(address).content.decode()


def test_a_run_of_another_version_says_that_why_comes_later(admin_client, said, now):
    ann, *_ = said
    refresh_segments(at=now)
    trusting = Segment.objects.get(key="trusting")
    Membership.objects.filter(customer=ann).update(segment=trusting, probability=0.8)
    SegmentationRun.objects.update(model={"format": 0})
    address = reverse("admin:customers_customer_change", args=[ann.pk])
    text = admin_client.get(address).content.decode()
    assert "An earlier version of the programme sorted everybody" in text
    assert "Profile over time" not in text


@pytest.mark.parametrize("large", [0, 25_000])
@pytest.mark.parametrize("asked", ["trusting", "anxious", "no such", "\x00"])
def test_a_segment_has_its_customers_in_it_and_no_others(
    admin_client, said, now, asked, large, monkeypatch
):
    monkeypatch.setattr(customer_filters, "LARGE", large)
    monkeypatch.setattr(customer_filters, "LARGE_NARROWED", large)
    ann, *_ = said
    refresh_segments(at=now)
    trusting = Segment.objects.get(key="trusting")
    Membership.objects.filter(customer=ann).update(segment=trusting)
    address = reverse("admin:customers_customer_changelist")
    for words in ("", "c0@ex", "zz"):
        listed = admin_client.get(address, {"segment": asked, "q": words})
        there = "c0@example.com" in listed.content.decode()
        assert there == (asked == "trusting" and words != "zz")


def test_the_profile_of_the_page_is_one_row(said, now, django_assert_num_queries):
    ann, *_ = said
    refresh_segments(at=now)
    with django_assert_num_queries(1):
        shown = profile_panel(None, ann)
    assert [family for family, *_ in shown["rows"]] == list(FAMILIES)


@pytest.fixture
def listed(admin_client):
    def found(**asked):
        address = reverse("admin:customers_customer_changelist")
        page = admin_client.get(address, asked).context["cl"].result_list
        return {one.external_id for one in page}

    return found


def test_customers_are_found_by_what_stands_out_in_their_words(shop, said, listed, now):
    ben, cat, _ = shop.add(3)
    shop.read(ben, now - timedelta(days=3), family="anger")
    shop.read(cat, now - timedelta(days=3), family="anger")
    refresh_segments(at=now)
    assert listed(emotion="joy") == {"c0"}
    assert listed(emotion="anger") == {"c1", "c2"}
    assert listed(emotion="sadness") == set()
    assert listed(emotion="no such") == {"c0", "c1", "c2", "c3"}


def test_customers_are_found_by_how_much_they_said(shop, said, listed, now):
    ben, *_ = shop.add(2)
    for day in range(9):
        shop.read(ben, now - timedelta(days=day), family="anger")
    refresh_segments(at=now)
    assert listed(evidence="some") == {"c0"}
    assert listed(evidence="much") == {"c1"}
    assert listed(evidence="none") == {"c2"}
    assert listed(evidence="no such") == {"c0", "c1", "c2"}
    EmotionProfile.objects.update(evidence=0.49)
    assert listed(evidence="little") == {"c0", "c1"}
    assert listed(evidence="little", emotion="anger") == {"c1"}


def test_the_page_says_why_no_promotion_goes_out_to_who_may_know(
    admin_client, client, said, now
):
    ann, joyful, *_ = said
    address = reverse("admin:customers_customer_change", args=[ann.pk])
    assert "No promotion goes" not in admin_client.get(address).content.decode()
    Interaction.objects.create(
        customer=ann, occurred_at=now, kind="survey", key="low", rating=1
    )
    text = admin_client.get(address).content.decode()
    assert "a survey rated 1 on" in text
    assert "It lasts until" in text
    SensitiveMatter.objects.create(
        interaction=joyful.interaction, customer=ann, occurred_at=now
    )
    assert REASON in admin_client.get(address).content.decode()
    user = User.objects.create_user("trainee", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    client.force_login(user)
    text = client.get(address).content.decode()
    assert "for a reason that not everybody may see" in text
    assert REASON not in text
