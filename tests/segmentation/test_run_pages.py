import csv
import io
from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from customers.models import Customer
from customers.services import object_to_profiling
from segmentation import comparing
from segmentation.models import EmotionProfile, Publication, SegmentationRun
from segmentation.services import published_run, refresh_segments


@pytest.fixture
def now():
    return timezone.now() - timedelta(minutes=1)


@pytest.fixture
def two_runs(shop, now):
    """Three trusting, then two of them anxious."""
    people = shop.add(3)
    first = shop.publish(dict.fromkeys(people, "trusting"), at=now - timedelta(days=1))
    places = dict(zip(people, ["anxious", "anxious", "trusting"], strict=True))
    return people, first, shop.publish(places, at=now)


def page(client, name, *args, query=""):
    answer = client.get(reverse(f"segmentation:{name}", args=args) + query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def table(client, name, *args):
    answer = client.get(reverse(f"segmentation:{name}", args=args))
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_runs_are_listed_newest_first_with_their_states(admin_client, two_runs):
    _, first, second = two_runs
    text = page(admin_client, "runs")
    assert text.index(f"Run {second.pk}</a>") < text.index(f"Run {first.pk}</a>")
    assert f"Run {second.pk} is in use" in text
    assert f"Use run {first.pk} again" in text
    assert f"Use run {second.pk} again" not in text


def test_runs_come_page_by_page(admin_client, shop, now):
    runs = [shop.sort({}, at=now) for _ in range(23)]
    text = page(admin_client, "runs")
    assert f"?before={runs[3].pk}" in text
    text = page(admin_client, "runs", query=f"?before={runs[3].pk}")
    assert f"Run {runs[2].pk}</a>" in text
    assert f"Run {runs[3].pk}</a>" not in text
    assert "Older runs" not in text


def test_one_press_goes_back_and_says_what_comes_next(admin_client, two_runs):
    _, first, _ = two_runs
    answer = admin_client.post(
        reverse("segmentation:roll_back", args=[first.pk]), follow=True
    )
    assert "The next run waits for your approval" in answer.content.decode()
    assert published_run() == first
    assert "rolled back to by admin" in page(admin_client, "runs")


def test_a_second_press_is_answered_in_words(admin_client, two_runs):
    _, first, _ = two_runs
    path = reverse("segmentation:roll_back", args=[first.pk])
    admin_client.post(path)
    answer = admin_client.post(path, follow=True)
    assert "is in use already" in answer.content.decode()
    assert Publication.objects.count() == 3


def test_looking_changes_nothing_and_forms_carry_their_token(two_runs, admin_user):
    _, first, second = two_runs
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    path = reverse("segmentation:roll_back", args=[first.pk])
    assert client.get(path).status_code == 405
    assert client.post(path).status_code == 403
    assert published_run() == second


def test_who_may_see_runs_may_not_decide_nor_download(client, two_runs):
    _, first, second = two_runs
    user = User.objects.create_user("trainee", password="x", is_staff=True)
    for name in ("view_segment", "view_segmentationrun"):
        user.user_permissions.add(Permission.objects.get(codename=name))
    client.force_login(user)
    assert "again</button>" not in page(client, "runs")
    assert "Use it again" not in page(client, "run", first.pk)
    assert "as CSV" not in page(client, "members", "anxious")
    assert "as CSV" not in page(client, "changes")
    for name, args in [("members_csv", ["anxious"]), ("changes_csv", [])]:
        path = reverse(f"segmentation:{name}", args=args)
        assert client.get(path).status_code == 403
    for name in ("roll_back", "approve"):
        path = reverse(f"segmentation:{name}", args=[first.pk])
        assert client.post(path).status_code == 403
    assert published_run() == second


def test_a_run_shows_how_it_was_fitted(admin_client, ada, bo, cy, di, at):
    run = refresh_segments(at=at).run
    text = page(admin_client, "run", run.pk)
    for words in ("Anchors and base mix", "kappa", "temper", "Seed", "By itself"):
        assert words.lower() in text.lower()


def test_two_runs_stand_side_by_side(admin_client, two_runs):
    _, first, second = two_runs
    text = page(admin_client, "compare", query=f"?then={first.pk}&now={second.pk}")
    assert f"2 customers stand elsewhere in run {second.pk}" in text
    assert "+66.7" in text
    assert "−66.7" in text
    assert "c0" in text


def test_two_large_runs_are_counted_when_somebody_asks(
    admin_client, client, two_runs, monkeypatch
):
    monkeypatch.setattr(comparing, "LIVE_UP_TO", 0)
    _, first, second = two_runs
    query = f"?then={first.pk}&now={second.pk}"
    text = page(admin_client, "compare", query=query)
    assert "was not counted yet" in text
    assert "Count who moved" in text
    count = reverse("segmentation:count_compared")
    asked = {"then": first.pk, "now": second.pk}
    assert admin_client.get(count).status_code == 405
    assert admin_client.post(count, {"then": "x"}).status_code == 404
    user = User.objects.create_user("trainee", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_segmentationrun"))
    client.force_login(user)
    assert "Count who moved" not in page(client, "compare", query=query)
    assert client.post(count, asked).status_code == 403
    text = admin_client.post(count, asked, follow=True).content.decode()
    assert f"2 customers stand elsewhere in run {second.pk}" in text
    assert "Counted on" in text
    assert "Count again" in text
    assert "c0" in text


@pytest.mark.parametrize("query", ["", "?then=1", "?then=x&now=y", "?then=999&now=998"])
def test_runs_there_are_none_of_cannot_be_compared(admin_client, db, query):
    answer = admin_client.get(reverse("segmentation:compare") + query)
    assert answer.status_code == 404


def test_a_segment_shows_who_came_and_who_left(admin_client, two_runs):
    text = page(admin_client, "segment", "anxious")
    assert "Who came and who left" in text
    assert "from Trusting" in text
    assert "to Anxious" in page(admin_client, "segment_changes", "trusting")


def test_changes_are_shown_by_month(admin_client, two_runs, now):
    text = page(admin_client, "changes")
    assert "2 changes of segment in" in text
    month = f"?month={now - timedelta(days=100):%Y-%m}"
    assert "Nobody changed segment in" in page(admin_client, "changes", query=month)


def test_a_customer_shows_her_segments_until_she_objects(admin_client, ada, bo, at):
    refresh_segments(at=at)
    path = reverse("admin:customers_customer_change", args=[ada.pk])
    assert "Segments over time" in admin_client.get(path).content.decode()
    object_to_profiling(ada, source="test", at=at)
    refresh_segments(at=at + timedelta(days=1))
    assert "Segments over time" not in admin_client.get(path).content.decode()


def test_members_are_counted_before_they_are_downloaded(admin_client, two_runs):
    assert "Download 2 customers as CSV" in page(admin_client, "members", "anxious")
    rows = table(admin_client, "members_csv", "anxious")
    assert [row[0] for row in rows] == ["customer_id", "c0", "c1"]


def test_the_history_is_downloaded_line_by_line(admin_client, two_runs):
    assert "Download all changes as CSV" in page(admin_client, "changes")
    rows = table(admin_client, "changes_csv")
    assert rows[0] == ["customer_id", "email", "from", "to", "at", "run", "by_hand"]
    assert [row[2:4] for row in rows[1:]] == [
        ["", "trusting"],
        ["", "trusting"],
        ["", "trusting"],
        ["trusting", "anxious"],
        ["trusting", "anxious"],
    ]


def test_profiles_are_downloaded_of_whoever_was_read_and_did_not_object(
    admin_client, shop, now
):
    ann, ben, *_ = shop.add(3)
    for who, family in ((ann, "joy"), (ben, "anger")):
        shop.read(who, now, family=family)
    refresh_segments(at=now)
    assert "profiles of the 2 customers read so far" in page(admin_client, "segments")
    head, first, second = table(admin_client, "profiles_csv")
    assert (first[0], second[0]) == ("c0", "c1")
    one = dict(zip(head, first, strict=True))
    assert (one["texts"], one["evidence"], one["strongest"]) == ("1", "1.0", "joy")
    # Shop and prior are of the same two texts: (0.84 + 6.5 * 0.43) / 7.5.
    assert float(one["joy"]) == pytest.approx((0.84 + 6.5 * 0.43) / 7.5, abs=1e-4)
    Customer.objects.filter(pk=ann.pk).update(profiling_objected_at=now)
    assert [row[0] for row in table(admin_client, "profiles_csv")[1:]] == ["c1"]


def test_no_cell_of_a_download_runs_as_a_formula(admin_client, shop, now):
    person = Customer.objects.create(external_id="=1+1", email="@example.com")
    shop.publish({person: "mixed"}, at=now)
    EmotionProfile.objects.create(
        customer=person, as_of=now, composition=np.zeros(9, "<f4").tobytes()
    )
    for name, args in [
        ("members_csv", ["mixed"]),
        ("changes_csv", []),
        ("profiles_csv", []),
    ]:
        assert table(admin_client, name, *args)[1][:2] == ["'=1+1", "'@example.com"]


def test_below_a_hundred_nothing_is_reported_per_segment(admin_client, shop, now):
    people = shop.add(4)
    first = shop.publish(dict.fromkeys(people, "trusting"), at=now, scored=99)
    second = shop.publish(dict.fromkeys(people, "anxious"), at=now, scored=99)
    query = f"?then={first.pk}&now={second.pk}"
    texts = [
        page(admin_client, "segments"),
        page(admin_client, "segment", "anxious"),
        page(admin_client, "runs"),
        page(admin_client, "run", second.pk),
        page(admin_client, "compare", query=query),
        page(admin_client, "changes"),
    ]
    for text in texts:
        assert "Too few to report on segments." in text
        assert "99 customers wrote something that was read" in text
        assert "100 %" not in text
    home = admin_client.get(reverse("admin:index")).content.decode()
    assert "Too few customers were read to report on segments" in home


def test_below_five_hundred_the_page_says_that_nothing_was_learned(
    admin_client, shop, now
):
    shop.publish(dict.fromkeys(shop.add(4), "trusting"), at=now, scored=499)
    text = page(admin_client, "segments")
    assert "The segments are the ones every shop starts with." in text
    assert "100 %" in text
    shop.publish(dict.fromkeys(shop.add(4), "trusting"), at=now, scored=500)
    assert "every shop starts with" not in page(admin_client, "segments")


def test_a_run_of_which_little_is_written_down_has_a_page(admin_client, shop, now):
    run = shop.sort({}, at=now)
    run.quality = {}
    run.save()
    assert "Never so far" in page(admin_client, "run", run.pk)


def test_a_run_that_has_only_begun_has_a_page(admin_client, db, at):
    run = SegmentationRun.objects.create(cut_off=at, segmenter="anchored", model={})
    for path in ("segmentation:runs", "segmentation:run"):
        where = reverse(path, args=[run.pk] if path.endswith("run") else [])
        assert admin_client.get(where).status_code == 200
