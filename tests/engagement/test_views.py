import base64
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from campaigns.content.links import manage_token, track_token
from campaigns.content.problems import UndefinedValue
from customers.models import Interaction, Suppression
from customers.services import marketing_basis, record_consent
from engagement.hits import OpenBuffer
from engagement.models import MessageEngagement, TrackingEvent
from segmentation.models import EmotionScore

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def track(message):
    return track_token(message.public_id, django_settings.TRACKING_KEYS)


@pytest.fixture
def manage(message):
    return manage_token(message.public_id, django_settings.TRACKING_KEYS)


def test_asking_for_the_picture_records_an_open(client, track):
    answer = client.get(f"/o/{track}.gif", headers={"User-Agent": FIREFOX})
    assert answer["Content-Type"] == "image/gif"
    assert "no-store" in answer["Cache-Control"]
    event = TrackingEvent.objects.get()
    assert (event.event_type, event.verdict) == ("opened", "human")


def test_a_wrong_token_gets_the_same_picture_and_records_nothing(client, db):
    answer = client.get(f"/o/{'A' * 31}.gif")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/gif")
    assert not TrackingEvent.objects.exists()


def test_a_click_goes_where_the_frozen_link_says(client, track, message):
    answer = client.get(f"/c/{track}/0", headers={"User-Agent": FIREFOX})
    assert answer.status_code == 302
    assert answer["Location"] == "https://lindenandloam.example/winter"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert MessageEngagement.objects.get().clicked_by_person_at is not None


@pytest.mark.parametrize("path", ["/c/{}/99", "/c/{}/0?url=https://evil.example"])
def test_no_address_of_a_strangers_choosing_is_ever_followed(client, track, path):
    answer = client.get(path.format(track))
    assert "evil" not in answer.get("Location", "")


def test_a_head_request_counts_nothing(client, track):
    client.head(f"/c/{track}/0")
    client.head(f"/o/{track}.gif")
    assert not TrackingEvent.objects.exists()


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_at_the_unsubscribe_page_unsubscribes_nobody(client, manage, method):
    for _ in range(3):
        assert getattr(client, method)(f"/u/{manage}").status_code == 200
    assert not Suppression.objects.exists()


@pytest.mark.slow
def test_a_thousand_scanners_that_follow_every_link_change_nothing(
    client, manage, message
):
    """F30."""
    paths = [f"/u/{manage}", f"/p/{manage}"]
    looks = [
        {"Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"User-Agent": "link scanner"},
    ]
    for number in range(1000):
        ask = client.head if number % 3 == 0 else client.get
        answer = ask(paths[number % 2], headers=looks[number % len(looks)])
        assert answer.status_code == 200
    assert not Suppression.objects.exists()
    assert not TrackingEvent.objects.exists()
    basis = marketing_basis([message.customer_id], at=timezone.now())
    assert set(basis.values()) != {"withdrawn"}


def test_one_post_without_cookies_unsubscribes_at_once(client, manage, message):
    answer = client.post(f"/u/{manage}", {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert Suppression.objects.get().address == message.address_wire


def test_a_second_post_is_as_good_as_the_first(client, manage):
    for _ in range(2):
        answer = client.post(f"/u/{manage}", {"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
    assert Suppression.objects.count() == 1
    assert TrackingEvent.objects.count() == 1


def test_a_no_is_heard_again_after_the_address_was_let_back_in(
    client, manage, message, ada
):
    client.post(f"/u/{manage}")
    Suppression.objects.all().delete()
    record_consent(
        ada, purpose="marketing", basis="consent", source="form", at=timezone.now()
    )
    client.post(f"/u/{manage}")
    assert Suppression.objects.get().address == message.address_wire
    basis = marketing_basis([ada.pk], at=timezone.now())
    assert basis == {ada.pk: "withdrawn"}


def test_the_web_view_shows_the_mail_and_no_way_to_unsubscribe_others(client, track):
    answer = client.get(f"/v/{track}")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "15 % off pots and soil" in page
    assert f"/c/{track}/0" in page
    assert "/u/" not in page
    assert "/p/" not in page


def test_a_web_view_that_can_not_be_written_any_more_is_not_found(
    client, track, ada, monkeypatch
):
    def unknown(message):
        raise UndefinedValue("customer.first_name")

    monkeypatch.setattr("engagement.views.web_view_of", unknown)
    assert client.get(f"/v/{track}").status_code == 404


def test_a_forwarded_tracking_link_can_not_unsubscribe(client, track):
    assert client.post(f"/u/{track}").status_code == 404
    assert not Suppression.objects.exists()


def test_one_press_ends_profiling_and_deletes_what_was_read(client, manage, ada):
    interaction = ada.interactions.first()
    EmotionScore.objects.create(
        interaction=interaction,
        customer=ada,
        occurred_at=interaction.occurred_at,
        kind=interaction.kind,
        analyzer="test",
    )
    client.get(f"/p/{manage}")
    assert EmotionScore.objects.exists()
    client.post(f"/p/{manage}", {"choice": "stop_reading"})
    ada.refresh_from_db()
    assert ada.profiling_objected_at is not None
    assert not EmotionScore.objects.exists()


def test_profiling_can_be_allowed_again(client, manage, ada):
    client.post(f"/p/{manage}", {"choice": "stop_reading"})
    client.post(f"/p/{manage}", {"choice": "allow_reading"})
    ada.refresh_from_db()
    assert ada.profiling_objected_at is None


def test_stopping_profiling_does_not_stop_the_mail(client, manage):
    client.post(f"/p/{manage}", {"choice": "stop_reading"})
    assert not Suppression.objects.exists()


def test_public_pages_allow_no_script_and_no_other_host(client, manage):
    policy = client.get(f"/u/{manage}")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_nobody_else_can_make_figures_look_simulated(client, track):
    client.get(f"/o/{track}.gif", headers={"X-Attune-Simulation": "seed 7; guess"})
    assert TrackingEvent.objects.get().detail == {}


def test_a_simulated_request_says_so_in_its_event(client, track):
    mark = f"seed 7; {django_settings.WEBHOOK_SECRET}"
    client.get(f"/o/{track}.gif", headers={"X-Attune-Simulation": mark})
    assert TrackingEvent.objects.get().detail == {"simulated": "seed 7"}


def test_a_provider_that_does_not_know_the_password_is_refused(client, message):
    answer = client.post("/anymail/postmark/tracking/", {}, "application/json")
    assert answer.status_code == 400
    assert not TrackingEvent.objects.exists()


def report_by(client, message, **changed):
    """A bounce as Postmark reports it, by who knows the password."""
    login = f"attune:{django_settings.WEBHOOK_SECRET}".encode()
    body = {
        "RecordType": "Bounce",
        "ID": 5,
        "Type": "HardBounce",
        "TypeCode": 1,
        "MessageID": "abc",
        "Email": message.address_wire,
        "BouncedAt": timezone.now().isoformat(),
        "Metadata": {"d": str(message.public_id)},
    }
    return client.post(
        "/anymail/postmark/tracking/",
        body | changed,
        "application/json",
        headers={"Authorization": f"Basic {base64.b64encode(login).decode()}"},
    )


def test_a_soft_bounce_suppresses_nobody(client, message):
    assert report_by(client, message, Type="SoftBounce").status_code == 200
    assert TrackingEvent.objects.get().message == message
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"Metadata": {"d": "9999999999999999999"}},
        {"Description": "no such \0 mailbox", "Metadata": {"d": "x"}},
    ],
)
def test_a_report_nobody_can_place_is_taken_and_its_address_never_mailed(
    client, message, changed
):
    assert report_by(client, message, **changed).status_code == 200
    assert Suppression.objects.get().address == message.address_wire


def test_a_provider_that_is_not_set_up_is_not_found(client, db):
    for path in ("mailgun/tracking", "resend/inbound", "mandrill", "postal/tracking"):
        assert client.post(f"/anymail/{path}/", {}).status_code == 404


def test_a_providers_report_is_stored_and_a_hard_bounce_suppresses(client, message):
    assert report_by(client, message).status_code == 200
    assert Suppression.objects.get().reason == Suppression.Reason.BOUNCED
    assert TrackingEvent.objects.get().message == message


def test_opens_wait_for_each_other_and_none_is_lost(settings):
    settings.OPENS_FLUSH_MS = 60_000
    stored: list[int] = []
    buffer = OpenBuffer(lambda opens: stored.append(len(opens)))
    for _ in range(450):
        buffer.keep(object())
    buffer.flush()
    assert stored == [200, 200, 50]


def test_a_click_leaves_an_interaction_that_is_later_than_the_mail(
    client, track, message
):
    client.get(f"/c/{track}/0", headers={"User-Agent": FIREFOX})
    click = Interaction.objects.get(kind="click")
    assert click.occurred_at - message.handed_over_at > timedelta(hours=1)
