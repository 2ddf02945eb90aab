"""Every backend of Anymail with one mail to one awkward address: sending.md 1.2."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus

import pytest

from campaigns.content.arrived import Expected
from campaigns.content.links import Links
from campaigns.content.render import RecipientContext
from campaigns.sending.channels import (
    CHANNELS,
    Envelope,
    InDoubt,
    Receipt,
    Refused,
    channel_for,
)
from campaigns.sending.channels.anymail import PROVIDERS, WITHOUT_METADATA
from campaigns.sending.channels.calls import CALLS
from campaigns.sending.parts import problems_of_call

KEYS = ["a tracking key for tests"]
PUBLIC_ID = 987_654_321_987
# Capitals, and a domain of another script as it travels.
TO = "Bob.O@xn--bcher-kva.example"
# How each is set up, and what it says when it takes a mail.
TAKES = {
    "brevo": ({"API_KEY": "k"}, {"messageId": "m"}),
    "mailersend": ({"API_TOKEN": "k"}, b""),
    "mailgun": (
        {"API_KEY": "k", "SENDER_DOMAIN": "shop.example"},
        {"id": "m", "message": "Queued."},
    ),
    "mailjet": (
        {"API_KEY": "k", "SECRET_KEY": "k"},
        {"Messages": [{"Status": "success", "To": [{"Email": TO, "MessageID": 7}]}]},
    ),
    "mailtrap": ({"API_TOKEN": "k"}, {"success": True, "message_ids": ["m"]}),
    "mandrill": ({"API_KEY": "k"}, [{"email": TO, "status": "sent", "_id": "m"}]),
    "postal": (
        {"API_KEY": "k"},
        {"status": "success", "data": {"messages": {TO: {"id": 7}}}},
    ),
    "postmark": (
        {"SERVER_TOKEN": "k"},
        {"ErrorCode": 0, "Message": "OK", "MessageID": "m", "To": TO},
    ),
    "resend": ({"API_KEY": "k"}, {"id": "m"}),
    "scaleway": (
        {"SECRET_KEY": "k", "PROJECT_ID": "p"},
        {"emails": [{"mail_rcpt": TO, "id": "m", "status": "new"}]},
    ),
    "sendgrid": ({"API_KEY": "k"}, b""),
    "sparkpost": (
        {"API_KEY": "k"},
        {
            "results": {
                "total_accepted_recipients": 1,
                "total_rejected_recipients": 0,
                "id": "m",
            }
        },
    ),
    "unisender_go": (
        {"API_KEY": "k"},
        {"status": "success", "job_id": "m", "emails": [TO]},
    ),
}
GONE = f"Found inactive addresses: {TO}. Inactive recipients are ones that bounced."
# The same mail, refused; read from the statuses that Anymail raises with.
REFUSES = {
    "mailersend": (
        202,
        {
            "warnings": [
                {
                    "type": "ALL_SUPPRESSED",
                    "recipients": [{"email": TO, "reasons": ["blocklisted"]}],
                }
            ]
        },
    ),
    "mailjet": (
        400,
        {
            "Messages": [
                {
                    "Status": "error",
                    "Errors": [{"ErrorCode": "mj-0013", "StatusCode": 400}],
                }
            ]
        },
    ),
    "mandrill": (200, [{"email": TO, "status": "rejected", "reject_reason": "spam"}]),
    "postmark": (422, {"ErrorCode": 406, "Message": GONE}),
    "scaleway": (
        200,
        {"emails": [{"mail_rcpt": TO, "id": "m", "status": "failed"}]},
    ),
    "sparkpost": (
        200,
        {
            "results": {
                "total_accepted_recipients": 0,
                "total_rejected_recipients": 1,
                "id": "m",
            }
        },
    ),
    "unisender_go": (
        200,
        {"status": "success", "emails": [], "failed_emails": {TO: "unsubscribed"}},
    ),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        code, said = self.server.says
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json" if content else "text/html")
        self.send_header("Content-Length", str(len(content)))
        if not content:
            self.send_header("X-Message-Id", "m")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.got = True, []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hand_over(server, settings, shop_variant):
    """Hand one mail over; what came of it, and what its provider got."""

    def hand_over(name, code, says):
        settings.PROVIDER = name
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        options = TAKES[name][0] | {"API_URL": url}
        settings.ANYMAIL = {
            f"{name}_{key}".upper(): text for key, text in options.items()
        }
        server.got, server.says, server.shown = [], (code, says), []
        channel = channel_for(name)
        channel.shown = server.shown.append
        links = Links("https://mail.shop.example", PUBLIC_ID, KEYS)
        context = RecipientContext({"customer": {"first_name": "Bob"}}, links)
        mail = channel.compose(Envelope(1, PUBLIC_ID, 2, 3, TO), shop_variant, context)
        assert channel.check(mail) == ""
        [result] = channel.hand_over([mail])
        channel.close()
        [body] = server.got
        return result, unquote_plus(body.decode()), mail

    return hand_over


@pytest.mark.parametrize("name", sorted(set(PROVIDERS) - {"amazon_ses"}))
def test_one_mail_alone_keeps_its_address_its_headers_and_what_it_is_known_by(
    hand_over, name
):
    """F22, T1 to T3; test_ses.py has the one that speaks MIME."""
    code = 202 if name in {"sendgrid", "mailersend"} else 200
    result, got, mail = hand_over(name, code, TAKES[name][1])
    assert isinstance(result, Receipt)
    assert set(re.findall(r"[\w.]+@xn--[\w.-]+", got)) == {TO}
    assert f"<{mail.unsubscribe}>" in got
    assert "List-Unsubscribe=One-Click" in got
    assert (str(PUBLIC_ID) in got) is (name not in WITHOUT_METADATA)


@pytest.mark.parametrize("name", sorted(set(PROVIDERS) - {"amazon_ses"}))
def test_who_verifies_a_provider_finds_a_mail_in_its_call_and_misses_what_is_gone(
    hand_over, server, name
):
    code = 202 if name in {"sendgrid", "mailersend"} else 200
    _, _, mail = hand_over(name, code, TAKES[name][1])
    [call] = server.shown
    mine = Expected(TO, "Hello Bob", mail.unsubscribe)
    other = Expected("eve@example.com", "Hello Eve", "https://mail.shop.example/u/e")
    assert problems_of_call(call, mine, [other]) == []
    assert problems_of_call(call, other, [mine]) is None
    lost = mine._replace(unsubscribe=other.unsubscribe)
    assert problems_of_call(call, lost, [other]) == [
        "its List-Unsubscribe pair is missing"
    ]
    both = other._replace(word="Hooray")
    assert "another one's words" in " ".join(problems_of_call(call, mine, [both]))


@pytest.mark.parametrize("name", sorted(REFUSES))
def test_when_everybody_in_a_call_is_refused_their_statuses_are_read_all_the_same(
    hand_over, name
):
    """F21: Anymail raises then, and the statuses are on the message."""
    result, _, _ = hand_over(name, *REFUSES[name])
    assert isinstance(result, Refused)
    assert result.reason in {"invalid", "rejected", "failed"}


@pytest.mark.parametrize(("accepted", "rejected"), [(1, 1), (0, 0), (2, 0)])
def test_totals_that_name_nobody_leave_a_mail_in_doubt(hand_over, accepted, rejected):
    """T10: all that SparkPost tells."""
    totals = {
        "total_accepted_recipients": accepted,
        "total_rejected_recipients": rejected,
        "id": "m",
    }
    result, _, _ = hand_over("sparkpost", 200, {"results": totals})
    assert (type(result), result.reason) == (InDoubt, "accepted_unparsed")


def test_who_can_not_tell_recipients_apart_gets_one_mail_a_call():
    """T10; of SparkPost, which counts them, test_totals.py tells."""
    assert {"mailersend"}.isdisjoint({*CALLS, *CHANNELS})
