"""Mail that came back, from a mail server's pipe to what becomes of the customer."""

import io
import itertools
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from campaigns.content.links import manage_token, track_token
from campaigns.content.return_path import read_return_path
from campaigns.models import Message
from campaigns.sending.engine import run_once
from customers.models import Suppression
from engagement import bounce_mail, inbox
from engagement.bounce_mail import BOUNCE_MAIL, KEPT_BYTES
from engagement.management.commands import take_bounce
from engagement.models import DeadLetter, MessageEngagement, TrackingEvent, WebhookCall

pytestmark = pytest.mark.django_db
PATH = read_return_path("bounces@mail.shop.example")


@pytest.fixture
def back_to(message, settings):
    """Where Ada's mail comes back to."""
    settings.BROKER_URL = ""
    return PATH.of(message.public_id, settings.TRACKING_KEYS)


@pytest.fixture
def pipe(monkeypatch):
    """A mail server that hands one mail over and looks at how the command ends."""

    def deliver(raw, *recipient):
        stdin = SimpleNamespace(buffer=io.BytesIO(raw))
        monkeypatch.setattr(sys, "stdin", stdin)
        try:
            call_command("take_bounce", *recipient)
        except SystemExit as ended:
            return ended.code
        assert stdin.buffer.read() == b""
        return 0

    return deliver


def take_in():
    inbox.take_in_open(at=datetime.now(UTC))


def told():
    return [
        (event.event_type, event.detail.get("status"))
        for event in TrackingEvent.objects.order_by("pk")
    ]


def test_a_dead_address_is_suppressed_once_an_engine_has_its_turn(
    pipe, back_to, message, mails
):
    assert pipe(mails.report(back_to), back_to) == 0
    assert not Suppression.objects.exists()
    assert run_once(at=datetime.now(UTC)).beside == 1
    found = Suppression.objects.get()
    assert (found.address, found.reason) == (message.address_wire, "bounced")
    assert told() == [("bounced", "5.1.1")]
    bounced_at = MessageEngagement.objects.get(message=message).bounced_at
    assert bounced_at == datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize("header", ["To", "Delivered-To", "X-Original-To"])
@pytest.mark.parametrize("fold", [str, str.upper])
def test_the_address_is_found_in_the_headers_too(pipe, back_to, header, fold, mails):
    raw = mails.report("x@mail.shop.example")
    assert pipe(f"{header}: <{fold(back_to)}>\n".encode() + raw) == 0
    take_in()
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            lambda mails, to: mails.report(to, action="delayed", status="4.4.1"),
            "deferred",
        ),
        (lambda mails, to: mails.letter(to, "I am away until Monday."), "unknown"),
        (
            lambda mails, to: mails.letter(
                to, "Away.", more="Auto-Submitted: auto-replied\n"
            ),
            "autoresponded",
        ),
        (
            lambda mails, to: mails.report(
                to, status="4.4.7", diagnostic="smtp; 421 no"
            ),
            "bounced",
        ),
        (lambda mails, to: mails.report(to, status="5.2.2"), "bounced"),
        (lambda mails, to: mails.report(to, status="5.7.1"), "bounced"),
    ],
    ids=["delay", "no mark", "away", "expired", "full", "policy"],
)
def test_what_says_nothing_against_an_address_suppresses_nobody(
    pipe, back_to, mails, raw, expected
):
    assert pipe(raw(mails, back_to), back_to) == 0
    take_in()
    assert [kind for kind, _ in told()] == [expected]
    assert not Suppression.objects.exists()
    assert not DeadLetter.objects.exists()


def test_a_mail_without_a_token_of_ours_is_not_kept(
    pipe, back_to, message, settings, mails
):
    keys = settings.TRACKING_KEYS
    foreign = PATH.of(message.public_id, ["somebody else's tracking key"])
    spoilt = back_to.replace("+", "+x")
    for address in (
        foreign,
        spoilt,
        str(PATH),
        f"bounces+{track_token(message.public_id, keys)}@mail.shop.example",
        f"bounces+{manage_token(message.public_id, keys)}@mail.shop.example",
        message.address_wire,
    ):
        assert pipe(mails.report(address), address) == 0
    # Neither does what a mail holds name a message.
    assert pipe(mails.report("x@y.example") + back_to.encode(), "x@y.example") == 0
    assert not WebhookCall.objects.exists()


def test_a_token_of_no_message_suppresses_nobody(pipe, settings, mails):
    address = PATH.of(0, settings.TRACKING_KEYS)
    assert pipe(mails.report(address), address) == 0
    take_in()
    assert TrackingEvent.objects.get().message is None
    assert not Suppression.objects.exists()


def test_whoever_a_report_names_only_the_one_who_was_mailed_is_suppressed(
    pipe, back_to, message, bo, mails
):
    raw = mails.report(back_to).replace(b"ada@example.com", bo.email.encode())
    assert pipe(raw, back_to) == 0
    take_in()
    assert [one.address for one in Suppression.objects.all()] == [message.address_wire]


def test_the_same_report_again_or_by_another_way_is_one_event(pipe, back_to, mails):
    for hop in (b"", b"", b"Received: by backup.mx.example\n"):
        assert pipe(hop + mails.report(back_to), back_to) == 0
        take_in()
    assert WebhookCall.objects.count() == 2
    assert told() == [("bounced", "5.1.1")]


def test_reports_in_any_order_end_in_the_same_state(pipe, back_to, mails):
    came_back = [
        mails.report(back_to, action="delayed", status="4.4.1", message_id="<1@mx>"),
        mails.report(
            back_to, message_id="<2@mx>", date="Mon, 02 Mar 2026 08:50:00 +0000"
        ),
        mails.report(back_to, status="5.7.1", message_id="<3@mx>"),
        mails.letter(back_to, "Away.", more="Auto-Submitted: auto-replied\n"),
    ]
    states = set()
    for order in itertools.permutations(came_back):
        for raw in (*order, order[0]):
            pipe(raw, back_to)
            take_in()
        rows = TrackingEvent.objects.order_by("dedupe_key")
        states.add(
            (
                tuple(rows.values_list("dedupe_key", "occurred_at")),
                tuple(MessageEngagement.objects.values_list("bounced_at")),
                tuple(Suppression.objects.values_list("address", "reason")),
            )
        )
        for model in (TrackingEvent, MessageEngagement, Suppression, WebhookCall):
            model.objects.all().delete()
    assert len(states) == 1


@pytest.mark.parametrize("more", ["", "Auto-Submitted: auto-replied\n"])
def test_what_comes_back_proves_that_a_mail_in_doubt_was_taken(
    pipe, back_to, message, more, mails
):
    Message.objects.update(state="in_doubt")
    raw = mails.letter(back_to, "Away.", more=more) if more else mails.report(back_to)
    pipe(raw, back_to)
    take_in()
    message.refresh_from_db()
    assert message.state == "accepted"


def test_a_clock_that_runs_ahead_tells_of_nothing_to_come(pipe, back_to, mails):
    pipe(mails.report(back_to, date="Mon, 02 Mar 2099 08:30:00 +0000"), back_to)
    take_in()
    assert TrackingEvent.objects.get().occurred_at < datetime.now(UTC)


def test_a_database_that_is_away_has_the_mail_come_again(
    pipe, back_to, monkeypatch, mails
):
    def away(*_, **__):
        raise OperationalError("could not write ada@example.com")

    with monkeypatch.context() as broken:
        broken.setattr(WebhookCall.objects, "get_or_create", away)
        assert pipe(mails.report(back_to), back_to) == 75
    assert pipe(mails.report(back_to), back_to) == 0
    assert WebhookCall.objects.count() == 1


NESTED = b"".join(
    b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (one, one + 1)
    for one in range(5000)
)
HOSTILE = {
    "empty": b"",
    "NUL": b"\0" * 1000,
    "nested": b"Content-Type: multipart/mixed; boundary=b0\n\n" + NESTED,
    "enclosed": b"Content-Type: message/rfc822\n\n" * 5000,
    "huge header": b"X-Failed-Recipients: " + b'(<a,;"\\' * 1_000_000,
    "charset": b"Content-Type: text/plain; charset=\xff\0no-such\n\n\xff\xfe\0",
    "10 MB": b"\n" + b"a@b" * 3_500_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail_ends_in_an_event_or_a_letter_and_never_in_an_error(
    pipe, back_to, name
):
    assert pipe(HOSTILE[name], back_to) == 0
    call = WebhookCall.objects.get()
    assert len(bytes(call.body)) <= KEPT_BYTES
    take_in()
    call.refresh_from_db()
    assert call.done_at is not None
    assert TrackingEvent.objects.count() + DeadLetter.objects.count() == 1
    assert not Suppression.objects.exists()


def test_what_breaks_the_reader_is_a_letter_and_can_be_taken_in_again(
    pipe, back_to, monkeypatch, mails
):
    with monkeypatch.context() as broken:
        broken.setattr(bounce_mail, "read_bounce", lambda _: 1 / 0)
        pipe(mails.report(back_to), back_to)
        take_in()
    found = DeadLetter.objects.get()
    assert (found.call.provider, found.place) == (BOUNCE_MAIL, inbox.WHOLE)
    inbox.try_again(found, at=datetime.now(UTC) + timedelta(minutes=1))
    assert told() == [("bounced", "5.1.1")]


def test_logs_name_no_address(pipe, back_to, caplog, monkeypatch, mails):
    caplog.set_level("DEBUG")
    pipe(mails.report("nobody@x.example"), "nobody@x.example")
    pipe(mails.report(back_to), back_to)
    take_in()
    monkeypatch.setattr(
        take_bounce, "keep_mail", lambda *_, **__: _raise(OperationalError(back_to))
    )
    assert pipe(mails.report(back_to), back_to) == 75
    ours = [one for one in caplog.records if not one.name.startswith("django.db")]
    assert len(ours) >= 2
    assert not any("@" in one.getMessage() for one in ours)


def _raise(problem):
    raise problem


@pytest.fixture
def maildir(tmp_path):
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_maildir_is_emptied_of_what_is_ours(maildir, back_to, mails):
    (maildir / "new" / "1.ours").write_bytes(mails.report(back_to))
    (maildir / "new" / "2.other").write_bytes(
        mails.letter("bounces@x.example", "Hello")
    )
    call_command("take_bounce", maildir=maildir)
    left = sorted(path.name for path in maildir.rglob("*") if path.is_file())
    assert left == ["2.other:2,"]
    assert (maildir / "cur" / "2.other:2,").exists()
    take_in()
    assert Suppression.objects.count() == 1


def test_a_maildir_loses_no_mail_while_the_database_is_away(
    maildir, back_to, monkeypatch, mails
):
    (maildir / "new" / "1.ours").write_bytes(mails.report(back_to))
    with monkeypatch.context() as broken:
        problem = OperationalError()
        broken.setattr(take_bounce, "keep_mail", lambda *_, **__: _raise(problem))
        with pytest.raises(SystemExit) as ended:
            call_command("take_bounce", maildir=maildir)
    assert ended.value.code == 75
    assert (maildir / "new" / "1.ours").exists()


def test_a_folder_that_is_no_maildir_is_told(tmp_path):
    with pytest.raises(CommandError, match="no Maildir"):
        call_command("take_bounce", maildir=tmp_path)


@pytest.mark.slow
def test_a_process_that_finds_no_database_asks_for_the_mail_again(tmp_path, mails):
    key = "a tracking key of this test"
    environment = os.environ | {
        "ATTUNE_DATA_DIR": str(tmp_path),
        "ATTUNE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nowhere",
        "ATTUNE_TRACKING_KEYS": key,
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "take_bounce"],
        cwd=settings.BASE_DIR,
        env=environment,
        input=mails.report(PATH.of(7, [key])),
        capture_output=True,
    )
    assert done.returncode == 75
    assert b"Traceback" not in done.stderr
    assert b"@" not in done.stderr
