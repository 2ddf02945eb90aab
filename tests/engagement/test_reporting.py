import csv
import io
import json

import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Campaign
from customers.spreadsheets import formula_safe
from engagement.reporting import as_csv, as_json, report
from engagement.services import Event, record_event


@pytest.fixture
def told(send, message_to, ada, bo, cy, di, at):
    """Ada clicked; Bo, anxious, is in the control; Cy is held; Di is in doubt."""
    to_ada = message_to(ada)
    message_to(bo, segment="anxious", tone="neutral")
    held = message_to(cy, segment="frustrated", tone="accountable", state="left_out")
    held.reason = "held"
    held.save()
    message_to(di, segment="unknown", tone="neutral", state="in_doubt")
    for kind in ("delivered", "opened", "clicked"):
        record_event(
            Event(kind, at, "attune", public_id=to_ada.public_id, verdict="human"),
            at=at,
        )
    return report(send)


def test_every_customer_is_in_exactly_one_column(told):
    total = told.total
    assert total.customers == 4
    assert (total.sent, total.in_doubt, total.not_sent, total.still_out) == (2, 1, 1, 0)


def test_rows_are_in_the_order_of_the_segments(told):
    assert [row.segment_key for row in told.rows] == [
        "frustrated",
        "anxious",
        "trusting",
        "unknown",
    ]


def test_who_is_left_out_is_counted_by_reason(told):
    assert told.left_out == {"held": 1}


def test_a_click_is_counted_where_the_clicker_is(told):
    clicks = {row.segment_key: row.counts["clicked"] for row in told.rows}
    assert clicks == {"frustrated": 0, "anxious": 0, "trusting": 1, "unknown": 0}


def test_one_person_is_too_few_for_a_rate(told):
    assert not told.total.rate("clicked").enough


def test_json_and_csv_tell_the_same_numbers(told):
    from_json = json.loads(as_json(told))
    rows = list(csv.DictReader(io.StringIO(as_csv(told))))
    assert len(rows) == len(from_json["rows"]) + 1
    assert int(rows[-1]["sent"]) == from_json["total"]["sent"] == 2
    assert int(rows[-1]["clicked"]) == from_json["total"]["clicked"]["count"] == 1


def test_a_simulated_event_is_said_to_be_one(send, message, at):
    record_event(
        Event(
            "opened",
            at,
            "attune",
            public_id=message.public_id,
            detail={"simulated": "seed 7"},
        ),
        at=at,
    )
    assert report(send).simulated == 1


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_the_command_prints_every_format(told, capsys, form):
    call_command("campaign_report", told.send.campaign_id, format=form)
    assert "Trusting" in capsys.readouterr().out


def test_a_campaign_that_is_not_there_is_named(db):
    with pytest.raises(CommandError, match="no campaign 99"):
        call_command("campaign_report", 99)


def test_a_campaign_without_a_send_has_nothing_to_report(send):
    other = Campaign.objects.create(
        name="Later", template=send.campaign.template, sender=send.campaign.sender
    )
    with pytest.raises(CommandError, match="not been scheduled"):
        call_command("campaign_report", other.pk)


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@x", "\tx", " \n=1", "\ufeff=1", "\u200b@x", "\xa0-1", "＝1"],
)
def test_no_cell_is_run_as_a_formula(cell):
    assert formula_safe(cell) == "'" + cell
