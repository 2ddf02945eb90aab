"""SparkPost counts whom it took and names nobody: sending.md 1.2, T10."""

from collections import Counter
from dataclasses import replace

import pytest

from campaigns.content.links import Links
from campaigns.content.problems import TemplateError
from campaigns.content.render import RecipientContext, render
from campaigns.sending.channels import Envelope, InDoubt, Receipt, Refused
from campaigns.sending.protocol import Lane, deliver_next_batch
from engagement.services import Event, record_event

KEYS = ["a tracking key for tests"]


@pytest.fixture
def channel(many):
    return many("sparkpost")


@pytest.fixture
def write(channel, shop_variant):
    """So many mails, each with what its customer should read."""

    def write(count, *, variant=shop_variant, name="Ann", public_id=100, to=""):
        mails, said = [], []
        for number in range(count):
            links = Links("https://mail.shop.example", 100 + number, KEYS)
            context = RecipientContext({"customer": {"first_name": name}}, links)
            address = to or f"person{number}@example.com"
            envelope = Envelope(number, public_id and public_id + number, 2, 3, address)
            mails.append(channel.compose(envelope, variant, context))
            said.append(render(variant, context))
        return mails, said

    return write


def totals(accepted, rejected):
    return {
        "results": {
            "total_accepted_recipients": accepted,
            "total_rejected_recipients": rejected,
            "id": "sp-1",
        }
    }


def test_when_all_are_taken_each_is(fake, channel, write):
    fake.script = [(200, totals(4, 0), {}, True)]
    assert channel.hand_over(write(4)[0]) == [Receipt("sp-1")] * 4


def test_when_nobody_is_taken_each_is_refused_and_asked_for_once(fake, channel, write):
    fake.script = [(200, totals(0, 4), {}, False)]
    results = channel.hand_over(write(4)[0])
    assert {(type(one), one.reason) for one in results} == {(Refused, "rejected")}
    assert len(fake.requests) == 1


@pytest.mark.parametrize(("accepted", "rejected"), [(3, 1), (1, 3), (0, 0), (4, 1)])
def test_anything_between_leaves_all_in_doubt_and_is_asked_for_once(
    fake, channel, write, accepted, rejected
):
    fake.script = [(200, totals(accepted, rejected), {}, True)]
    results = channel.hand_over(write(4)[0])
    assert {(type(one), one.reason) for one in results} == {
        (InDoubt, "accepted_unparsed")
    }
    assert len(fake.requests) == 1


def test_after_such_an_answer_calls_are_half_as_large(fake, channel, write):
    fake.script = [(200, totals(7, 1), {}, True)]
    mails, _ = write(8)
    channel.hand_over(mails)
    channel.hand_over(mails)
    assert fake.sizes == [8, 4, 4]


@pytest.mark.django_db
def test_reports_settle_whom_a_mixed_answer_left_in_doubt_and_nobody_is_asked_twice(
    send_to, channel, fake, at, invariants
):
    send = send_to(4)
    fake.poisoned = {"person2@example.com"}
    deliver_next_batch(Lane("bulk", channel, "test"), now=at)
    states = Counter(send.messages.values_list("state", flat=True))
    assert states == {"in_doubt": 4}
    assert len(fake.requests) == 1
    for got in fake.ledger:
        told = Event("delivered", at, "sparkpost", int(got.public_id), "sp-1")
        record_event(told, at=at)
    states = Counter(send.messages.values_list("state", flat=True))
    assert states == {"accepted": 3, "in_doubt": 1}
    assert invariants(fake).taken == 3


CODE = "{{ address.email }} }} {{{x}}} {{#if a}} \\{{ {"


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("to", ["", "o'neil@example.com"])
def test_words_that_look_like_its_code_are_read_as_they_are(
    fake, channel, write, count, to
):
    """One mail alone is read for code as well."""
    mails, said = write(count, name=CODE, to=to)
    assert all(isinstance(one, Receipt) for one in channel.hand_over(mails))
    got = [(one.subject, one.html, one.text) for one in fake.ledger]
    assert got == [(one.subject, one.html, one.text) for one in said]


def test_a_test_mail_with_such_words_is_a_mail_as_any_other(fake, channel, write):
    mails, said = write(1, name=CODE, public_id=0)
    assert isinstance(channel.hand_over(mails)[0], Receipt)
    assert fake.requests[0].body.count(b'"d"') == 0
    assert (fake.ledger[0].html, fake.ledger[0].text) == (said[0].html, said[0].text)


def test_a_sender_who_looks_like_code_is_refused(shop_variant, write):
    sender = replace(shop_variant.sender, from_name="{{ address.name }}")
    with pytest.raises(TemplateError, match="its own code"):
        write(1, variant=replace(shop_variant, sender=sender))


@pytest.mark.parametrize("what", ["header_to", "substitution_data", "headers"])
def test_a_call_that_names_others_or_lacks_a_value_does_not_leave(
    fake, channel, write, what, monkeypatch
):
    payload = channel._call.payload
    whole = payload._finalize_recipients

    def spoilt(self):
        whole(self)
        first = self.data["recipients"][0]
        if what == "header_to":
            first["address"]["header_to"] += ", somebody@example.com"
        elif what == "headers":
            self.data["content"]["headers"]["List-Unsubscribe"] = "<https://a.example>"
        else:
            first["substitution_data"].popitem()

    monkeypatch.setattr(payload, "_finalize_recipients", spoilt)
    results = channel.hand_over(write(3)[0])
    assert {one.reason for one in results} == {"not_sent_build"}
    assert fake.requests == []
