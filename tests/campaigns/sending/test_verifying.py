"""Six mails to three mailboxes: what is found out of them, and what is not claimed."""

import base64
import json
from email.message import EmailMessage
from io import StringIO
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Breaker, ProviderNote, ProviderVerification, Sender
from campaigns.sending import verifying
from campaigns.sending.channels.calls import CALLS
from campaigns.sending.verification import LEFT, REPORTS, SIGNED, TAKEN, State, stands
from campaigns.sending.verifying import CannotVerify, Mail
from customers.services import suppress
from engagement.models import WebhookCall
from engagement.verifying import received, reports
from engagement.webhooks import provider_webhooks

pytestmark = pytest.mark.django_db

SEEDS = ["anna@shop.example", "bo@bücher.example", "anna+check@shop.example"]
WIRES = {"anna@shop.example", "bo@xn--bcher-kva.example", "anna+check@shop.example"}
SIGNATURE = (
    "v=1; a=rsa-sha256; d=lindenandloam.example; s=one; bh=x; b=y;\r\n"
    " h=From:To:Subject:List-Unsubscribe:\r\n List-Unsubscribe-Post"
)


@pytest.fixture
def command(settings, sender):
    """Run it; what it said, and whether it ended well."""

    def command(*given, wait=0):
        out, ended = StringIO(), 0
        options = ["--wait", str(wait), "--by", "Mara", *given]
        try:
            call_command("verify_provider", settings.PROVIDER, *options, stdout=out)
        except SystemExit as end:
            ended = end.code
        return SimpleNamespace(said=out.getvalue(), ended=ended)

    return command


def checks():
    row = ProviderVerification.objects.get()
    return {one["name"]: one["outcome"] for one in row.checks}


def as_it_arrived(got, *, signature=SIGNATURE, to=None, text=None, **headers):
    """The mail of a fake provider's ledger as a mailbox keeps it."""
    mail = EmailMessage()
    mail["From"] = "Linden & Loam <hello@lindenandloam.example>"
    mail["To"] = to or got.address
    mail["Subject"] = got.subject
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post"):
        mail[name] = headers.get(name.replace("-", ""), got.headers[name])
    mail.set_content(text or got.text)
    mail.add_alternative(text or got.html, subtype="html")
    raw = mail.as_bytes()
    return f"DKIM-Signature: {signature}\r\n".encode() + raw if signature else raw


def report(settings, public_ids):
    """What Postmark posts of mails that were delivered, to the usual address."""
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": "attune:w"}
    login = base64.b64encode(b"attune:w").decode()
    for public_id in public_ids:
        event = {
            "RecordType": "Delivery",
            "MessageID": f"p-{public_id}",
            "Recipient": "anna@shop.example",
            "DeliveredAt": timezone.now().isoformat(),
            "Metadata": {"d": str(public_id)},
        }
        request = RequestFactory().post(
            "/",
            json.dumps(event),
            content_type="application/json",
            headers={"Authorization": f"Basic {login}"},
        )
        assert provider_webhooks("postmark")[0].callback(request).status_code == 200


@pytest.mark.parametrize("name", list(CALLS))
def test_six_mails_leave_as_campaigns_do_and_each_holds_what_is_its_own(
    fake, many, sender, name
):
    many(name)
    done = verifying.run(name, SEEDS, sender=sender, at=timezone.now())
    assert fake.sizes == [1, 2, 3]
    assert {one.address for one in fake.ledger} == WIRES
    assert [one.outcome for one in done.checks] == ["passed"] * 3
    assert "Of 6 mails in 3 calls" in done.checks[2].words
    words = {str(mail.public_id): mail.word for mail in done.mails}
    for got in fake.ledger:
        others = set(words.values()) - {words[got.public_id]}
        assert words[got.public_id] in got.html
        assert not any(word in got.html + got.text for word in others)


def test_by_smtp_the_mails_themselves_are_looked_at(sink, settings, command):
    settings.PROVIDER, settings.SMTP_URL = "smtp", sink.url
    done = command("--seeds", *SEEDS)
    assert sorted(to for to, _ in sink.kept) == sorted([[one] for one in WIRES] * 2)
    assert checks() == {
        "kinds of address": "passed",
        TAKEN: "passed",
        LEFT: "passed",
        REPORTS: "not_checked",
        "what arrived": "not_checked",
        SIGNED: "not_checked",
    }
    assert "Not checked, because smtp reports nothing by webhook" in done.said
    assert "give the received mails with --received" in done.said
    assert ProviderVerification.objects.get().verified_at is None
    assert done.ended == 0


def test_what_arrived_by_smtp_verifies_it_and_the_page_says_by_whom(
    sink, settings, command, tmp_path, admin_client
):
    settings.PROVIDER, settings.SMTP_URL = "smtp", sink.url
    command("--seeds", *SEEDS)
    for number, (_, content) in enumerate(sink.kept):
        signed = f"DKIM-Signature: {SIGNATURE}\r\n".encode() + content
        (tmp_path / f"{number}.eml").write_bytes(signed)
    sent = len(sink.kept)
    done = command("--received", str(tmp_path))
    assert len(sink.kept) == sent
    assert (done.ended, stands("smtp").state) == (0, State.VERIFIED)
    assert "6 of 6 mails were given" in done.said
    assert "not recomputed" in done.said
    page = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "by Mara, with mails from hello@lindenandloam.example" in page
    assert "Of 6 mails by SMTP" in page
    said = [one.sentence for one in ProviderNote.objects.order_by("pk")]
    assert said[0].startswith("Mara looked at smtp: passed: kinds of address")
    assert "smtp was verified on" in said[-1]


def test_all_four_together_verify_a_provider_that_reports(
    fake, many, settings, command, tmp_path
):
    many("postmark")
    command("--seeds", *SEEDS)
    report(settings, [one.public_id for one in fake.ledger])
    for got in fake.ledger[3:]:  # the batch of three is enough
        (tmp_path / f"{got.public_id}.eml").write_bytes(as_it_arrived(got))
    done = command("--received", str(tmp_path))
    assert set(checks().values()) == {"passed"}
    assert "All 6 mails were reported, by the id they were given" in done.said
    assert stands("postmark").state is State.VERIFIED


def test_a_later_run_that_fails_takes_it_away(
    fake, many, settings, command, tmp_path, admin_client
):
    test_all_four_together_verify_a_provider_that_reports(
        fake, many, settings, command, tmp_path
    )
    fake.script = [(401, {"message": "no"}, {}, False)]
    done = command("--seeds", *SEEDS)
    assert (done.ended, checks()[TAKEN]) == (1, "failed")
    assert "401" in done.said
    assert ProviderVerification.objects.get().verified_at is None
    page = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "Not accepted: " in page


def test_a_run_of_which_nothing_is_given_yet_leaves_it_verified(
    fake, many, settings, command, tmp_path
):
    test_all_four_together_verify_a_provider_that_reports(
        fake, many, settings, command, tmp_path
    )
    assert command("--seeds", *SEEDS).ended == 0
    assert stands("postmark").state is State.VERIFIED
    assert checks()[SIGNED] == "not_checked"


def test_a_provider_that_takes_nothing_gets_one_call_and_no_more(
    fake, many, command, settings
):
    many("brevo")
    fake.script = [(401, {"message": "no"}, {}, False)]
    done = command("--seeds", *SEEDS)
    assert len(fake.requests) == 1
    assert "it was not handed over" in done.said
    assert checks()[LEFT] == "not_checked"
    assert checks()[REPORTS] == "not_checked"


def test_a_call_that_mixes_people_up_is_found_out(fake, many, sender, monkeypatch):
    """Were our own last look blind, and the library to lose who is who."""
    channel = many("postmark")
    monkeypatch.setattr(verifying, "channel_for", lambda provider: channel)
    post = channel._call.post

    def mixed_up(connection, write, mails, *, key):
        told = post(connection, write, mails, key=key)
        channel.shown({"data": fake.requests[-1].body.replace(b"anna@", b"eve@")})
        return told

    channel._call.post = mixed_up
    done = verifying.run("postmark", SEEDS, sender=sender, at=timezone.now())
    [left] = [one for one in done.checks if one.name == LEFT]
    assert left.outcome == "failed"
    assert "its words stand nowhere beside its address" in left.words


def test_it_waits_for_reports_and_no_longer_than_told(fake, many, settings, sender):
    many("postmark")
    done = verifying.run("postmark", SEEDS, sender=sender, at=timezone.now())
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        report(settings, [fake.ledger[len(slept) - 1].public_id])

    heard = reports(
        done.mails,
        provider="postmark",
        since=done.sent_at,
        wait_seconds=60,
        sleep=sleep,
    )
    assert (heard.outcome, len(slept)) == ("passed", 6)
    WebhookCall.objects.all().delete()
    heard = reports(
        done.mails,
        provider="postmark",
        since=done.sent_at,
        wait_seconds=0.05,
    )
    assert heard.outcome == "failed"
    assert "0 of 6 mails were reported within 0 seconds" in heard.words


def test_reports_without_what_the_provider_was_told_fail(fake, many, settings, sender):
    many("postmark")
    done = verifying.run("postmark", SEEDS, sender=sender, at=timezone.now())
    [plain] = [one for one in done.mails if one.address == SEEDS[0]][:1]
    report(settings, [])
    event = {
        "RecordType": "Delivery",
        "MessageID": plain.provider_message_id,
        "Recipient": plain.address,
        "DeliveredAt": timezone.now().isoformat(),
    }
    login = base64.b64encode(b"attune:w").decode()
    request = RequestFactory().post(
        "/",
        json.dumps(event),
        content_type="application/json",
        headers={"Authorization": f"Basic {login}"},
    )
    provider_webhooks("postmark")[0].callback(request)
    heard = reports(done.mails, provider="postmark", since=done.sent_at)
    assert heard.outcome == "failed"
    assert "without what it was told of them" in heard.words


def test_reports_of_others_and_of_before_count_for_nothing(
    fake, many, settings, sender
):
    many("postmark")
    report(settings, ["4711"])
    done = verifying.run("postmark", SEEDS, sender=sender, at=timezone.now())
    report(settings, ["4712"])
    heard = reports(done.mails, provider="postmark", since=done.sent_at)
    assert heard.outcome == "not_checked"
    assert "0 of 6 mails were reported so far" in heard.words


def test_only_what_is_wrong_with_a_mail_counts_against_who_was_used_before(
    fake, many, command, tmp_path
):
    many("postmark")
    ProviderVerification.objects.create(provider="postmark", used_before=True)
    fake.poisoned = {SEEDS[0]}
    assert command("--seeds", *SEEDS, wait=1).ended == 1
    assert {checks()[TAKEN], checks()[REPORTS]} == {"failed"}
    assert ProviderVerification.objects.get().used_before
    (tmp_path / "a.eml").write_bytes(as_it_arrived(fake.ledger[0], signature=""))
    assert command("--received", str(tmp_path)).ended == 1
    assert not ProviderVerification.objects.get().used_before


@pytest.fixture
def arrived(fake, many, sender):
    """Six mails of Postmark, as they left and as they arrived."""
    many("postmark")
    done = verifying.run("postmark", SEEDS, sender=sender, at=timezone.now())
    return done.mails, fake.ledger


def test_a_mail_with_anothers_words_is_found_in_the_mailbox(arrived):
    mails, ledger = arrived
    raws = [as_it_arrived(one) for one in ledger]
    raws[-1] = as_it_arrived(ledger[-1], text=ledger[-2].text)
    came, signed = received(raws, mails)
    assert (came.outcome, signed.outcome) == ("failed", "passed")
    assert "not bo@xn--bcher-kva.example alone" in came.words


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"to": "anna@shop.example, bo@shop.example"}, "To names anna@shop.example, "),
        ({"ListUnsubscribe": "<https://esp.example/u/1>"}, "not its own address"),
        ({"ListUnsubscribePost": "Yes"}, "List-Unsubscribe-Post is Yes"),
    ],
)
def test_what_a_provider_has_changed_on_the_way_is_found(arrived, changes, said):
    mails, ledger = arrived
    raws = [as_it_arrived(one) for one in ledger[:-1]]
    raws.append(as_it_arrived(ledger[-1], **changes))
    came, _ = received(raws, mails)
    assert came.outcome == "failed"
    assert said in came.words


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ("", "it has no DKIM-Signature"),
        ("v=1; d=esp.example; h=From:List-Unsubscribe:List-Unsubscribe-Post",
         "is of esp.example and not of lindenandloam.example"),
        ("v=1; d=lindenandloam.example; h=From:To:List-Unsubscribe",
         "does not name list-unsubscribe-post"),
        ("v=1; d=mail.lindenandloam.example; h=from",
         "does not name list-unsubscribe and list-unsubscribe-post"),
    ],
)  # fmt: skip
def test_a_signature_that_leaves_the_list_headers_out_is_found(
    arrived, signature, said
):
    mails, ledger = arrived
    raws = [as_it_arrived(one, signature=signature) for one in ledger]
    came, signed = received(raws, mails)
    assert (came.outcome, signed.outcome) == ("passed", "failed")
    assert said in signed.words


def test_two_of_the_three_are_not_enough_and_other_mail_is_told(arrived):
    mails, ledger = arrived
    others = b"From: a@shop.example\nTo: b@shop.example\nSubject: Hi\n\nHello"
    came, signed = received(
        [as_it_arrived(one) for one in ledger[:5]] + [others], mails
    )
    assert (came.outcome, signed.outcome) == ("not_checked", "not_checked")
    assert f"the mail to {ledger[5].address}" in came.words
    assert "files that are of other mails: 1" in came.words


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (SEEDS[:2], "2 came, and 2 can be used"),
        ([*SEEDS[:2], "nobody"], "'nobody' can't get mail"),
        ([*SEEDS[:2], "ANNA@shop.example"], "'ANNA@shop.example' came twice"),
        ([*SEEDS, "fourth@shop.example"], "4 came"),
        ([*SEEDS[:2], "no@shop.example"], "'no@shop.example' is suppressed"),
    ],
)
def test_anything_but_three_mailboxes_is_told_and_nothing_is_sent(
    fake, many, command, seeds, said
):
    many("brevo")
    suppress("no@shop.example", reason="unsubscribed", at=timezone.now())
    with pytest.raises(CommandError, match="Three mailboxes") as problem:
        command("--seeds", *seeds)
    assert said in str(problem.value)
    assert fake.requests == []
    assert not ProviderVerification.objects.exists()


def test_three_plain_addresses_do_and_what_was_not_among_them_is_told(
    fake, many, sender
):
    many("brevo")
    seeds = [f"{name}@shop.example" for name in "abc"]
    done = verifying.run("brevo", seeds, sender=sender, at=timezone.now())
    kinds = done.checks[0]
    assert (kinds.outcome, kinds.needed) == ("not_checked", False)
    assert "beyond ASCII, one with a plus" in kinds.words


def test_what_cannot_be_verified_is_named(fake, many, command, settings, tmp_path):
    with pytest.raises(CommandError, match="outbox delivers nothing"):
        command("--seeds", *SEEDS)
    many("brevo")
    with pytest.raises(CommandError, match="ATTUNE_PROVIDER is brevo, and mailgun"):
        call_command("verify_provider", "mailgun", "--seeds", *SEEDS)
    with pytest.raises(CommandError, match="--wait needs 0 to 3,600 seconds; -1"):
        command("--seeds", *SEEDS, wait=-1)
    with pytest.raises(CommandError, match="Nothing was given"):
        command()
    with pytest.raises(CommandError, match="has no file"):
        command("--received", str(tmp_path))
    (tmp_path / "a.eml").write_text("hello")
    with pytest.raises(CommandError, match="is no mail"):
        command("--received", str(tmp_path))
    with pytest.raises(CommandError, match="No such file"):
        command("--received", str(tmp_path / "b.eml"))
    (tmp_path / "a.eml").write_text("From: a@b.example\nTo: c@d.example\n\nhello")
    with pytest.raises(CommandError, match="run it with --seeds first"):
        command("--received", str(tmp_path))
    with pytest.raises(CommandError, match="A sender whose address is"):
        command("--seeds", *SEEDS, "--sender", "x@y.example")
    assert fake.requests == []


def test_a_sender_without_a_postal_address_sends_nothing(fake, many, command):
    many("brevo")
    Sender.objects.update(postal_address="")
    with pytest.raises(CommandError, match="postal address is missing"):
        command("--seeds", *SEEDS)
    Sender.objects.all().delete()
    with pytest.raises(CommandError, match="there is: none"):
        command("--seeds", *SEEDS)


def test_where_a_person_has_stopped_mail_none_leaves(fake, many, sender):
    many("brevo")
    Breaker.objects.create(
        provider="brevo", lane="bulk", state="open", reason="opened by Mara"
    )
    with pytest.raises(CannotVerify, match="opened by Mara"):
        verifying.run("brevo", SEEDS, sender=sender, at=timezone.now())
    assert fake.requests == []


def test_mails_of_other_settings_are_not_looked_at(
    fake, many, command, settings, tmp_path
):
    many("brevo")
    command("--seeds", *SEEDS)
    (tmp_path / "a.eml").write_bytes(as_it_arrived(fake.ledger[0]))
    settings.ANYMAIL = settings.ANYMAIL | {"BREVO_API_URL": fake.url + "v3/"}
    with pytest.raises(CommandError, match="with these settings"):
        command("--received", str(tmp_path))


def test_whoever_presses_unsubscribe_in_such_a_mail_meets_no_error(
    fake, many, sender, client
):
    many("brevo")
    done = verifying.run("brevo", SEEDS, sender=sender, at=timezone.now())
    path = urlsplit(done.mails[0].unsubscribe).path
    assert client.get(path).status_code < 500
    assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code < 500


def test_a_mail_is_kept_as_it_is_read_again():
    mail = Mail("a@shop.example", 7, "check1", "https://x.example/u/1", 3, "", "p-1")
    assert Mail(**mail.to_json()) == mail
