import json
from datetime import timedelta
from io import StringIO

import pytest
import requests
import responses
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from dns.resolver import NoResolverConfiguration

from campaigns.content.return_path import read_return_path
from campaigns.models import Batch, EngineNode, Message, ProviderVerification, Send
from campaigns.sending.account import fingerprint
from campaigns.sending.breaker import Way, open_breaker
from engagement import examining
from engagement.examining import examine
from engagement.models import DeadLetter, WebhookCall

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture(autouse=True)
def _a_folder_of_its_own(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def found(now):
    def of(about):
        return [(one.state, one.words) for one in examine(at=now) if one.about == about]

    return of


def test_a_new_shop_is_well_but_for_a_sender(found, now):
    states = {one.about: one.state for one in examine(at=now)}
    assert states.pop("engine") == "look"
    assert set(states.values()) == {"well"}
    assert len(states) == 15
    EngineNode.objects.create(name="x", role="engine", started_at=now, last_seen=now)
    assert found("engine") == [("well", "A sender is running; sends to do: 0.")]


def test_mail_that_waits_for_a_sender_is_broken(found, send):
    Send.objects.update(state="scheduled")
    ((state, words),) = found("engine")
    assert state == "broken"
    assert "Sends to do: 1. No sender is running" in words


def test_links_that_nobody_can_follow_are_broken(found, settings):
    settings.PROVIDER, settings.BASE_URL = "smtp", "http://127.0.0.1:8000"
    assert found("links")[0][0] == "broken"
    settings.BASE_URL = "http://mail.shop.example"
    assert found("links")[0][0] == "look"
    settings.BASE_URL = "https://mail.shop.example"
    assert found("links")[0][0] == "well"


def test_a_server_that_does_not_answer_is_told_and_the_rest_looked_at(
    found, settings, now
):
    settings.PROVIDER, settings.SMTP_URL = "smtp", "smtp://127.0.0.1:9"
    ((state, words),) = found("provider")
    assert state == "broken"
    assert "ConnectionRefusedError" in words
    assert [one.about for one in examine(at=now)][-1] == "reports"


def test_a_provider_that_is_left_alone_is_told_on_home_and_by_doctor(
    found, now, admin_user, admin_client
):
    assert len(found("provider")) == 1
    open_breaker(Way("outbox", "bulk"), at=now, by=admin_user)
    assert found("provider")[1][0] == "look"
    assert "opened by admin" in found("provider")[1][1]
    assert "No mail leaves by outbox" in admin_client.get("/admin/").content.decode()


def test_mail_by_smtp_that_comes_back_where_nobody_reads_it_is_told(found, settings):
    assert found("bounces") == []
    settings.PROVIDER, settings.SMTP_URL = "smtp", "smtp://127.0.0.1:9"
    ((state, words),) = found("bounces")
    assert (state, "ATTUNE_BOUNCE_ADDRESS" in words) == ("look", True)
    settings.BOUNCE_ADDRESS = read_return_path("bounces@mail.shop.example")
    ((state, words),) = found("bounces")
    assert (state, "bounces@mail.shop.example" in words) == ("well", True)


def test_a_broker_that_does_not_answer_is_broken(found, settings):
    settings.BROKER_URL = "redis://127.0.0.1:9/0"
    assert found("broker")[0][0] == "broken"


def test_domains_are_looked_at_and_without_a_dns_nothing_is_held_against_them(
    found, settings, sender, monkeypatch
):
    assert found("dns")[0][0] == "well"
    settings.PROVIDER, settings.SMTP_URL = "smtp", "smtp://127.0.0.1:9"

    def nowhere():
        raise NoResolverConfiguration

    monkeypatch.setattr(examining, "Resolver", nowhere)
    assert found("dns") == [
        ("look", "The DNS could not be asked: none is set up here.")
    ]
    asked = []

    def look_up(domain, **named):
        asked.append((domain, named["selectors"], named["return_path"]))
        return iter([("broken", "Two records.")])

    monkeypatch.setattr(examining, "Resolver", lambda: None)
    monkeypatch.setattr(examining, "look_up", look_up)
    settings.DKIM_SELECTOR = "spring"
    settings.BOUNCE_ADDRESS = read_return_path("@bounces.shop.example")
    assert found("dns") == [("broken", "Two records.")]
    assert asked == [("lindenandloam.example", ("spring",), "bounces.shop.example")]


def test_an_address_that_no_provider_could_post_to_is_told(found, settings):
    settings.PROVIDER, settings.BASE_URL = "brevo", "https://mail.shop.example"
    settings.ANYMAIL = settings.ANYMAIL | {"BREVO_API_KEY": "k"}
    address = "https://mail.shop.example/anymail/brevo/tracking/"
    for answer, state in (
        ({}, "well"),
        ({"status": 301}, "broken"),
        ({"body": requests.exceptions.SSLError()}, "broken"),
        ({"body": requests.ConnectionError()}, "look"),
    ):
        with responses.RequestsMock() as web:
            web.head(address, **answer)
            assert found("webhook")[0][0] == state


def test_a_provider_that_reports_nothing_is_told_and_not_called_broken(found, settings):
    settings.PROVIDER, settings.BASE_URL = "scaleway", "https://mail.shop.example"
    [(state, words)] = found("webhook")
    assert state == "look"
    assert "no complaint suppresses anybody" in words


@pytest.mark.django_db(transaction=True)
def test_an_engine_does_not_start_while_its_clock_and_the_databases_differ():
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        if connection.vendor == "sqlite":  # it goes by the clock here
            call_command("run_engine", once=True, stdout=StringIO())
        else:
            with pytest.raises(CommandError, match="-60 s from this one"):
                call_command("run_engine", once=True)


def test_a_secret_that_others_can_read_is_named(found, tmp_path):
    for name, mode in (("tracking_key", 0o644), ("webhook_secret", 0o600)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    ((state, words),) = found("secrets")
    assert (state, "tracking_key" in words, "webhook_secret" in words) == (
        "look",
        True,
        False,
    )


def test_migrations_that_were_not_run_are_named(found, monkeypatch):
    class Executor(examining.MigrationExecutor):
        def migration_plan(self, targets, clean_start=False):
            return [(self.loader.graph.nodes[("engagement", "0001_initial")], False)]

    monkeypatch.setattr(examining, "MigrationExecutor", Executor)
    assert found("migrations") == [
        (
            "broken",
            "Migrations that were not run: 1, engagement 0001_initial first. Run "
            "`manage.py migrate`.",
        )
    ]


def test_what_waits_for_a_person_or_was_left_behind_is_counted(found, message, now):
    Message.objects.update(state="in_doubt")
    Batch.objects.create(
        send=message.send,
        variant=message.send.variants.first(),
        state="handing_over",
        lease_until=now - timedelta(hours=1),
        not_before=now,
    )
    call = WebhookCall.objects.create(
        provider="x",
        body=b"",
        sha256="x",
        received_at=now - timedelta(hours=1),
        not_before=now - timedelta(hours=1),
    )
    DeadLetter.objects.create(call=call, place=0, said="", problem="", failed_at=now)
    assert found("doubt")[0][0] == "look"
    assert found("leases")[0][0] == "broken"
    assert [state for state, _ in found("reports")] == ["broken", "look"]


def test_the_command_prints_a_line_a_finding_and_ends_with_one_where_broken(settings):
    out = StringIO()
    call_command("doctor", stdout=out)
    lines = out.getvalue().splitlines()
    assert len(lines) == 16
    assert lines[0].startswith("ok      settings")
    settings.BROKER_URL = "redis://127.0.0.1:9/0"
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", format="json", stdout=out)
    assert ended.value.code == 1
    states = {one["about"]: one["state"] for one in json.loads(out.getvalue())}
    assert states["broker"] == "broken"


def test_the_page_says_the_same_the_worst_first(admin_client, found, send):
    Send.objects.update(state="scheduled")
    page = admin_client.get(reverse("engagement_admin:doctor")).content.decode()
    assert "Not everything works: 1 thing broken." in page
    assert page.index("Engine") < page.index("Migrations")


def test_who_has_verified_nothing_is_told_how(found, settings, now):
    assert found("verification") == []  # the outbox delivers nothing
    settings.PROVIDER, settings.SMTP_URL = "smtp", "smtp://mail.example.com"
    ((state, words),) = found("verification")
    assert state == "look"
    assert "smtp is not verified. At most 500 customers a day" in words
    assert "manage.py verify_provider smtp --seeds" in words
    known = {"provider": "smtp", "digest": fingerprint("smtp"), "verified_at": now}
    ProviderVerification.objects.create(**known, by="Mara", sender="hello@shop.example")
    ((state, words),) = found("verification")
    assert (state, "by Mara" in words) == ("well", True)
    settings.SMTP_URL = "smtp://127.0.0.1:9"
    ((state, words),) = found("verification")
    assert (state, "on this machine" in words) == ("well", True)
