from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from segmentation import tasks
from segmentation.errors import DecisionRefused, RunNotPublishable
from segmentation.keeping import thin_runs
from segmentation.models import (
    Membership,
    Publication,
    RunDecision,
    SegmentationRun,
)
from segmentation.publishing import (
    carry_out,
    decide_run,
    decline_run,
    publish_run,
    roll_back_to,
)
from segmentation.services import published_run, refresh_if_needed, refresh_segments


@pytest.fixture
def waiting(shop, at):
    """One run in use, a later one that waits."""
    people = shop.add(3)
    shop.publish(dict.fromkeys(people, "trusting"), at=at)
    run = shop.sort(dict.fromkeys(people, "anxious"), at=at, state="waiting")
    run.waits_because = "100% of customers would change segment."
    run.save()
    return run


def later(at, days=40):
    return at + timedelta(days=days)


def test_a_declined_run_stays_listed_with_who_when_and_why(waiting, at, admin_user):
    decline_run(waiting, because="a bad import", at=later(at), by=admin_user)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.declined_by) == ("declined", admin_user)
    assert (waiting.declined_at, waiting.declined_because) == (
        later(at),
        "a bad import",
    )
    assert published_run() != waiting


def test_a_declined_run_never_comes_into_use(waiting, at, admin_user):
    decline_run(waiting, because="a bad import", at=at, by=admin_user)
    with pytest.raises(RunNotPublishable, match="was declined: a bad import"):
        publish_run(waiting, at=later(at), approved_by=admin_user)
    with pytest.raises(RunNotPublishable, match="never in use"):
        roll_back_to(waiting, at=later(at), by=admin_user)
    with pytest.raises(RunNotPublishable):
        decide_run(waiting, kind=RunDecision.Kind.APPROVE, by=admin_user, at=at)
    assert Publication.objects.count() == 1


def test_only_a_run_that_waits_can_be_declined_and_only_with_a_reason(
    waiting, at, admin_user
):
    with pytest.raises(DecisionRefused, match="reason"):
        decline_run(waiting, because=" ", at=at, by=admin_user)
    with pytest.raises(RunNotPublishable, match="in use"):
        decline_run(published_run(), because="no", at=at, by=admin_user)
    waiting.refresh_from_db()
    assert waiting.state == "waiting"


def test_members_of_a_declined_run_are_not_kept_but_the_run_is(waiting, at, admin_user):
    decline_run(waiting, because="a bad import", at=at, by=admin_user)
    assert thin_runs(at=later(at)) == 3
    waiting.refresh_from_db()
    assert waiting.state == "declined"
    assert not Membership.objects.filter(run=waiting).exists()


def test_after_a_no_the_next_refresh_fits_again_once_there_is_news(
    ada, bo, shop, at, admin_user, join_cast
):
    refresh_segments(at=at)
    again = refresh_segments(at=at).run
    SegmentationRun.objects.filter(pk=again.pk).update(state="waiting")
    SegmentationRun.objects.exclude(pk=again.pk).update(state="published")
    assert refresh_if_needed(at=at) is None
    decline_run(again, because="not now", at=at, by=admin_user)
    # The same question about the same texts would be no question.
    assert refresh_if_needed(at=at) is None
    join_cast("Cy")
    report = refresh_if_needed(at=at)
    assert report.run.pk > again.pk
    assert published_run() == report.run


def test_a_decision_is_carried_out_once_however_often_it_is_asked(
    waiting, at, admin_user
):
    decision = decide_run(waiting, kind=RunDecision.Kind.APPROVE, by=admin_user, at=at)
    assert published_run() != waiting
    with pytest.raises(RunNotPublishable, match="at this moment"):
        decide_run(waiting, kind=RunDecision.Kind.APPROVE, by=admin_user, at=at)
    carry_out(decision.pk, at=later(at))
    carry_out(decision.pk, at=later(at, 50))
    assert published_run() == waiting
    assert published_run().published_at == later(at)
    assert published_run().approved_by == admin_user
    assert Publication.objects.count() == 2


def test_a_no_that_comes_before_the_worker_wins(waiting, at, admin_user):
    decision = decide_run(waiting, kind=RunDecision.Kind.APPROVE, by=admin_user, at=at)
    decline_run(waiting, because="changed my mind", at=at, by=admin_user)
    assert "was declined" in carry_out(decision.pk, at=later(at)).refused
    assert published_run() != waiting


def test_what_dies_half_way_is_undone_and_then_done(
    waiting, at, admin_user, monkeypatch
):
    decision = decide_run(waiting, kind=RunDecision.Kind.APPROVE, by=admin_user, at=at)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Publication.objects, "create", killed)
        with pytest.raises(KeyboardInterrupt):
            carry_out(decision.pk, at=later(at))
    decision.refresh_from_db()
    assert decision.done_at is None
    # The timetable finds what a worker left.
    refresh_if_needed(at=later(at))
    assert published_run() == waiting


# Pages


def press(client, name, pk, **sent):
    return client.post(reverse(f"segmentation:{name}", args=[pk]), sent, follow=True)


def page(client):
    return client.get(reverse("segmentation:runs")).content.decode()


def test_one_presses_decline_and_says_why(admin_client, waiting):
    assert "Decline run" in page(admin_client)
    answer = press(admin_client, "decline", waiting.pk, because="a <i>bad</i> import")
    assert "never comes into use" in answer.content.decode()
    text = page(admin_client)
    assert "a &lt;i&gt;bad&lt;/i&gt; import" in text
    assert "Approve and use it" not in text
    assert "Decline run" not in text
    answer = press(admin_client, "decline", waiting.pk, because="again")
    assert "does not wait for approval" in answer.content.decode()
    assert "was it" not in answer.content.decode()


def test_without_a_broker_a_press_has_done_it_when_the_page_comes(
    admin_client, waiting, settings
):
    settings.BROKER_URL = ""
    answer = press(admin_client, "approve", waiting.pk)
    assert "The new sorting is in use" in answer.content.decode()
    assert published_run() == waiting


@pytest.fixture
def woken(settings, monkeypatch, django_capture_on_commit_callbacks):
    """A broker: what is published to it, and no worker that takes it up."""
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    sent = []
    monkeypatch.setattr(
        tasks.carry_out_decision,
        "apply_async",
        lambda args, **_: sent.append(args),
    )
    return sent


def test_with_a_broker_the_page_says_that_it_is_under_way(
    admin_client, waiting, woken, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        answer = press(admin_client, "approve", waiting.pk)
    decision = RunDecision.objects.get()
    assert woken == [(decision.pk,)]
    assert published_run() != waiting
    text = answer.content.decode()
    assert "is being put into use" in text
    assert "Do it here and now" not in text
    part = reverse("segmentation:decision", args=[decision.pk])
    assert f'data-poll="{part}"' in text
    tasks.carry_out_decision(decision.pk)
    done = admin_client.get(part).content.decode()
    assert f"Run {waiting.pk} is in use" in done
    assert "data-poll" not in done
    assert published_run() == waiting


def test_where_no_worker_comes_a_person_can_do_it_at_once(admin_client, waiting, woken):
    press(admin_client, "approve", waiting.pk)
    RunDecision.objects.update(asked_at=timezone.now() - timedelta(minutes=2))
    text = page(admin_client)
    assert "is a worker running?" in text
    assert "Do it here and now" in text
    press(admin_client, "carry_out", RunDecision.objects.get().pk)
    assert published_run() == waiting


def test_a_broker_that_is_down_loses_nothing(
    admin_client, waiting, woken, monkeypatch, django_capture_on_commit_callbacks
):
    def down(*_, **__):
        raise OperationalError("down")

    monkeypatch.setattr(tasks.carry_out_decision, "apply_async", down)
    with django_capture_on_commit_callbacks(execute=True):
        assert press(admin_client, "approve", waiting.pk).status_code == 200
    assert RunDecision.objects.get().done_at is None
    refresh_if_needed(at=timezone.now())
    assert published_run() == waiting


def test_a_decision_that_failed_is_told_on_the_page(
    admin_client, waiting, woken, admin_user
):
    press(admin_client, "approve", waiting.pk)
    decline_run(waiting, because="no", at=timezone.now(), by=admin_user)
    carry_out(RunDecision.objects.get().pk, at=timezone.now())
    assert "could not be carried out" in page(admin_client)


def test_a_hostile_hand_decides_nothing(client, waiting, admin_user, settings):
    settings.BROKER_URL = ""
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    for name in ("approve", "decline", "roll_back"):
        path = reverse(f"segmentation:{name}", args=[waiting.pk])
        assert strict.get(path).status_code == 405
        assert strict.post(path, {"because": "x"}).status_code == 403
        assert client.post(path, {"because": "x"}).status_code == 302
    trainee = User.objects.create_user("trainee", password="x", is_staff=True)
    trainee.user_permissions.add(
        Permission.objects.get(codename="view_segmentationrun")
    )
    client.force_login(trainee)
    assert "Decline it" not in page(client)
    for name in ("approve", "decline", "roll_back", "carry_out"):
        path = reverse(f"segmentation:{name}", args=[waiting.pk])
        assert client.post(path, {"because": "x"}).status_code == 403
    waiting.refresh_from_db()
    assert waiting.state == "waiting"
    assert not RunDecision.objects.exists()
