"""Messages and events become one row per segment and variant."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from campaigns.models import Campaign, Message, Send
from customers.spreadsheets import formula_safe
from engagement.errors import NothingToReport
from engagement.models import TrackingEvent
from engagement.stats import Difference, Rate, difference, rate
from segmentation.models import Segment

# What is counted of people, each a column of MessageEngagement.
COUNTS = {
    "delivered": "delivered_at",
    "opened": "opened_by_person_at",
    "opened_any": "opened_at",
    "clicked": "clicked_by_person_at",
    "clicked_any": "clicked_at",
    "unsubscribed": "unsubscribed_at",
    "complained": "complained_at",
    "bounced": "bounced_at",
}
RATES = ("delivered", "opened", "clicked", "unsubscribed", "complained", "bounced")
_NOT_SENT = (Message.State.FAILED, Message.State.LEFT_OUT, Message.State.CANCELLED)
_STILL_OUT = (Message.State.WAITING, Message.State.HANDING_OVER)


@dataclass(slots=True)
class ReportRow:
    """One segment and tone of one send; counts are messages, one a customer but in a
    standing send."""

    segment_key: str
    segment: str
    tone: str
    arm: str
    customers: int = 0
    sent: int = 0
    in_doubt: int = 0
    not_sent: int = 0
    still_out: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    def rate(self, name: str) -> Rate:
        """The share of sent messages; what came of one in doubt is no rate."""
        return rate(min(self.counts[name], self.sent), self.sent)

    @property
    def rates(self) -> dict[str, Rate]:
        return {name: self.rate(name) for name in RATES}

    def add(self, other: "ReportRow") -> None:
        for name in ("customers", "sent", "in_doubt", "not_sent", "still_out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, count in other.counts.items():
            self.counts[name] += count


@dataclass(frozen=True, slots=True)
class SegmentComparison:
    """Clicks by people: the fitting tone against the neutral control of a segment."""

    segment_key: str
    segment: str
    fitting: Rate
    neutral: Rate

    @property
    def gap(self) -> Difference | None:
        """None while either side is too small to say anything."""
        if not (self.fitting.enough and self.neutral.enough):
            return None
        return difference(self.fitting, self.neutral)


@dataclass(frozen=True, slots=True)
class Report:
    send: Send
    rows: tuple[ReportRow, ...]
    total: ReportRow
    left_out: dict[str, int]
    # The provider, or this machine's outbox, reports deliveries at all.
    reports_delivery: bool
    # How many events came from a simulation; shown wherever a figure is.
    simulated: int
    # Nothing: counted for whoever asked, at that moment.
    counted_at: datetime | None = None

    @property
    def segments(self) -> list[ReportRow]:
        """One row per segment, tones together."""
        whole: dict[str, ReportRow] = {}
        for row in self.rows:
            key = row.segment_key
            if key not in whole:
                whole[key] = ReportRow(key, row.segment, "", "")
            whole[key].add(row)
        return list(whole.values())

    @property
    def comparisons(self) -> list[SegmentComparison]:
        sides: dict[str, dict[str, ReportRow]] = defaultdict(dict)
        for row in self.rows:
            sides[row.segment_key][row.arm] = row
        return [
            SegmentComparison(
                key,
                next(iter(arms.values())).segment,
                arms[Message.Arm.FITTING].rate("clicked"),
                arms[Message.Arm.NEUTRAL].rate("clicked"),
            )
            for key, arms in sides.items()
            if len(arms) == 2
        ]


def report_of_campaign(campaign: Campaign) -> Report:
    """The report of a campaign's latest send.

    Raises NothingToReport when it has none.
    """
    send = campaign.sends.order_by("-scheduled_at", "-pk").first()
    if send is None:
        raise NothingToReport(
            f"Campaign {campaign.pk} ({campaign}) has not been scheduled yet: "
            "there is nothing to report."
        )
    return report(send)


def report(send: Send) -> Report:
    """Count a send per segment, tone and arm: one query over messages and rollups."""
    return report_of(send, gather(send))


def gather(send: Send) -> dict[str, Any]:
    """The counts of a send, as JSON may keep them."""
    events = TrackingEvent.objects.filter(message__send=send)
    return {
        "rows": list(_counted(send)),
        "left_out": _left_out(send),
        # The provider, or this machine's outbox, reports deliveries at all.
        "reports_delivery": events.filter(event_type="delivered").exists(),
        "simulated": events.filter(detail__simulated__isnull=False).count(),
    }


def report_of(
    send: Send, figures: Mapping[str, Any], *, counted_at: datetime | None = None
) -> Report:
    """Rows in the order of the segments, and their total, from what gather() gave."""
    names = {segment.key: segment for segment in Segment.objects.all()}
    order = {key: segment.position for key, segment in names.items()}
    rows = [
        ReportRow(
            line["segment_key"],
            names[line["segment_key"]].name
            if line["segment_key"] in names
            else line["segment_key"],
            line["tone"],
            line["arm"],
            line["customers"],
            line["sent"],
            line["in_doubt"],
            line["not_sent"],
            line["still_out"],
            {name: line[f"n_{name}"] for name in COUNTS},
        )
        for line in figures["rows"]
    ]
    rows.sort(key=lambda row: (order.get(row.segment_key, 99), row.arm, row.tone))
    total = ReportRow("", "All", "", "")
    for row in rows:
        total.add(row)
    return Report(
        send=send,
        rows=tuple(rows),
        total=total,
        left_out=figures["left_out"],
        reports_delivery=figures["reports_delivery"],
        simulated=figures["simulated"],
        counted_at=counted_at,
    )


def _counted(send: Send) -> Iterable[Mapping[str, Any]]:
    def of(*states: str) -> Count:
        return Count("pk", filter=Q(state__in=states))

    accepted = Q(state=Message.State.ACCEPTED)
    counted = {
        f"n_{name}": Count(
            "pk", filter=accepted & Q(**{f"engagement__{column}__isnull": False})
        )
        for name, column in COUNTS.items()
    }
    rows: Iterable[Mapping[str, Any]] = (
        Message.objects.filter(send=send)
        .values("segment_key", "tone", "arm")
        .annotate(
            customers=Count("pk"),
            sent=of(Message.State.ACCEPTED),
            in_doubt=of(Message.State.IN_DOUBT),
            not_sent=of(*_NOT_SENT),
            still_out=of(*_STILL_OUT),
            **counted,
        )
        .order_by()
    )
    return rows


def _left_out(send: Send) -> dict[str, int]:
    return dict(
        Message.objects.filter(send=send, state__in=_NOT_SENT)
        .values_list("reason")
        .annotate(n=Count("pk"))
        .order_by("-n")
    )


def as_dicts(result: Report) -> dict[str, Any]:
    """The report as plain numbers, intervals included."""

    def line(row: ReportRow) -> dict[str, Any]:
        return {
            "segment": row.segment,
            "segment_key": row.segment_key,
            "tone": row.tone,
            "arm": row.arm,
            "customers": row.customers,
            "sent": row.sent,
            "in_doubt": row.in_doubt,
            "not_sent": row.not_sent,
            "still_out": row.still_out,
            **{
                name: _rate_dict(found, known=name != "delivered" or known_delivery)
                for name, found in row.rates.items()
            },
            "opened_with_machines": row.counts["opened_any"],
            "clicked_with_machines": row.counts["clicked_any"],
        }

    known_delivery = result.reports_delivery
    return {
        "campaign": result.send.campaign_id,
        "send": result.send.pk,
        "name": str(result.send.campaign),
        "state": result.send.state,
        "simulated_events": result.simulated,
        "rows": [line(row) for row in result.rows],
        "total": line(result.total),
        "left_out": result.left_out,
    }


def _rate_dict(found: Rate, *, known: bool) -> dict[str, Any]:
    if not known:
        return {"count": None, "share": None, "low": None, "high": None}
    return {
        "count": found.events,
        "share": None if found.value is None else round(found.value, 6),
        "low": round(found.low, 6),
        "high": round(found.high, 6),
    }


def as_json(result: Report) -> str:
    return json.dumps(as_dicts(result), indent=2, ensure_ascii=False)


def as_csv(result: Report) -> str:
    """Everything shown, one line per segment, tone and arm, then the total."""
    data = as_dicts(result)
    file = io.StringIO()
    plain = [
        "segment",
        "tone",
        "arm",
        "customers",
        "sent",
        "in_doubt",
        "not_sent",
        "still_out",
    ]
    heads = [*plain, *(f"{name}{part}" for name in RATES for part in _PARTS)]
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(heads)
    for row in [*data["rows"], data["total"]]:
        writer.writerow(
            [formula_safe(row[name]) for name in plain]
            + [row[name][key] for name in RATES for key in _PARTS.values()]
        )
    return file.getvalue()


_PARTS = {"": "count", "_share": "share", "_low": "low", "_high": "high"}
