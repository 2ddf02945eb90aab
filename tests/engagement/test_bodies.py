import json
from datetime import UTC, datetime

import pytest

from engagement import inbox
from engagement.bodies import mended, pieces

AT = datetime(2023, 11, 3, tzinfo=UTC)
ABOUT = {"d": "4"}
RIGHT = [
    ("brevo", {"X-Mailin-custom": json.dumps(ABOUT), "ts_epoch": 1_699_000_000_123}),
    ("mailgun", {"event-data": {"timestamp": 1_699_000_000.25}}),
    ("mailjet", [{"Payload": json.dumps(ABOUT), "time": 1_699_000_000}]),
    ("mailtrap", {"events": [{"message_id": "m", "timestamp": 1_699_000_000}]}),
    ("postmark", {"Metadata": ABOUT, "ReceivedAt": "2023-11-03T08:26:40Z"}),
    ("resend", {"data": {"to": ["cleo@example.com"]}}),
    ("sendgrid", [{"timestamp": 1_699_000_000, "type": "bounce"}]),
    ("sparkpost", [{"msys": {"track_event": {"raw_rcpt_to": "a", "rcpt_to": "a"}}}]),
    ("unisender_go", {"event_name": "transactional_email_status", "metadata": ABOUT}),
    ("amazon_ses", {"Message": json.dumps({"eventType": "Send", "send": {}})}),
    ("amazon_ses", {"Message": "The topic is ready."}),
    ("no_such_provider", {"a": 1}),
]


@pytest.mark.parametrize(("provider", "said"), RIGHT)
def test_a_report_in_which_nothing_is_wrong_is_read_as_it_came(provider, said):
    body = json.dumps(said, indent=2).encode()
    assert mended(provider, body, "application/json", at=AT) is body


@pytest.mark.parametrize("provider", sorted(inbox.tracking_views()))
@pytest.mark.parametrize(
    "body", [b"", b"{", b"7", b'"x"', b"[[7]]", b"\xff", b'{"events": 7}', b"[]"]
)
def test_what_is_no_report_is_left_as_it_is(provider, body):
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        assert mended(provider, body, kind, at=AT) == body


@pytest.mark.parametrize(
    "body", [b"event=opened&x=%5Bnull%5D", b"x=%5Bnull%5D&event=opened"]
)
def test_a_form_of_mailguns_is_left_as_it_is_whatever_stands_in_it(body):
    kind = "application/x-www-form-urlencoded"
    assert mended("mailgun", body, kind, at=AT) is body


def test_a_call_is_cut_into_its_events_whatever_list_holds_them():
    batches = {
        "application/json": [
            [1, 2],
            {"events": [1, 2], "tags": ["a"]},
            {"events_by_user": [{"events": [1]}, {"user_id": 5, "events": [2]}]},
        ],
        "application/x-www-form-urlencoded": ["mandrill_events=%5B1%2C2%5D"],
    }
    for kind, bodies in batches.items():
        for body in bodies:
            raw = body if isinstance(body, str) else json.dumps(body)
            assert len(list(pieces(raw.encode(), kind))) == 2
    for body in (b"{}", b'{"tags": ["a", "b"]}', b"3"):
        assert list(pieces(body, "application/json")) == []
