"""Anymail's SES backend and the real boto3 against an SES on this machine."""

import base64
import json
import threading
import time
from email import message_from_bytes
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from anymail.backends.amazon_ses import AmazonSESV2SendEmailPayload

from campaigns.sending.channels import (
    Envelope,
    InDoubt,
    Misconfigured,
    Receipt,
    channel_for,
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(json.loads(body))
        if self.server.slow:
            time.sleep(1.0)
            self.close_connection = True
            return
        content = b'{"MessageId": "ses-1"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def ses():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.taken, server.slow = True, [], False
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hand_over(ses, settings, shop_variant, ines):
    settings.PROVIDER = "amazon_ses"
    settings.ANYMAIL = {
        "AMAZON_SES_CLIENT_PARAMS": {
            "endpoint_url": f"http://127.0.0.1:{ses.server_address[1]}",
            "aws_access_key_id": "a",
            "aws_secret_access_key": "s",
            "region_name": "eu-west-1",
        },
        "REQUESTS_TIMEOUT": 0.5,
    }

    def hand_over():
        channel = channel_for("amazon_ses")
        mail = channel.compose(
            Envelope(1, 77, 2, 3, "ines@example.com"), shop_variant, ines
        )
        assert channel.check(mail) == ""
        [result] = channel.hand_over([mail])
        channel.close()
        return result, mail

    return hand_over


def test_ses_gets_one_address_and_every_header(ses, hand_over):
    result, mail = hand_over()
    assert result == Receipt("ses-1")
    [request] = ses.taken
    assert request["Destination"] == {"ToAddresses": ["ines@example.com"]}
    raw = base64.b64decode(request["Content"]["Raw"]["Data"])
    got = message_from_bytes(raw, policy=modern)
    assert got["List-Unsubscribe"].strip() == f"<{mail.unsubscribe}>"
    assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert json.loads(got["X-Metadata"])["d"] == "77"


def test_an_answer_that_comes_too_late_is_asked_for_once(ses, hand_over):
    """T5: boto3 by itself would have sent three mails."""
    ses.slow = True
    result, _ = hand_over()
    assert isinstance(result, InDoubt)
    assert len(ses.taken) == 1


@pytest.mark.parametrize("name", ["List-Unsubscribe", "List-Unsubscribe-Post"])
def test_a_list_header_that_gets_lost_sends_nothing(ses, hand_over, name, monkeypatch):
    whole = AmazonSESV2SendEmailPayload.generate_raw_message

    def without(self):
        del self.mime_message[name]
        return whole(self)

    monkeypatch.setattr(AmazonSESV2SendEmailPayload, "generate_raw_message", without)
    result, _ = hand_over()
    assert isinstance(result, Misconfigured)
    assert "List-Unsubscribe" in result.detail
    assert ses.taken == []


def test_an_id_that_gets_lost_sends_nothing(ses, hand_over, monkeypatch):
    monkeypatch.setattr(AmazonSESV2SendEmailPayload, "set_metadata", lambda *_: None)
    result, _ = hand_over()
    assert isinstance(result, Misconfigured)
    assert ses.taken == []


def test_a_second_recipient_sends_nothing(ses, hand_over, monkeypatch):
    def twice(self, kind, emails):
        self.all_recipients += emails
        self.params["Destination"] = {"ToAddresses": ["a@example.com"] * 2}

    monkeypatch.setattr(AmazonSESV2SendEmailPayload, "set_recipients", twice)
    result, _ = hand_over()
    assert isinstance(result, Misconfigured)
    assert ses.taken == []
