"""Anymail's real backends against a provider on this machine that misbehaves."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from anymail.exceptions import AnymailInvalidAddress, AnymailUnsupportedFeature

from campaigns.content.links import Links
from campaigns.content.render import RecipientContext, compile_variant
from campaigns.errors import ProviderMisconfigured
from campaigns.rendering import sender_facts, shared_blocks, words_of
from campaigns.sending.channels import (
    Busy,
    Envelope,
    InDoubt,
    Misconfigured,
    Receipt,
    Refused,
    channel_for,
)
from campaigns.sending.classify import LONGEST_WAIT, classify
from campaigns.sending.outbox import read_mail, read_outbox

KEYS = ["a tracking key for tests"]
OPTIONS = {
    "brevo": {"BREVO_API_KEY": "k"},
    "mailgun": {"MAILGUN_API_KEY": "k", "MAILGUN_SENDER_DOMAIN": "shop.example"},
    "postmark": {"POSTMARK_SERVER_TOKEN": "k"},
}
# What each says when it takes a mail.
TAKEN = {
    "brevo": (201, {"messageId": "<b1@brevo>"}),
    "mailgun": (200, {"id": "<m1@mailgun>", "message": "Queued. Thank you."}),
    "postmark": (
        200,
        {"ErrorCode": 0, "Message": "OK", "MessageID": "p1", "To": "ada@example.com"},
    ),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((dict(self.headers), body))
        mode = self.server.mode
        if mode == "reset":
            self.connection.close()
            return
        if mode == "slow":
            time.sleep(1.0)
            self.connection.close()
            return
        code, answer, headers = mode
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        declared = len(content) + (50 if "cut" in headers else 0)
        self.send_header("Content-Length", str(declared))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        if "cut" in headers:
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.taken, server.mode = [], (201, {}, {})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def variant(campaign):
    template = campaign.template
    return compile_variant(
        template.layout,
        shared_blocks(template),
        words_of(template.variants.get(tone="lively")),
        sender=sender_facts(campaign.sender),
    )


@pytest.fixture
def hand_over(settings, variant):
    """Hand one mail to a provider at an address; its result."""

    def hand_over(name, url, timeout=2):
        settings.PROVIDER = name
        settings.ANYMAIL = {
            **OPTIONS[name],
            f"{name.upper()}_API_URL": url,
            "REQUESTS_TIMEOUT": timeout,
        }
        channel = channel_for(name)
        links = Links("https://mail.shop.example", 7, KEYS)
        values = RecipientContext(data={"customer": {"first_name": "Ada"}}, links=links)
        mail = channel.compose(Envelope(1, 7, 2, 3, "ada@example.com"), variant, values)
        assert channel.check(mail) == ""
        [result] = channel.hand_over([mail])
        channel.close()
        return result

    return hand_over


pytestmark = pytest.mark.django_db
NAMES = pytest.mark.parametrize("name", list(OPTIONS))


@NAMES
def test_a_taken_mail_has_its_id_its_headers_and_one_address(provider, hand_over, name):
    code, answer = TAKEN[name]
    provider.mode = (code, answer, {})
    result = hand_over(name, provider.url)
    [(_, body)] = provider.taken
    assert isinstance(result, Receipt)
    assert result.provider_message_id.strip("<>")[0] == name[0]
    assert body.count(b"List-Unsubscribe-Post") == 1
    assert body.count(b"ada@example.com") + body.count(b"ada%40example.com") == 1
    assert b"/u/" in body or b"%2Fu%2F" in body


@NAMES
@pytest.mark.parametrize(
    ("code", "headers", "kind", "reason"),
    [
        (401, {}, Misconfigured, "not_sent_auth"),
        (403, {}, Misconfigured, "not_sent_auth"),
        (402, {}, Misconfigured, "not_sent_bad"),
        (404, {}, Misconfigured, "not_sent_bad"),
        (400, {}, Refused, "not_sent_bad"),
        (413, {}, Refused, "not_sent_bad"),
        (408, {}, InDoubt, "in_doubt"),
        (409, {}, InDoubt, "in_doubt"),
        (499, {}, InDoubt, "in_doubt"),
        (429, {"Retry-After": "7"}, Busy, "not_sent_throttle"),
        (503, {"Retry-After": "3"}, Busy, "not_sent_throttle"),
        (503, {}, InDoubt, "in_doubt"),
        (500, {}, InDoubt, "in_doubt"),
        (502, {}, InDoubt, "in_doubt"),
    ],
)
def test_a_status_is_classified(provider, hand_over, name, code, headers, kind, reason):
    provider.mode = (code, {"message": "no"}, headers)
    result = hand_over(name, provider.url)
    assert (type(result), result.reason) == (kind, reason)
    assert "ada@" not in result.detail
    if headers:
        assert result.wait_seconds == float(headers["Retry-After"])


@NAMES
def test_junk_behind_a_2xx_is_in_doubt_and_never_an_error(provider, hand_over, name):
    provider.mode = (201, b"<html>not json", {})
    result = hand_over(name, provider.url)
    assert (type(result), result.reason) == (InDoubt, "accepted_unparsed")


@NAMES
@pytest.mark.parametrize("mode", ["reset", "slow", (201, b"{", {"cut": "yes"})])
def test_no_whole_answer_is_in_doubt_and_asked_only_once(
    provider, hand_over, name, mode
):
    provider.mode = mode
    result = hand_over(name, provider.url, timeout=0.5)
    assert isinstance(result, InDoubt)
    assert len(provider.taken) == 1


@NAMES
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://nobody.invalid/", "https://127.0.0.1:9/"]
)
def test_a_closed_door_is_surely_not_sent(hand_over, name, url):
    result = hand_over(name, url)
    assert (type(result), result.reason) == (Busy, "not_sent_net")


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("Found inactive addresses: ada@example.com. Inactive recipients", "rejected"),
        ("something else about somebody", "not_sent_bad"),
    ],
)
def test_an_address_postmark_does_not_take_fails_alone(
    provider, hand_over, says, reason
):
    provider.mode = (422, {"ErrorCode": 406, "Message": says}, {})
    result = hand_over("postmark", provider.url)
    assert (type(result), result.reason) == (Refused, reason)


def test_an_empty_2xx_of_brevo_is_a_receipt_without_an_id(provider, hand_over):
    provider.mode = (201, b"", {})
    assert hand_over("brevo", provider.url) == Receipt("")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AnymailInvalidAddress("x"), Refused),
        (AnymailUnsupportedFeature("tags"), Misconfigured),
    ],
)
def test_what_is_raised_before_the_request_was_surely_not_sent(error, kind):
    assert type(classify(error, now_seconds=0)) is kind


def test_a_date_to_come_back_at_becomes_seconds_an_hour_at_most(provider, hand_over):
    soon = datetime.now(UTC) + timedelta(seconds=90)
    for when, least, most in ((soon, 60, 91), (soon + timedelta(days=9), 3600, 3600)):
        provider.mode = (429, {}, {"Retry-After": format_datetime(when, usegmt=True)})
        result = hand_over("brevo", provider.url)
        assert least <= result.wait_seconds <= most <= LONGEST_WAIT


def test_list_headers_that_a_backend_drops_stop_everything(
    provider, hand_over, monkeypatch
):
    monkeypatch.setattr(
        "anymail.backends.brevo.BrevoPayload.set_extra_headers", lambda *_: None
    )
    result = hand_over("brevo", provider.url)
    assert isinstance(result, Misconfigured)
    assert "List-Unsubscribe" in result.detail
    assert provider.taken == []


@pytest.mark.parametrize("name", ["", "sendmail", "brevo2", "../x"])
def test_a_provider_nobody_knows_is_named(name):
    with pytest.raises(ProviderMisconfigured, match="ATTUNE_PROVIDER"):
        channel_for(name)


def test_a_provider_without_its_key_says_which(settings):
    settings.ANYMAIL = {}
    with pytest.raises(ProviderMisconfigured, match="BREVO_API_KEY"):
        channel_for("brevo")


def test_the_outbox_keeps_a_mail_and_shows_a_replay(variant, settings):
    channel = channel_for("outbox")
    links = Links("https://mail.shop.example", 7, KEYS)
    values = RecipientContext(data={"customer": {"first_name": "Zoë"}}, links=links)
    mail = channel.compose(Envelope(1, 7, 2, 3, "zoe@example.com"), variant, values)
    assert channel.hand_over([mail]) == [Receipt("7")]
    assert channel.hand_over([mail]) == [Receipt("7.2")]
    page = read_outbox()
    assert {one.name for one in page.mails} == {"2/7.eml", "2/7.2.eml"}
    assert {(one.send_id, one.public_id, one.to) for one in page.mails} == {
        (2, 7, "zoe@example.com")
    }
    kept = read_mail("2/7.eml")
    assert kept["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert kept["Message-ID"] == "<d.7@shop.example>"
    assert "Zoë" in kept.get_body(("plain",)).get_content()
    assert not list(settings.OUTBOX_DIR.rglob("*.tmp"))


@pytest.mark.parametrize(
    "name", ["../secret.eml", "2/../7.eml", "2/7", "/etc/passwd", ""]
)
def test_only_kept_mails_can_be_read(name):
    with pytest.raises(FileNotFoundError):
        read_mail(name)


def test_an_outbox_that_can_t_be_written_is_surely_not_sent(
    variant, settings, tmp_path
):
    (tmp_path / "file").write_text("")
    settings.OUTBOX_DIR = tmp_path / "file" / "outbox"
    channel = channel_for("outbox")
    links = Links("https://mail.shop.example", 7, KEYS)
    mail = channel.compose(
        Envelope(1, 7, 2, 3, "a@example.com"), variant, RecipientContext({}, links)
    )
    [result] = channel.hand_over([mail])
    assert (type(result), result.reason) == (Busy, "not_sent_net")
