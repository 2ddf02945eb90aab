"""Who has verified nothing sends to few; who delivers nothing is not asked."""

import importlib
from datetime import timedelta
from math import floor

import pytest
from django.apps import apps
from django.test import override_settings
from django.urls import reverse

from campaigns.content.links import InertLinks
from campaigns.content.render import RecipientContext
from campaigns.content.return_path import read_return_path
from campaigns.models import (
    Batch,
    Breaker,
    EngineNode,
    Message,
    ProviderNote,
    ProviderVerification,
    RateLimit,
    SendAttempt,
)
from campaigns.sending import account, limits, verification, windows
from campaigns.sending.account import fingerprint
from campaigns.sending.breaker import Way
from campaigns.sending.engine import pump, tick
from campaigns.sending.protocol import Lane
from campaigns.sending.trial import send_test_mail
from campaigns.sending.verification import State, heed, stands
from campaigns.services import compile_template, send_progress

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
BREVO = {"BREVO_API_KEY": "k", "REQUESTS_TIMEOUT": 20}


@pytest.fixture
def brevo(settings):
    """The real one, as far as the settings say; nothing is handed to it here."""
    settings.PROVIDER, settings.ANYMAIL = "brevo", dict(BREVO)
    return "brevo"


def deliver(channel, at, name="bulk"):
    lane = Lane(name, channel, "test")
    pump(lane, clock=lambda: at, until=float("inf"))
    return len(channel.ledger)


def test_an_unverified_provider_takes_so_many_a_day_and_the_page_says_the_way_out(
    send_to, channel, brevo, settings, at
):
    settings.UNVERIFIED_A_DAY = 5
    send = send_to(12)
    assert deliver(channel, at) == 5
    EngineNode.objects.create(name="x", role="engine", started_at=at, last_seen=at)
    binds = send_progress(send, at=at).binds
    assert "at most 5 a day while brevo is not verified" in binds
    assert "manage.py verify_provider brevo" in binds
    assert deliver(channel, at + DAY / 2) == 5
    assert deliver(channel, at + 1.1 * DAY) == 10
    [note] = ProviderNote.objects.all()
    assert "At most 5 customers a day get mail to many" in note.sentence


def test_verified_it_takes_the_rest_at_once(send_to, channel, brevo, settings, at):
    settings.UNVERIFIED_A_DAY = 5
    send_to(12)
    deliver(channel, at)
    ProviderVerification.objects.create(
        provider="brevo", digest=fingerprint("brevo"), verified_at=at
    )
    assert deliver(channel, at) == 12
    assert not RateLimit.objects.exists()


def test_an_operator_who_raises_it_lets_go_on_who_waited(
    send_to, channel, brevo, settings, at
):
    settings.UNVERIFIED_A_DAY = 5
    send_to(12)
    assert deliver(channel, at) == 5
    settings.UNVERIFIED_A_DAY = 9
    tick(at=at)
    assert Batch.objects.filter(state="waiting", not_before__lte=at).exists()
    assert deliver(channel, at) == 9


def test_a_test_mail_leaves_whatever_the_limit_says(campaign, settings, at):
    day = str(floor(at.timestamp() * windows.SLOTS / windows.SECONDS["day"]))
    limit = RateLimit.objects.create(
        provider="outbox", window="day", most=1, unverified=True, slots={day: 1}
    )
    assert limits.shut_for(Way("outbox", "bulk"), now=at)[0] > 0
    variant = compile_template(campaign.template, "lively", sender=campaign.sender)
    context = RecipientContext(data={}, links=InertLinks())
    assert send_test_mail(variant, context, to="me@shop.example")
    limit.refresh_from_db()
    assert limit.slots == {day: 1}


def test_options_that_cannot_be_read_stop_no_housekeeping(settings, at):
    settings.PROVIDER, settings.SMTP_URL = "smtp", "mail.example.com"
    tick(at=at)
    assert not RateLimit.objects.exists()


def test_the_default_is_five_hundred(brevo, at):
    heed("brevo", at=at)
    assert limits.most_at(RateLimit.objects.get(), at) == 500


def test_mail_about_an_order_neither_waits_nor_takes_of_the_few(
    send_to, channel, brevo, settings, at
):
    settings.UNVERIFIED_A_DAY = 2
    send_to(6)
    heed("brevo", at=at)
    Batch.objects.update(lane="transactional")
    assert deliver(channel, at, "transactional") == 6
    assert RateLimit.objects.get().slots == {}


def test_a_limit_of_the_shops_own_by_the_day_stands_beside_it(
    brevo, settings, at, admin_user
):
    settings.UNVERIFIED_A_DAY = 5
    heed("brevo", at=at)
    limits.set_limit("brevo", window="day", most=9, at=at, by=admin_user)
    assert sorted(limits.most_at(one, at) for one in RateLimit.objects.all()) == [5, 9]


@pytest.mark.parametrize(
    "name", ["console", "locmem", "filebased", "dummy"], ids=lambda name: name
)
def test_a_backend_that_delivers_nothing_is_known(name):
    assert account.delivers_nothing(f"django.core.mail.backends.{name}.EmailBackend")


@pytest.mark.parametrize("name", ["outbox", "console", "test"])
def test_a_provider_that_delivers_nothing_is_exempt(name):
    assert stands(name).state is State.STAYS_HERE


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "[::1]"])
@pytest.mark.parametrize("provider", ["smtp", "brevo", "amazon_ses"])
def test_a_server_on_this_machine_is_exempt(provider, host, settings):
    settings.SMTP_URL = f"smtp://{host}:2525"
    settings.ANYMAIL = {
        "BREVO_API_URL": f"http://{host}:8080/v3",
        "AMAZON_SES_CLIENT_PARAMS": {"endpoint_url": f"http://{host}:8080"},
    }
    standing = stands(provider)
    assert standing.state is State.STAYS_HERE
    assert not standing.limited
    assert "is not limited for being unverified" in standing.words


@pytest.mark.parametrize(
    "host", ["mail.example.com", "192.0.2.1", "localhost.example.com", "10.0.0.1"]
)
def test_a_server_elsewhere_is_not(host, settings):
    settings.SMTP_URL = f"smtp://{host}"
    assert stands("smtp").state is State.UNVERIFIED


def test_a_shop_whose_mail_stays_here_sends_as_much_as_it_likes(
    send_to, channel, settings, at
):
    settings.UNVERIFIED_A_DAY = 1
    send_to(9)
    assert deliver(channel, at) == 9
    assert not RateLimit.objects.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"BREVO_API_URL": "https://api.brevo.example/v3"},
        {"SEND_DEFAULTS": {"esp_extra": {"sender": {"id": 7}}}},
    ],
    ids=["another address", "other defaults"],
)
def test_settings_that_change_take_the_verification_with_them(brevo, settings, changed):
    ProviderVerification.objects.create(
        provider="brevo", digest=fingerprint("brevo"), verified_at="2026-11-01T00:00Z"
    )
    assert stands("brevo").state is State.VERIFIED
    settings.ANYMAIL = {**BREVO, **changed}
    standing = stands("brevo")
    assert (standing.state, standing.limited) == (State.CHANGED, True)
    settings.ANYMAIL = dict(BREVO)
    assert stands("brevo").state is State.VERIFIED


def test_another_server_is_another_provider_and_another_password_is_not(settings):
    settings.SMTP_URL = "smtp://attune:one@mail.example.com:587"
    first = fingerprint("smtp")
    settings.SMTP_URL = "smtp://attune:two@mail.example.com:587?connections=4"
    assert fingerprint("smtp") == first
    for url in ("smtp://attune:one@mx.example.com:587", "smtps://a@mail.example.com"):
        settings.SMTP_URL = url
        assert fingerprint("smtp") != first
    settings.SMTP_URL = "smtp://attune:one@mail.example.com:587"
    settings.BOUNCE_ADDRESS = read_return_path("bounces@mail.example.com")
    assert fingerprint("smtp") != first


def test_a_digest_knows_no_secret_and_no_other_provider(settings):
    secrets = {
        "AMAZON_SES_CLIENT_PARAMS": {
            "region_name": "eu-west-1",
            "aws_access_key_id": "a",
            "aws_secret_access_key": "b",
        },
        "WEBHOOK_SECRET": "attune:c",
        "BREVO_API_KEY": "d",
    }
    settings.ANYMAIL = secrets
    kept = fingerprint("amazon_ses")
    settings.ANYMAIL = {"AMAZON_SES_CLIENT_PARAMS": {"region_name": "eu-west-1"}}
    assert fingerprint("amazon_ses") == kept
    settings.ANYMAIL = {"AMAZON_SES_CLIENT_PARAMS": {"region_name": "eu-west-3"}}
    assert fingerprint("amazon_ses") != kept


def upgrade():
    migration = importlib.import_module("campaigns.migrations.0022_verification")
    migration.keep_who_sends(apps, None)


@pytest.fixture
def has_sent(send_to, channel, at):
    """Mail that was accepted before the upgrade."""
    send = send_to(12)
    deliver(channel, at)
    return send


def test_a_shop_that_has_sent_before_is_not_strangled_by_the_upgrade(
    has_sent, channel, brevo, settings, at, admin_client
):
    settings.UNVERIFIED_A_DAY = 5
    SendAttempt.objects.update(provider="brevo")
    upgrade()
    Message.objects.update(state="waiting", settled_at=None)
    Batch.objects.update(state="waiting", not_before=at)
    has_sent.__class__.objects.update(state="sending")
    assert deliver(channel, at + DAY) == 24
    assert not RateLimit.objects.exists()
    page = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "brevo took mail before there was a verification" in page
    assert "manage.py verify_provider brevo --seeds" in page


def test_what_was_used_before_goes_on_with_the_settings_of_then_only(
    brevo, settings, at
):
    ProviderVerification.objects.create(provider="brevo", used_before=True)
    heed("brevo", at=at)
    assert ProviderVerification.objects.get().digest == fingerprint("brevo")
    settings.ANYMAIL = {**BREVO, "BREVO_API_URL": "https://api.brevo.example/v3"}
    heed("brevo", at=at)
    assert stands("brevo").state is State.CHANGED
    assert RateLimit.objects.get().unverified


def test_attempts_that_are_forgotten_leave_the_breaker_to_tell(has_sent):
    Breaker.objects.create(provider="smtp", lane="bulk")
    upgrade()
    assert list(ProviderVerification.objects.values_list("provider", flat=True)) == [
        "smtp"
    ]


def test_a_shop_that_has_sent_nothing_begins_unverified(db):
    Breaker.objects.create(provider="smtp", lane="bulk")
    upgrade()
    assert not ProviderVerification.objects.exists()


def test_the_page_tells_of_the_limit_and_nobody_removes_it(admin_client, brevo, at):
    heed("brevo", at=at)
    page = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "brevo is not verified. At most 500 customers a day" in page
    assert "while brevo is not verified" in page
    limit = RateLimit.objects.get()
    where = reverse("campaigns:remove_limit", args=[limit.pk])
    assert where not in page
    assert admin_client.post(where).status_code == 404
    assert RateLimit.objects.filter(pk=limit.pk).exists()


def test_copies_and_a_plan_know_the_limit(send_to, brevo, settings, at):
    settings.UNVERIFIED_A_DAY = 10
    send = send_to(30)
    heed("brevo", at=at)
    seconds = limits.seconds_for(30, Way("brevo", "bulk"), send, now=at)
    assert seconds == pytest.approx(2 * 86_400)


def test_options_that_cannot_be_read_are_told_on_the_page(admin_client, settings):
    with override_settings(PROVIDER="smtp", SMTP_URL="mail.example.com"):
        page = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "ATTUNE_SMTP_URL needs an address" in page
    assert verification.COMMAND == "manage.py verify_provider"
