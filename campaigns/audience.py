"""Who a send goes to: everyone is in, or out for one named reason.

One decision, made chunk by chunk, serves the preflight and the send alike. Each chunk
costs a handful of queries, whatever its size.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from campaigns.assignment import FITTING, arm_of
from campaigns.models import Campaign, EmailTemplate, Message, Send
from customers.addresses import address_key, address_wire
from customers.errors import InvalidAddress
from customers.models import Consent, Customer
from customers.querysets import around
from customers.services import marketing_basis, suppressed_keys
from segmentation.holds import held
from segmentation.models import Membership, RuleSegment, Segment, SegmentationRun
from segmentation.naming import sending_tones
from segmentation.rule_segments import tree_of, words_of
from segmentation.rules.compiling import matching_in_run
from segmentation.rules.tree import Group, parse, to_json

# Some 20 questions a chunk, and a fifth of a second.
CUSTOMERS_A_CHUNK: Final = 5000
NEUTRAL_TONE: Final = "neutral"
# The segment of those who are in none: too little evidence, or no profiling wanted.
UNKNOWN: Final = "unknown"


class Reason(NamedTuple):
    label: str
    sentence: str


# In the order in which they are looked at: the first that applies is the reason.
LEFT_OUT_REASONS: Final[Mapping[str, Reason]] = {
    "no_address": Reason("no address", "We know no e-mail address of them."),
    "invalid_address": Reason(
        "address can't get mail", "No mail can be sent to the address as it is written."
    ),
    "suppressed": Reason(
        "never mail", "They unsubscribed, complained, or their address does not exist."
    ),
    "no_consent": Reason(
        "no consent", "They never allowed marketing mail, or took that back."
    ),
    "held": Reason(
        "held", "They are unhappy with us right now: no promotion until that is solved."
    ),
    "excluded": Reason(
        "left out by a rule",
        "They match the rule of those whom this campaign must not reach.",
    ),
    "expired": Reason(
        "too late", "What it offers had ended before they could have got it."
    ),
    "duplicate_address": Reason(
        "same address", "Another customer with the same address gets this mail."
    ),
    "capped": Reason(
        "enough mail lately",
        "They have had as many promotions lately as the shop sends to one person.",
    ),
    "merge_error": Reason(
        "words missing", "The mail uses something we do not know of them."
    ),
    "cancelled": Reason(
        "cancelled", "The send was cancelled before it was their turn."
    ),
}


class Person(NamedTuple):
    """What is needed to decide on a customer."""

    pk: int
    email: str
    address_key: str
    timezone: str
    profiling_objected_at: datetime | None


class Recipient(NamedTuple):
    """What is frozen about one who will be mailed."""

    segment_key: str
    tone: str
    arm: str
    address_wire: str
    timezone: str = ""


class LeftOut(NamedTuple):
    """What is frozen about one who will not."""

    reason: str
    detail: str
    segment_key: str
    tone: str
    arm: str


@dataclass(slots=True)
class Audience:
    """Every customer who matched is in exactly one of the two."""

    included: dict[int, Recipient] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    outs: dict[int, LeftOut] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.included) + len(self.outs)

    def leave_out(
        self, customer_id: int, reason: str, place: "Place", detail: str = ""
    ) -> None:
        self.left_out[customer_id] = reason
        self.outs[customer_id] = LeftOut(reason, detail, *place)

    def update(self, other: "Audience") -> None:
        self.included.update(other.included)
        self.left_out.update(other.left_out)
        self.outs.update(other.outs)


class Place(NamedTuple):
    segment_key: str
    tone: str
    arm: str


@dataclass(frozen=True, slots=True)
class PlannedRule:
    """A rule segment as it was when it was planned; later edits do not reach it."""

    name: str
    tree: Group

    @classmethod
    def of(cls, segment: RuleSegment | None) -> "PlannedRule | None":
        return cls(segment.name, tree_of(segment)) if segment else None

    @classmethod
    def from_json(cls, data: dict[str, Any] | None) -> "PlannedRule | None":
        return cls(data["name"], parse(data["rule"])) if data else None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "rule": to_json(self.tree)}

    @property
    def words(self) -> str:
        return words_of(self.tree)


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules of one send, all of them; equal plans decide alike.

    segments: the keys it goes to, empty for everyone. tones: the tone of each segment.
    written: the tones that have words; any other becomes neutral. audience_rule: only
    whoever it holds for; exclusion_rule: nobody it holds for, whatever else is true.
    """

    purpose: str
    run_id: int | None
    segments: tuple[str, ...]
    tones: Mapping[str, str]
    written: frozenset[str]
    neutral_share: float
    experiment: str
    audience_rule: PlannedRule | None = None
    exclusion_rule: PlannedRule | None = None

    @property
    def is_promotion(self) -> bool:
        return self.purpose == EmailTemplate.Purpose.PROMOTION

    def tone_of(self, segment_key: str) -> str:
        tone = self.tones.get(segment_key, NEUTRAL_TONE)
        return tone if tone in self.written else NEUTRAL_TONE

    def place(self, customer_id: int, segment_key: str) -> Place:
        """The neutral control is drawn only where there is another tone to compare."""
        tone = self.tone_of(segment_key)
        if tone == NEUTRAL_TONE:
            return Place(segment_key, tone, FITTING)
        arm = arm_of(self.experiment, customer_id, neutral_share=self.neutral_share)
        return Place(segment_key, tone if arm == FITTING else NEUTRAL_TONE, arm)

    def to_json(self) -> dict[str, Any]:
        return {
            "purpose": self.purpose,
            "segments": list(self.segments),
            "tones": dict(self.tones),
            "written": sorted(self.written),
            "neutral_share": self.neutral_share,
            "experiment": self.experiment,
            "audience_rule": self.audience_rule and self.audience_rule.to_json(),
            "exclusion_rule": self.exclusion_rule and self.exclusion_rule.to_json(),
        }


def plan_of_campaign(campaign: Campaign, *, run: SegmentationRun | None) -> Plan:
    """The rules as they stand now, before they are frozen."""
    return Plan(
        purpose=campaign.template.purpose,
        run_id=run.pk if run else None,
        segments=tuple(campaign.segments),
        tones=sending_tones(audience=campaign.audience_rule),
        written=frozenset(campaign.template.variants.values_list("tone", flat=True)),
        neutral_share=campaign.neutral_share,
        # Drawn anew for each campaign: method.md 4.1.
        experiment=f"campaign {campaign.pk}",
        audience_rule=PlannedRule.of(campaign.audience_rule),
        exclusion_rule=PlannedRule.of(campaign.exclusion_rule),
    )


def plan_of_send(send: Send) -> Plan:
    """The rules as they were frozen."""
    frozen = send.frozen["plan"]
    audience_rule, exclusion_rule = rules_of_send(send)
    return Plan(
        purpose=frozen["purpose"],
        run_id=send.run_id,
        segments=tuple(frozen["segments"]),
        tones=frozen["tones"],
        written=frozenset(frozen["written"]),
        neutral_share=frozen["neutral_share"],
        experiment=frozen["experiment"],
        audience_rule=audience_rule,
        exclusion_rule=exclusion_rule,
    )


def rules_of_send(send: Send) -> tuple[PlannedRule | None, PlannedRule | None]:
    """The frozen rules: of the audience, of the exclusion.

    A send that was scheduled before there were rules has none.
    """
    frozen = send.frozen.get("plan", {})
    return (
        PlannedRule.from_json(frozen.get("audience_rule")),
        PlannedRule.from_json(frozen.get("exclusion_rule")),
    )


def resolve_audience(
    planned: Send | Campaign, *, at: datetime, run: SegmentationRun | None = None
) -> Audience:
    """The whole audience at once; for large lists go chunk by chunk instead."""
    if isinstance(planned, Send):
        plan = plan_of_send(planned)
    else:
        plan = plan_of_campaign(planned, run=run)
    whole = Audience()
    for part in parts(plan, at=at):
        whole.update(part)
    return whole


def parts(plan: Plan, *, at: datetime) -> Iterator[Audience]:
    """The whole audience of a plan, some thousand customers at a time."""
    keys = set[str]()
    for chunk in chunks():
        part = decide(plan, chunk, at=at, taken=keys.intersection)
        keys |= keys_of(chunk, part)
        yield part


def chunks(*, after: int = 0, size: int = CUSTOMERS_A_CHUNK) -> Iterator[list[Person]]:
    """All customers by id, from the one after the given id on."""
    while chunk := next_chunk(after=after, size=size):
        yield chunk
        after = chunk[-1].pk


def next_chunk(*, after: int, size: int = CUSTOMERS_A_CHUNK) -> list[Person]:
    return people(Customer.objects.filter(pk__gt=after), most=size)


def people(found: QuerySet[Customer], *, most: int | None = None) -> list[Person]:
    """These customers by id, so many at most."""
    # No objects: a send to a million would make a million of them to read once.
    rows = found.order_by("pk").values_list(*Person._fields)[:most]
    return [Person(*row) for row in rows]


def keys_of(chunk: list[Person], part: Audience) -> set[str]:
    """The mailboxes that this part of the audience will reach."""
    return {customer.address_key for customer in chunk if customer.pk in part.included}


def decide(
    plan: Plan,
    customers: list[Person],
    *,
    at: datetime,
    taken: Callable[[set[str]], set[str]],
    too_late: Callable[[str], bool] = lambda zone: False,
) -> Audience:
    """Who of these customers matched, and of them who is in and who is out and why.

    taken: which of these address keys an earlier part of the audience reaches already.
    too_late: has it ended before it can reach somebody who lives in this zone?
    """
    segment_of = _segments(plan, customers)
    matched = [
        customer
        for customer in customers
        if not plan.segments or segment_of[customer.pk] in plan.segments
    ]
    if plan.audience_rule:
        asked_for = _matching(plan.audience_rule, matched, plan, at=at)
        matched = [customer for customer in matched if customer.pk in asked_for]
    places = {one.pk: plan.place(one.pk, segment_of[one.pk]) for one in matched}
    audience = Audience()
    reachable = _reachable(matched, places, audience)
    reasons = ineligible(
        [(one.pk, one.email) for one, _ in reachable], purpose=plan.purpose, at=at
    )
    excluded = set[int]()
    if plan.exclusion_rule:
        remaining = [one for one, _ in reachable if one.pk not in reasons]
        excluded = _matching(plan.exclusion_rule, remaining, plan, at=at)
    used = taken({one.address_key for one, _ in reachable})
    for customer, wire in reachable:
        place = places[customer.pk]
        if customer.pk in reasons:
            reason, detail = reasons[customer.pk]
            audience.leave_out(customer.pk, reason, place, detail)
        elif plan.exclusion_rule and customer.pk in excluded:
            detail = f"matches the rule “{plan.exclusion_rule.name}”"
            audience.leave_out(customer.pk, "excluded", place, detail)
        elif too_late(customer.timezone):
            audience.leave_out(customer.pk, "expired", place)
        elif customer.address_key in used:
            audience.leave_out(customer.pk, "duplicate_address", place)
        else:
            used.add(customer.address_key)
            audience.included[customer.pk] = Recipient(*place, wire, customer.timezone)
    return audience


def ineligible(
    people: list[tuple[int, str]], *, purpose: str, at: datetime
) -> dict[int, tuple[str, str]]:
    """Who of these (customer id, address) must not be mailed now: reason and detail.

    Asked when the audience is made, and again when a batch is about to leave.
    """
    found: dict[int, tuple[str, str]] = {}
    ids = [pk for pk, _ in people]
    promotion = purpose == EmailTemplate.Purpose.PROMOTION
    if promotion:
        found.update({pk: ("held", str(hold)) for pk, hold in held(ids, at=at).items()})
        basis = marketing_basis(ids, at=at)
        for pk in ids:
            if basis.get(pk, Consent.Basis.WITHDRAWN) == Consent.Basis.WITHDRAWN:
                found[pk] = ("no_consent", "")
    never = suppressed_keys(address for _, address in people)
    for pk, address in people:
        if address_key(address) in never:
            found[pk] = ("suppressed", "")
    return found


def _segments(plan: Plan, customers: list[Person]) -> dict[int, str]:
    """The segment of each; unknown for those in none and those who objected."""
    segments = dict.fromkeys((one.pk for one in customers), UNKNOWN)
    if plan.run_id is None:
        return segments
    keys = dict(Segment.objects.order_by().values_list("pk", "key"))
    asked = iter([one.pk for one in customers if one.profiling_objected_at is None])
    while part := set(islice(asked, CUSTOMERS_A_CHUNK)):
        places = Membership.objects.filter(around(part), run_id=plan.run_id)
        for pk, segment in places.order_by().values_list("customer_id", "segment_id"):
            if pk in part:
                segments[pk] = keys[segment]
    return segments


def _matching(
    rule: PlannedRule, customers: list[Person], plan: Plan, *, at: datetime
) -> set[int]:
    """For whom of these a rule holds, by the run of the plan: a question a chunk."""
    asked, found = iter([one.pk for one in customers]), set[int]()
    holds = matching_in_run(rule.tree, at=at, run_id=plan.run_id).order_by()
    while part := set(islice(asked, CUSTOMERS_A_CHUNK)):
        who = holds.filter(around(part, field="pk")).values_list("pk", flat=True)
        found |= part.intersection(who)
    return found


def _reachable(
    customers: list[Person], places: dict[int, Place], audience: Audience
) -> list[tuple[Person, str]]:
    reachable = []
    for customer in customers:
        place = places[customer.pk]
        if not customer.email.strip():
            audience.leave_out(customer.pk, "no_address", place)
            continue
        try:
            reachable.append((customer, address_wire(customer.email)))
        except InvalidAddress as problem:
            detail = str(problem).partition("can't get mail: ")[2][:200]
            audience.leave_out(customer.pk, "invalid_address", place, detail)
    return reachable


def reason_label(message: Message) -> str:
    """Why this message did not leave, as a marketer reads it."""
    known = LEFT_OUT_REASONS.get(message.reason)
    label = known.label if known else message.reason.replace("_", " ")
    return f"{label}: {message.detail}" if message.detail else label
