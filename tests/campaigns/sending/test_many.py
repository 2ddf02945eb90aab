"""Many mails in one call: Anymail's real payloads against a provider of our own."""

import json
import random
import re
from urllib.parse import urlencode

import pytest

from campaigns.content.links import Links
from campaigns.content.problems import TemplateError
from campaigns.content.render import RecipientContext, render
from campaigns.sending.channels import (
    BAD_IN_A_ROW,
    NOT_REACHED,
    Busy,
    Envelope,
    InDoubt,
    Misconfigured,
    Receipt,
    Refused,
)
from campaigns.sending.channels.calls import CALLS
from campaigns.sending.channels.calls.mailgun import form_of
from campaigns.sending.channels.many import BATCH_SIZE, MOST_CALLS

NAMES = pytest.mark.parametrize("name", list(CALLS))
SMALLER = {"amazon_ses": 50, "mailjet": 50, "resend": 100}
# Whole calls are refused by these, single mails by the others.
ALL_OR_NOBODY = pytest.mark.parametrize("name", ["brevo", "mailgun", "resend"])
KEYS = ["a tracking key for tests"]
SAID = (
    "Zoë",
    "שלום",
    "🌱",
    "O'Ha\"ra <b>&amp;",
    "%recipient.s0% %unsubscribe_url% -s0-",
)
# Of these SES fills no sign in that might be escaped: they share a call.
ALIKE = tuple(word for word in SAID if "<" not in word)


@pytest.fixture
def write(shop_variant):
    """So many mails of a channel, and what each of them should say."""

    def write(channel, count, addresses=(), words=()):
        words = words or (ALIKE if channel.provider == "amazon_ses" else SAID)
        mails, said = [], []
        for number in range(count):
            address = dict(enumerate(addresses)).get(
                number, f"person{number}@example.com"
            )
            links = Links("https://mail.shop.example", 100 + number, KEYS)
            data = {"customer": {"first_name": words[number % len(words)]}}
            context = RecipientContext(data=data, links=links)
            envelope = Envelope(number, 100 + number, 2, 3, address, 1)
            mails.append(channel.compose(envelope, shop_variant, context))
            assert channel.check(mails[-1]) == ""
            said.append(render(shop_variant, context))
        return mails, said

    return write


def test_mails_with_signs_that_may_be_escaped_in_the_same_places_share_a_call(
    fake, many, write
):
    """SES: whoever reads what AWS writes about escaping, each gets their own words."""
    channel = many("amazon_ses")
    names = ("Ann", "O'Neil", "Bo", "D'Arcy", "Salt & Pepper", "O'Hara", "Zoë")
    mails, said = write(channel, 7, words=names)
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    assert sorted(fake.sizes) == [1, 3, 3]
    got = {one.public_id: (one.subject, one.html, one.text) for one in fake.ledger}
    for mail, email in zip(mails, said, strict=True):
        assert got[str(mail.public_id)] == (email.subject, email.html, email.text)


@NAMES
@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_gets_a_mail_of_their_own_as_it_is_rendered_here(
    fake, many, write, name, count
):
    channel = many(name)
    mails, said = write(channel, count)
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    assert len(fake.requests) == 1
    for got, mail, email in zip(fake.ledger, mails, said, strict=True):
        assert (got.subject, got.html, got.text) == (
            email.subject,
            email.html,
            email.text,
        )
        assert (got.address, got.public_id) == (mail.address, str(mail.public_id))
        assert got.headers["List-Unsubscribe"] == f"<{mail.unsubscribe}>"
        assert got.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert got.headers["List-Id"] == "<news.shop.example>"


def name_of(chance):
    """A name as nobody should have it: any script, signs and code of any provider."""
    pieces = [
        "".join(chr(chance.randrange(32, 0x24F)) for _ in range(chance.randrange(9))),
        "".join(chr(chance.randrange(0x5D0, 0x6FF)) for _ in range(4)),
        chr(chance.randrange(0x1F300, 0x1FAFF)),
        *("%", "-", "'", '"', "\\", "&", "<", ">", "\n", "\u202e", " "),
        *("%recipient.", "%recipient%", "%unsubscribe_url%", "<%asm%>", "[unsub]"),
        *("{{", "}}", "{{x}}", "{{{x}}}", "{{#if x}}", "\\{{"),
        *("-s0-", "*|NAME|*", "[[x]]", "\\u0041", "&#37;", "{", "}"),
    ]
    return "".join(chance.choices(pieces, k=chance.randrange(1, 7)))


@NAMES
@pytest.mark.parametrize(
    "count", [60, pytest.param(10_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_whatever_customers_are_called_they_read_what_is_rendered_here(
    fake, many, write, name, count
):
    channel, chance = many(name), random.Random(5)
    words = [name_of(chance) for _ in range(count)]
    if name == "brevo":  # it takes these for code: such a mail is not sent at all
        words = [word.replace("{", "(") for word in words]
    if name == "amazon_ses":  # each odd one is a call of its own: one in ten is enough
        words = [
            word if not number % 10 else re.sub(r"""[&<>"'`={}]""", "", word)
            for number, word in enumerate(words)
        ]
    mails, said = write(channel, count, words=words)
    size, results = channel.group_size, []
    for start in range(0, count, size):
        results += channel.hand_over(mails[start : start + size])
    assert {type(one) for one in results} == {Receipt}
    got = {one.public_id: (one.subject, one.html, one.text) for one in fake.ledger}
    assert len(got) == count
    for mail, email in zip(mails, said, strict=True):
        assert got[str(mail.public_id)] == (email.subject, email.html, email.text)


@NAMES
def test_addresses_with_capitals_and_other_scripts_lose_nothing(
    fake, many, write, name
):
    """T2, T3: a key is the very text in `to`."""
    channel = many(name)
    addresses = ["Bob.O@xn--bcher-kva.example", "ANN@example.com", "o'neil@example.com"]
    mails, _ = write(channel, 4, addresses)
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    assert {one.address for one in fake.ledger} == {mail.address for mail in mails}
    assert {one.public_id for one in fake.ledger} == {"100", "101", "102", "103"}
    assert all("List-Unsubscribe" in one.headers for one in fake.ledger)


@NAMES
def test_the_same_mailbox_twice_gets_both_its_mails(fake, many, write, name):
    channel = many(name)
    mails, _ = write(channel, 3, ["bo@example.com", "bo@example.com"])
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    assert sorted(one.public_id for one in fake.ledger) == ["100", "101", "102"]


@NAMES
def test_a_group_is_one_call_and_never_more_than_the_provider_takes(
    fake, many, write, name
):
    channel = many(name)
    assert channel.group_size == SMALLER.get(name, BATCH_SIZE)
    mails, _ = write(channel, 120)
    channel.hand_over(mails)
    assert sum(fake.sizes) == len(fake.ledger) == 120
    assert max(fake.sizes) == min(120, channel.group_size)


def test_a_shop_may_have_smaller_calls(many, settings):
    settings.MAILS_PER_CALL = 40
    assert many("mailgun").group_size == many("mailjet").group_size == 40
    settings.MAILS_PER_CALL = 60
    assert (many("mailgun").group_size, many("mailjet").group_size) == (60, 50)


@NAMES
def test_a_backend_that_drops_something_of_one_mail_sends_nothing(
    fake, many, write, name, monkeypatch
):
    channel = many(name)
    entries = type(channel._call).entries

    def short(self, request):
        return [*entries(self, request)[:-1]]

    monkeypatch.setattr(type(channel._call), "entries", short)
    mails, _ = write(channel, 3)
    results = channel.hand_over(mails)
    assert {type(one) for one in results} == {Misconfigured}
    assert "List-Unsubscribe" in results[0].detail
    assert fake.requests == []


DROPS = {
    "amazon_ses": "campaigns.sending.channels.calls.amazon_ses.AmazonSESV2"
    "SendBulkEmailPayload.set_merge_headers",
    "brevo": "anymail.backends.brevo.BrevoPayload.set_extra_headers",
    "mailgun": "anymail.backends.mailgun.MailgunPayload.set_merge_headers",
    "mailjet": "anymail.backends.mailjet.MailjetPayload.set_metadata",
    "postmark": "anymail.backends.postmark.PostmarkPayload.set_metadata",
    "resend": "anymail.backends.resend.ResendPayload.set_metadata",
    "sendgrid": "anymail.backends.sendgrid.SendGridPayload.set_merge_metadata",
    "sparkpost": "anymail.backends.sparkpost.SparkPostPayload.set_merge_headers",
}


@NAMES
def test_what_anymail_loses_on_the_way_is_noticed_before_anything_leaves(
    fake, many, write, name, monkeypatch
):
    monkeypatch.setattr(DROPS[name], lambda *_: None)
    channel = many(name)
    mails, _ = write(channel, 3)
    assert {type(one) for one in channel.hand_over(mails)} == {Misconfigured}
    assert fake.requests == []


@NAMES
@pytest.mark.parametrize(
    "value", ["Hello\r\nBcc: x@example.com", "a\nb", "a\u2028b", "a\x00b"]
)
def test_no_line_break_gets_into_a_header(many, write, name, value):
    """T6: a backend would put it into the provider's JSON as it is."""
    channel = many(name)
    [mail], _ = write(channel, 1)
    mail.body.headers["List-Id"] = value
    assert "List-Id holds" in channel.check(mail)


def test_mailjet_s_batch_of_one_keeps_its_headers(fake, many, write):
    """T1: Anymail's own batch of one would have lost them."""
    channel = many("mailjet")
    mails, _ = write(channel, 1)
    assert isinstance(channel.hand_over(mails)[0], Receipt)
    [request] = fake.requests
    assert b"Variables" not in request.body
    [got] = fake.ledger
    assert got.headers["List-Unsubscribe"] == f"<{mails[0].unsubscribe}>"


@NAMES
def test_nobody_s_metadata_is_somebody_else_s(fake, many, write, name):
    """T4."""
    channel = many(name)
    mails, _ = write(channel, 5)
    channel.hand_over(mails)
    found = {(one.address, one.public_id) for one in fake.ledger}
    assert found == {(mail.address, str(mail.public_id)) for mail in mails}


@ALL_OR_NOBODY
def test_one_poisoned_address_costs_eighteen_calls_and_nobody_is_mailed_twice(
    fake, many, write, name
):
    """F19."""
    channel = many(name)
    channel._most = 500  # Resend's own calls are smaller
    fake.poisoned = {"person123@example.com"}
    mails, _ = write(channel, 500)
    results = channel.hand_over(mails)
    assert [number for number, one in enumerate(results) if type(one) is Refused] == [
        123
    ]
    assert len(fake.requests) - 1 <= 18
    addresses = [one.address for one in fake.ledger]
    assert len(addresses) == len(set(addresses)) == 499
    assert sum(type(one) is Receipt for one in results) == 499


@pytest.mark.parametrize("name", ["amazon_ses", "mailjet", "postmark"])
def test_a_refused_one_among_many_fails_alone(fake, many, write, name):
    """F18."""
    channel = many(name)
    fake.poisoned = {"person3@example.com"}
    mails, _ = write(channel, 6)
    results = channel.hand_over(mails)
    assert [type(one) for one in results].count(Receipt) == 5
    assert isinstance(results[3], Refused)
    assert len(fake.requests) == 1


@NAMES
def test_when_everybody_is_refused_it_ends_soon_and_most_are_not_tried(
    fake, many, write, name
):
    channel = many(name)
    mails, _ = write(channel, 50)
    fake.script = [(400, {"message": "your sender"}, {}, False)] * 100
    results = channel.hand_over(mails)
    assert len(fake.requests) <= MOST_CALLS
    assert results[:BAD_IN_A_ROW] != [NOT_REACHED] * BAD_IN_A_ROW
    assert set(results[10:]) == {NOT_REACHED}
    assert fake.ledger == []


@NAMES
def test_a_call_that_is_too_large_is_halved_and_stays_so(fake, many, write, name):
    channel = many(name)
    fake.largest = 12
    mails, _ = write(channel, 40)
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    assert len(fake.ledger) == 40
    tried = len(fake.requests)
    channel.hand_over(mails[:20])
    assert len(fake.requests) == tried + 2


@NAMES
@pytest.mark.parametrize(("code", "seconds"), [(429, 7.0), (503, 3.0)])
def test_a_provider_that_asks_for_patience_gets_it_and_nobody_is_lost(
    fake, many, write, name, code, seconds
):
    channel = many(name)
    fake.script = [(code, {"message": "no"}, {"Retry-After": f"{seconds:.0f}"}, False)]
    mails, _ = write(channel, 5)
    results = channel.hand_over(mails)
    assert {(type(one), one.reason) for one in results} == {(Busy, "not_sent_throttle")}
    assert results[0].wait_seconds == seconds
    assert len(fake.requests) == 1


@NAMES
@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_log_in_is_told_once_for_all(fake, many, write, name, code):
    channel = many(name)
    fake.script = [(code, {"message": "no"}, {}, False)]
    results = channel.hand_over(write(channel, 5)[0])
    assert {(type(one), one.reason) for one in results} == {
        (Misconfigured, "not_sent_auth")
    }
    assert len(fake.requests) == 1


@NAMES
@pytest.mark.parametrize("code", [408, 409, 500, 502, 503, 504])
def test_a_call_that_may_have_been_taken_is_in_doubt_and_asked_once(
    fake, many, write, name, code
):
    channel = many(name)
    fake.script = [(code, {"message": "?"}, {}, True)]
    results = channel.hand_over(write(channel, 5)[0])
    assert {type(one) for one in results} == {InDoubt}
    assert len(fake.requests) == 1


@NAMES
def test_a_connection_that_is_cut_is_in_doubt_and_a_closed_door_is_not(
    fake, many, write, name
):
    """T8."""
    channel = many(name)
    fake.script = ["reset"]
    mails, _ = write(channel, 5)
    assert {type(one) for one in channel.hand_over(mails)} == {InDoubt}
    assert len(fake.requests) == 1
    fake.url = "http://127.0.0.1:9/"
    results = many(name).hand_over(mails)
    assert {(type(one), one.reason) for one in results} == {(Busy, "not_sent_net")}


def test_postmark_says_of_each_what_it_did(fake, many, write):
    """F18, F21."""
    channel = many("postmark")
    gone = "Found inactive addresses: x. Inactive recipients are ones that bounced."
    known = {"Message": "OK", "MessageID": "p"}
    answers = [
        {"ErrorCode": 406, "Message": gone},
        {"ErrorCode": 300, "Message": "Invalid 'To' address: 'x'."},
        {"ErrorCode": 300, "Message": "Invalid metadata content."},
        {**known, "To": "person3@example.com"},
        {**known, "ErrorCode": 0, "To": "somebody@example.com"},
        {"ErrorCode": 0, "Message": f"Message OK, inactive addresses: x. {gone}"},
    ]
    fake.script = [(200, answers, {}, True), (200, answers[:1] * 3, {}, True)]
    mails, _ = write(channel, 6)
    results = channel.hand_over(mails)
    refused = [getattr(one, "reason", "") for one in results]
    assert refused == [
        "rejected",
        "invalid",
        "not_sent_bad",
        "",
        "accepted_unparsed",
        "rejected",
    ]
    assert results[3] == Receipt("p")
    assert {one.reason for one in channel.hand_over(mails[:3])} == {"rejected"}


@NAMES
@pytest.mark.parametrize("answer", [b"<html>", {"x": 1}, [], {"data": []}, None])
def test_a_2xx_that_nobody_can_read_is_never_sent_again(
    fake, many, write, name, answer
):
    """F17. SendGrid says nothing else when all is well."""
    channel = many(name)
    fake.script = [(200, answer, {}, True)]
    results = channel.hand_over(write(channel, 5)[0])
    expected = Receipt if name == "sendgrid" else InDoubt
    assert {type(one) for one in results} == {expected}
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("brevo", {"messageIds": ["a", "b"]}),
        ("brevo", {"messageIds": ["a", "", "c"]}),
        ("resend", {"data": [{"id": "a"}, {"id": "b"}]}),
        ("resend", {"data": [{"id": "a"}, {}, {"id": "c"}]}),
        ("postmark", [{"ErrorCode": 0, "Message": "OK", "MessageID": "a"}]),
        ("amazon_ses", {"BulkEmailEntryResults": [{"Status": "SUCCESS"}]}),
        ("amazon_ses", {"BulkEmailEntryResults": [{}, {"Status": "x"}, {"a": 1}]}),
        ("mailjet", {"Messages": [{"Status": "success"}]}),
        ("mailjet", {"Messages": [{}, 7, None]}),
    ],
)
def test_a_list_that_is_too_short_names_nobody(fake, many, write, name, answer):
    channel = many(name)
    fake.script = [(200, answer, {}, True)]
    results = channel.hand_over(write(channel, 3)[0])
    assert {type(one) for one in results} == {InDoubt}


@pytest.mark.parametrize("name", ["brevo", "resend"])
def test_every_call_has_a_key_of_its_own_made_from_its_hand_over(
    fake, many, write, name
):
    def keys():
        if name == "resend":
            return [one.headers["Idempotency-Key"] for one in fake.requests]
        return [json.loads(r.body)["headers"]["idempotencyKey"] for r in fake.requests]

    channel = many(name)
    mails, _ = write(channel, 6)
    channel.hand_over(mails[:3])
    channel.hand_over(mails[3:])
    channel.hand_over(mails[:3])
    first, second, again = keys()
    assert first == again != second


def test_brevo_never_reads_a_customer_s_name_as_code(many, shop_variant):
    channel = many("brevo")
    links = Links("https://mail.shop.example", 1, KEYS)
    hostile = RecipientContext({"customer": {"first_name": "{{ params }}"}}, links)
    with pytest.raises(TemplateError, match="brevo would read as its own code"):
        channel.compose(Envelope(1, 1, 1, 1, "a@example.com"), shop_variant, hostile)


def test_a_form_is_written_as_the_library_writes_it():
    every = "".join(map(chr, range(128))) * 20
    fields = {"a b": every, "to": ["o'neil+x@example.com", every], "é": "Zoë" * 999}
    assert form_of(fields) == urlencode(fields, doseq=True)
