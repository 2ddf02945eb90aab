"""Up to fifty mails in one call of SES, through Anymail's backend and real boto3."""

import json
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from campaigns.content.links import Links
from campaigns.content.render import RecipientContext, render
from campaigns.content.skeleton import Skeleton
from campaigns.errors import ProviderMisconfigured
from campaigns.sending.channels import (
    NOT_REACHED,
    Busy,
    Envelope,
    InDoubt,
    Later,
    Misconfigured,
    Receipt,
    Refused,
    calls,
    channel_for,
)
from campaigns.sending.protocol import Lane, deliver_next_batch

KEYS = ["a tracking key for tests"]
SUCCESS = {"Status": "SUCCESS", "MessageId": "m"}


@pytest.fixture
def channel(many):
    return many("amazon_ses")


@pytest.fixture
def write(channel, shop_variant):
    """Mails to people of these names, each with what its customer should read."""

    def write(*names, variant=shop_variant):
        mails, said = [], []
        for number, name in enumerate(names):
            links = Links("https://mail.shop.example", 100 + number, KEYS)
            context = RecipientContext({"customer": {"first_name": name}}, links)
            address = f"person{number}@example.com"
            envelope = Envelope(number, 100 + number, 2, 3, address)
            mails.append(channel.compose(envelope, variant, context))
            said.append(render(variant, context))
        return mails, said

    return write


def words(fake):
    return [(one.subject, one.html, one.text) for one in fake.ledger]


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        ("MESSAGE_REJECTED", Refused, "not_sent_bad"),
        ("INVALID_PARAMETER", Refused, "not_sent_bad"),
        ("FAILED", Refused, "not_sent_bad"),
        ("TRANSIENT_FAILURE", Later, "later"),
        ("ACCOUNT_THROTTLED", Busy, "not_sent_throttle"),
        ("ACCOUNT_DAILY_QUOTA_EXCEEDED", Busy, "not_sent_throttle"),
        ("ACCOUNT_SUSPENDED", Misconfigured, "not_sent_bad"),
        ("MAIL_FROM_DOMAIN_NOT_VERIFIED", Misconfigured, "not_sent_bad"),
        ("CONFIGURATION_SET_SENDING_PAUSED", Misconfigured, "not_sent_bad"),
        ("SOMETHING_NEW", InDoubt, "accepted_unparsed"),
    ],
)
@pytest.mark.parametrize("others", [SUCCESS, None], ids=["one", "all"])
def test_each_answer_is_its_own_mail_s_also_where_all_have_the_same(
    fake, channel, write, status, kind, reason, others
):
    """F18, F21: the call itself was answered with 200."""
    said = {"Status": status, "Error": "person1@example.com"}
    told = [others or said, said, others or said]
    fake.script = [(200, {"BulkEmailEntryResults": told}, {}, False)]
    results = channel.hand_over(write("Ann", "Bo", "Cy")[0])
    assert (type(results[1]), results[1].reason) == (kind, reason)
    assert "person1" not in results[1].detail
    assert results[0] == results[2] == (Receipt("m") if others else results[1])
    assert len(fake.requests) == 1


def test_an_answer_that_comes_too_late_is_asked_for_once(
    fake, many, write, settings, monkeypatch
):
    """T5: boto3 by itself would have sent each mail three times."""
    channel = many("amazon_ses")
    channel.close()
    settings.ANYMAIL["REQUESTS_TIMEOUT"] = 0.3
    channel = channel_for("amazon_ses")
    answer = fake.answer

    def late(request):
        said = answer(request)
        time.sleep(0.8)
        return said

    monkeypatch.setattr(fake, "answer", late)
    results = channel.hand_over(write("Ann", "Bo")[0])
    channel.close()
    assert {type(one) for one in results} == {InDoubt}
    assert len(fake.requests) == 1


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'"x"', b"{", b""])
@pytest.mark.parametrize("names", [("Ann",), ("Ann", "Bo")], ids=["raw", "bulk"])
def test_an_answer_that_botocore_s_parser_stumbles_over_is_in_doubt(
    fake, channel, write, body, names
):
    """T7: it raises what no library of its own raises."""
    fake.script = [(200, body, {}, True)]
    results = channel.hand_over(write(*names)[0])
    assert {type(one) for one in results} == {InDoubt}
    assert len(fake.requests) == 1


def test_whose_name_would_be_code_travels_alone_as_it_is(fake, channel, write):
    names = ("Ann", "{{x}}", "Bo", "{", "}", "\\{{x}}", "a}}b")
    mails, said = write(*names)
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    assert sorted(fake.sizes) == [1, 1, 1, 1, 1, 2]
    assert sorted(words(fake)) == sorted((a.subject, a.html, a.text) for a in said)


def test_a_template_with_braces_is_told_as_values(fake, channel, write, shop_variant):
    css = "<style>@media x{a{b:c}}</style>{{ customer.first_name }}}}"
    hostile = Skeleton(css + "{% if links.pixel %}<i>{% endif %}}} {", "html")
    mails, said = write("Ann", "Bo", variant=replace(shop_variant, html=hostile))
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    assert words(fake) == [(one.subject, one.html, one.text) for one in said]


@pytest.mark.parametrize("value", ["<grüße.shop.example>", "{{x}}", "x" * 900])
def test_a_header_that_a_bulk_call_does_not_take_makes_its_mail_travel_alone(
    fake, channel, write, value
):
    mails, _ = write("Ann", "Bo", "Cy")
    mails[1].body.headers["List-Id"] = value
    channel.hand_over(mails)
    assert sorted(fake.sizes) == [1, 2]


def test_a_template_that_is_too_large_for_a_call_of_many_leaves_mail_by_mail(
    fake, channel, write, shop_variant
):
    large = Skeleton("<p>" + "é" * 90_000 + "</p>", "html")
    mails, said = write("Ann", "Bo", variant=replace(shop_variant, html=large))
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    assert fake.sizes == [1, 1]
    assert words(fake) == [(one.subject, one.html, one.text) for one in said]


def test_no_group_is_left_half_done_because_its_names_differ(fake, channel, write):
    """Fifty kinds of mails are fifty calls, while there is time for them."""
    names = ["&" + "x&" * number for number in range(50)]
    results = channel.hand_over(write(*names)[0])
    assert {type(one) for one in results} == {Receipt}
    assert len(fake.requests) == 50


def test_when_time_is_over_who_is_left_was_not_reached(
    fake, channel, write, monkeypatch
):
    clock = iter(range(0, 100_000, 30))
    fast = SimpleNamespace(monotonic=lambda: next(clock), time=time.time)
    monkeypatch.setattr("campaigns.sending.channels.many.time", fast)
    names = ["&" + "x&" * number for number in range(50)]
    results = channel.hand_over(write(*names)[0])
    kinds = Counter(map(type, results))
    assert kinds == {Receipt: len(fake.requests), Busy: 50 - len(fake.requests)}
    assert 24 <= len(fake.requests) < 50
    assert NOT_REACHED in results


@pytest.mark.parametrize("what", ["address", "copy", "value", "id", "header"])
def test_a_call_that_lost_something_or_names_somebody_else_does_not_leave(
    fake, channel, write, what, monkeypatch
):
    payload = channel._call.payload
    whole = payload.finalize_payload

    def spoilt(self):
        whole(self)
        entry = self.params["BulkEmailEntries"][0]
        template = entry["ReplacementEmailContent"]["ReplacementTemplate"]
        if what == "address":
            entry["Destination"]["ToAddresses"].append("somebody@example.com")
        elif what == "copy":
            entry["Destination"]["BccAddresses"] = ["somebody@example.com"]
        elif what == "value":
            values = json.loads(template["ReplacementTemplateData"])
            values.popitem()
            template["ReplacementTemplateData"] = json.dumps(values)
        else:
            lost = "X-Metadata" if what == "id" else "List-Unsubscribe-Post"
            entry["ReplacementHeaders"] = [
                one for one in entry["ReplacementHeaders"] if one["Name"] != lost
            ]

    monkeypatch.setattr(payload, "finalize_payload", spoilt)
    results = channel.hand_over(write("Ann", "Bo")[0])
    assert {one.reason for one in results} == {"not_sent_build"}
    assert fake.requests == []


@pytest.mark.django_db
def test_an_account_that_is_throttled_in_the_middle_loses_nobody(
    send_to, channel, fake, at
):
    """Three were taken, the others wait."""
    send = send_to(6)
    told = [{"Status": "SUCCESS", "MessageId": "m"}] * 3
    told += [{"Status": "ACCOUNT_THROTTLED"}] * 3
    fake.script = [(200, {"BulkEmailEntryResults": told}, {}, False)]
    outcome = deliver_next_batch(Lane("bulk", channel, "test"), now=at)
    assert outcome.stopped == "not_sent_throttle"
    states = Counter(send.messages.values_list("state", flat=True))
    assert states == {"accepted": 3, "waiting": 3}


def test_without_its_library_the_settings_are_at_fault(settings, monkeypatch):
    from anymail.exceptions import AnymailImproperlyInstalled

    def lacks(provider):
        raise AnymailImproperlyInstalled("boto3", install_extra="amazon-ses")

    monkeypatch.setattr("campaigns.sending.channels.many.call_of", lacks)
    with pytest.raises(ProviderMisconfigured, match="boto3"):
        channel_for("amazon_ses")
    assert "amazon_ses" in calls.CALLS
