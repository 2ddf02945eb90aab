"""The whole story: history, feelings, segments, tones, mail, report."""

import json
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from campaigns.models import Campaign, EmailTemplate, Message, Send, Sender
from campaigns.sending.engine import run_once
from campaigns.services import schedule_send, starter_template
from customers.models import Customer, Interaction, Suppression
from demo.sample_shop import write_history
from engagement.reporting import as_dicts, report
from segmentation.models import Membership, Segment
from segmentation.services import refresh_segments

# File, rows, customers, the day after its last one: facts of the public data.
REAL_HISTORIES = [
    (
        "reviews/interactions_musical_instruments.csv.gz",
        10_261,
        1_429,
        datetime(2014, 7, 23, tzinfo=UTC),
    ),
    (
        "support/interactions_airline_tickets.csv.gz",
        14_485,
        7_701,
        datetime(2015, 2, 25, tzinfo=UTC),
    ),
    (
        "joined_demo/joined_history.csv.gz",
        22_629,
        1_429,
        datetime(2014, 7, 23, tzinfo=UTC),
    ),
]


def import_history(path: Path) -> None:
    call_command("import_interactions", str(path), verbosity=0)


def plan(name: str, sender: Sender) -> Campaign:
    template = starter_template("announcement")
    return Campaign.objects.create(name=name, template=template, sender=sender)


def send_now(campaign: Campaign) -> Send:
    now = timezone.now()
    send = schedule_send(campaign, scheduled_at=now, at=now)
    for _ in range(50):
        run_once(at=timezone.now())
        send.refresh_from_db()
        if send.state == Send.State.SENT:
            return send
    pytest.fail(f"The send did not end: {send.state} {send.state_reason}")


def mails(folder: Path) -> dict[str, object]:
    return {
        path.stem: message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in folder.rglob("*.eml")
    }


def assert_everyone_is_in_one_place(send: Send) -> None:
    assert send.messages.count() == Customer.objects.count()
    rows = send.messages.values_list("state", "reason")
    assert {state for state, _ in rows} <= {"accepted", "left_out"}
    assert all(reason for state, reason in rows if state == "left_out")
    result = as_dicts(report(send))
    total = result["total"]
    assert total["customers"] == total["sent"] + total["not_sent"]
    assert sum(row["customers"] for row in result["rows"]) == total["customers"]
    assert sum(result["left_out"].values()) == total["not_sent"]


def assert_tones_differ_and_offers_do_not(send: Send, folder: Path) -> None:
    by_tone: dict[str, EmailTemplate] = {}
    kept = mails(folder)
    for message in send.messages.filter(state=Message.State.ACCEPTED):
        by_tone.setdefault(message.tone, kept[str(message.public_id)])
    assert len(by_tone) >= 2
    texts = {
        tone: mail.get_body(("plain",)).get_content() for tone, mail in by_tone.items()
    }
    assert len(set(texts.values())) == len(texts)
    for text in texts.values():
        joined = " ".join(text.split())
        assert "15 % off pots and soil with the code ROOTS" in joined
        assert "8 Sample Lane, Northport" in joined
        assert "/u/" in text
    for mail in by_tone.values():
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail["List-Unsubscribe"].startswith("<http")
        assert len(mail["To"].addresses) == 1


@pytest.fixture
def outbox(settings, tmp_path):
    settings.OUTBOX_DIR = tmp_path / "outbox"
    settings.OUTBOX_DIR.mkdir()
    settings.OPENS_FLUSH_MS = 0
    return settings.OUTBOX_DIR


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_sample_shop_goes_from_its_history_to_a_report(
    outbox, tmp_path, client, sender
):
    path = tmp_path / "shop.csv.gz"
    rows = write_history(path, at=timezone.now(), seed=7)
    import_history(path)
    assert Interaction.objects.count() == rows
    import_history(path)
    assert Interaction.objects.count() == rows

    refresh_segments(at=timezone.now(), workers=2)
    sizes = Membership.objects.values_list("segment__key", flat=True)
    assert {segment.key for segment in Segment.objects.all()} == set(sizes)
    assert Membership.objects.count() == Customer.objects.count()

    send = send_now(plan("New season", sender))
    assert_everyone_is_in_one_place(send)
    assert_tones_differ_and_offers_do_not(send, outbox)

    message = send.messages.filter(state=Message.State.ACCEPTED).first()
    mail = mails(outbox)[str(message.public_id)]
    address = mail["List-Unsubscribe"].strip("<>").split(">")[0]
    unsubscribe = "/" + address.split("/", 3)[3]
    assert client.get(unsubscribe).status_code == 200
    assert not Suppression.objects.exists()
    answer = client.post(unsubscribe, {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert Suppression.objects.get().reason == Suppression.Reason.UNSUBSCRIBED

    again = send_now(
        Campaign.objects.create(
            name="A second one",
            template=send.campaign.template,
            sender=send.campaign.sender,
        )
    )
    left = again.messages.get(customer=message.customer)
    assert (left.state, left.reason) == ("left_out", "suppressed")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("file", "rows", "customers", "last_day"), REAL_HISTORIES)
@pytest.mark.django_db(transaction=True)
def test_a_real_history_goes_from_its_rows_to_a_report(
    outbox, shared_data, sender, file, rows, customers, last_day
):
    import_history(shared_data / file)
    assert Interaction.objects.count() == rows
    assert Customer.objects.count() == customers
    import_history(shared_data / file)
    assert Interaction.objects.count() == rows

    refresh_segments(at=last_day, workers=2)
    named = (
        Membership.objects.exclude(segment__family="")
        .values_list("segment__key", flat=True)
        .distinct()
    )
    assert len(named) >= 5

    send = send_now(plan("To the customers of a history", sender))
    assert_everyone_is_in_one_place(send)
    assert_tones_differ_and_offers_do_not(send, outbox)
    printed = json.dumps(as_dicts(report(send)))
    assert str(send.campaign_id) in printed
