"""Before a send: what stands in its way, who it would reach, and freezing it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from campaigns.audience import (
    LEFT_OUT_REASONS,
    NEUTRAL_TONE,
    UNKNOWN,
    Plan,
    plan_of_campaign,
)
from campaigns.content.lint import Finding, lint_template
from campaigns.content.problems import TemplateError
from campaigns.content.render import CompiledVariant
from campaigns.counting import Counts, counts_for_page, plan_now
from campaigns.errors import CannotSchedule, ProviderMisconfigured
from campaigns.models import (
    AGAIN_IS_FOR_NOTICES,
    Campaign,
    EngineNode,
    Send,
    SendVariant,
    Variant,
)
from campaigns.rendering import (
    compile_template,
    sender_facts,
    shared_blocks,
    words_of,
)
from campaigns.sending import instance, warming
from campaigns.sending.channels import batch_size_of
from campaigns.timing import frozen_times, leave_times_of, quiet_hours, zone_of
from customers.addresses import address_wire
from customers.errors import InvalidAddress
from customers.templatetags.attune import moment_named
from segmentation.models import RuleSegment, Segment
from segmentation.places import published_run

if TYPE_CHECKING:
    from django.contrib.auth.models import User


# A sender that has not been heard of for so long is not running.
SENDER_SILENT: Final = timedelta(seconds=30)
# What a process of run_engine does not do that has one role; see sending/engine.py.
PARTS: Final = frozenset({"mail", "events", "chores"})
LACKS: Final = {f"run_engine {part}": PARTS - {part} for part in PARTS}
# A look into a mailbox may take longer than half a minute.
ROLE_SILENT: Final = timedelta(minutes=3)
# What comes of it when nobody does a part of the work.
MISSING_WORDS: Final = {
    "events": "Nobody takes in what comes back: bounces and complaints stop no send. "
    "Start run_engine without --role, or with --role events.",
    "chores": "Nobody prepares what is due and takes up what died. Start run_engine "
    "without --role, or with --role chores.",
}
NOBODY_SENDS: Final = (
    "No sender is running: start run_engine, or a worker with beat. "
    "Until then the send waits."
)


ONE_DAY: Final = timedelta(days=1)
ENDED: Final = (Send.State.SENT, Send.State.CANCELLED, Send.State.FAILED)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the funnel: who is taken out here, and how many remain."""

    key: str
    label: str
    remaining: int
    out: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """steps: from matched to will be mailed. tones: tone → customers, both arms.

    problems stop a schedule; warnings do not. counted: False where nobody has counted
    this plan yet, and steps, tones, segments and control say nothing.
    """

    counted: bool
    steps: tuple[Step, ...]
    tones: dict[str, int]
    segments: dict[str, int]
    control: int
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def can_schedule(self) -> bool:
        return not self.problems

    @property
    def will_be_mailed(self) -> int:
        return self.steps[-1].remaining


def preflight(campaign: Campaign, *, at: datetime) -> Preflight:
    """Who would get this campaign now, who not and why, and what is in its way.

    Counted at once where there are few customers; else as it was counted last.
    """
    plan = plan_now(campaign)
    counts = counts_for_page(campaign, plan, at=at)
    problems = readiness(campaign) + _too_late(campaign, at)
    findings = _findings(campaign)
    problems += [_sentence(one) for one in findings if one.severity == "blocks"]
    if counts is not None and not counts.matched:
        others = "another rule or segments" if plan.audience_rule else "other segments"
        problems.append(f"No customer matches: choose {others}, or import a file.")
    elif counts is not None and counts.matched == counts.out.total():
        problems.append("Everyone who matches is left out: nobody would get a mail.")
    warnings = [_sentence(one) for one in findings if one.severity != "blocks"]
    warnings += _warnings(campaign, plan, at=at)
    counted = counts or Counts()
    mails = counted.matched - counted.out.total()
    warnings += warming.preflight_words(campaign, mails, at=at)
    return Preflight(
        counted=counts is not None,
        steps=_steps(counted, plan),
        tones=dict(counted.tones),
        segments=dict(counted.segments),
        control=counted.control,
        problems=tuple(dict.fromkeys(problems)),
        warnings=tuple(dict.fromkeys(warnings)),
        findings=tuple(findings),
    )


def _steps(counts: Counts, plan: Plan) -> tuple[Step, ...]:
    whom = "Customers in the segments of this campaign"
    if plan.audience_rule:
        whom += f" who match the rule “{plan.audience_rule.name}”"
    steps = [Step("matched", "matched", counts.matched, 0, f"{whom}.")]
    remaining = counts.matched
    for key, reason in LEFT_OUT_REASONS.items():
        out = counts.out[key]
        remaining -= out
        if out:
            steps.append(Step(key, reason.label, remaining, out, reason.sentence))
    steps.append(
        Step("mailed", "will be mailed", remaining, 0, "Each of them gets one mail.")
    )
    return tuple(steps)


def readiness(campaign: Campaign) -> list[str]:
    """What must be put right before this campaign can be scheduled."""
    problems = [one for one in [instance.what_stands()] if one]
    template, sender = campaign.template, campaign.sender
    if not template.variants.filter(tone=NEUTRAL_TONE).exists():
        problems.append(
            f"The template {template.name} has no words in the neutral tone: write "
            "them, since everyone without a fitting tone gets them."
        )
    if not sender.from_address.strip():
        problems.append("The sender has no address: give it one to send from.")
    for name, address in (
        ("address", sender.from_address),
        ("reply-to address", sender.reply_to),
    ):
        if address.strip():
            try:
                address_wire(address)
            except InvalidAddress as problem:
                problems.append(f"The sender's {name}: {problem}")
    if not sender.postal_address.strip():
        problems.append(
            "The sender has no postal address: add it, the law asks for it in every "
            "mail."
        )
    known = set(Segment.objects.values_list("key", flat=True))
    for key in campaign.segments:
        if key not in known:
            problems.append(f"There is no segment {key}: choose others.")
    for rule in (campaign.audience_rule, campaign.exclusion_rule):
        if rule is not None and rule.removed_at is not None:
            problems.append(f"The rule “{rule}” was deleted: choose another, or none.")
    if campaign.again_refused:
        problems.append(AGAIN_IS_FOR_NOTICES % template)
    if not 0 <= campaign.neutral_share <= 1:
        problems.append("The neutral share needs a number from 0 to 1.")
    try:
        batch_size_of(settings.PROVIDER)
    except ProviderMisconfigured as problem:
        problems.append(str(problem))
    return problems


def _too_late(campaign: Campaign, when: datetime) -> list[str]:
    expires = campaign.expires_at
    if expires is None or when < expires:
        return []
    return [
        f"Nobody gets it after {moment_named(expires)}, and that is not after "
        "its beginning: choose a later end, or none."
    ]


def _warnings(campaign: Campaign, plan: Plan, *, at: datetime) -> list[str]:
    warnings = []
    if plan.run_id is None:
        warnings.append(
            "No segments are in use yet: everyone gets the neutral tone. Refresh the "
            "segments first to change that."
        )
    elif plan.written == {NEUTRAL_TONE}:
        warnings.append("Only the neutral tone has words: everyone gets those.")
    expires, quiet = campaign.expires_at, quiet_hours(frozen_times(campaign))
    if expires is not None and quiet is not None and expires - at < ONE_DAY:
        warnings.append(
            f"It ends within a day: who sleeps until then ({quiet}, where they live) "
            "gets nothing."
        )
    times = leave_times_of(campaign)
    if expires is not None and times is not None:
        first = times.ended(at, zone_of(""))
        if at < expires <= first:
            warnings.append(
                f"By the shop's own clock and calendar nothing leaves before "
                f"{moment_named(first)}, and then it is too late."
            )
    if not sender_is_running(at=at):
        warnings.append(NOBODY_SENDS)
    if settings.PROVIDER != "outbox" and links_lead_here():
        warnings.append(
            f"Links in the mails lead to {settings.BASE_URL}, which nobody else can "
            "reach: set ATTUNE_BASE_URL."
        )
    return warnings


def sender_is_running(*, at: datetime) -> bool:
    """Whether somebody who hands mail over was heard of in the last half minute."""
    heard = EngineNode.objects.filter(last_seen__gte=at - SENDER_SILENT)
    without = [name for name, lacks in LACKS.items() if "mail" in lacks]
    return heard.exclude(role__in=without).exists()


def missing_parts(*, at: datetime) -> list[str]:
    """What is not done although mail is handed over, a sentence each."""
    heard = EngineNode.objects.filter(last_seen__gte=at - ROLE_SILENT)
    names = set(heard.values_list("role", flat=True))
    if not names:
        return []
    lacking = frozenset.intersection(*(LACKS.get(name, frozenset()) for name in names))
    return [words for part, words in MISSING_WORDS.items() if part in lacking]


def links_lead_here() -> bool:
    """Whether links in mails name this machine as only it calls itself."""
    host = urlsplit(settings.BASE_URL).hostname or ""
    return host == "localhost" or host.startswith("127.")


def _findings(campaign: Campaign) -> list[Finding]:
    template = campaign.template
    return list(
        lint_template(
            template.layout,
            shared_blocks(template),
            {one.tone: words_of(one) for one in template.variants.all()},
            sender_facts(campaign.sender),
        )
    )


def _sentence(finding: Finding) -> str:
    words = f"{finding.block}: {finding.message}" if finding.block else finding.message
    return f"{words} {finding.instead}".strip()


def schedule_send(
    campaign: Campaign,
    *,
    scheduled_at: datetime,
    at: datetime,
    by: "User | None" = None,
    newest_known: int | None = None,
) -> Send:
    """Freeze a campaign's words, links, sender, segments and rules, and date it.

    Nothing that is edited later reaches this send. One send of a campaign at a time;
    newest_known: the newest send that whoever asks has seen (0: none), so that asking
    twice is asking once. Raises CannotSchedule with every problem at once.
    """
    run = published_run()
    return freeze_send(
        campaign,
        plan_of_campaign(campaign, run=run),
        at=at,
        by=by,
        newest_known=newest_known,
        scheduled_at=scheduled_at,
        run=run,
    )


def freeze_send(
    campaign: Campaign,
    plan: Plan,
    *,
    at: datetime,
    by: "User | None",
    newest_known: int | None = None,
    problems: Sequence[str] = (),
    also: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Send:
    """A send of these facts, with words, links, sender and rules frozen.

    problems: what else stands in its way. also: what else is frozen. Raises
    CannotSchedule with every problem at once.
    """
    problems = [*problems, *readiness(campaign)]
    problems += _too_late(campaign, facts["scheduled_at"])
    problems += [
        _sentence(one) for one in _findings(campaign) if one.severity == "blocks"
    ]
    tones = {plan.tone_of(key) for key in plan.tones if _addressed(plan, key)}
    tones |= {NEUTRAL_TONE}
    compiled: dict[str, CompiledVariant] = {}
    for tone in sorted(tones):
        try:
            compiled[tone] = compile_template(
                campaign.template, tone, sender=campaign.sender
            )
        except TemplateError as problem:
            problems += [str(one) for one in problem.problems]
        except Variant.DoesNotExist:
            pass  # readiness() has said it already
    if problems:
        raise CannotSchedule(list(dict.fromkeys(problems)))
    with transaction.atomic():
        refuse_a_second(campaign, newest_known)
        send = Send.objects.create(
            campaign=campaign, content_hash=_content_hash(campaign, compiled), **facts
        )
        rows = SendVariant.objects.bulk_create(
            SendVariant(send=send, tone=tone, compiled=one.to_json())
            for tone, one in compiled.items()
        )
        send.frozen = {
            **_frozen(campaign, plan, rows, at=at, by=by),
            **(also or {}),
        }
        send.save(update_fields=["frozen"])
    return send


def refuse_a_second(campaign: Campaign, newest_known: int | None) -> None:
    """Lock the campaign: of two who schedule it, the later finds the other's send.

    Raises CannotSchedule.
    """
    Campaign.objects.select_for_update().get(pk=campaign.pk)
    newest = newest_send(campaign)
    if newest is None:
        return
    if newest.state not in ENDED and newest.standing:
        raise CannotSchedule(
            [
                "A standing send of this campaign is under way: close it first, or "
                "copy the campaign. Nothing new was scheduled."
            ]
        )
    if newest.state not in ENDED:
        raise CannotSchedule(
            [
                f"A send of this campaign is {newest.get_state_display()} already: "
                "wait until it has ended, or cancel it. Nothing new was scheduled."
            ]
        )
    if newest_known is not None and newest_known != newest.pk:
        raise CannotSchedule(
            [
                "This campaign was sent since this page was opened: look at that send "
                "first. Nothing new was scheduled."
            ]
        )


def newest_send(campaign: Campaign) -> Send | None:
    """The send of a campaign that was scheduled last."""
    return campaign.sends.order_by("-pk").first()


def relying_on(segment: RuleSegment) -> list[str]:
    """The campaigns that are still to be sent, or on their way, with this rule."""
    campaigns = Campaign.objects.filter(
        Q(audience_rule=segment) | Q(exclusion_rule=segment)
    ).prefetch_related("sends")
    return [
        f"the campaign “{one}”"
        for one in campaigns
        if not one.sends.all() or any(s.state not in ENDED for s in one.sends.all())
    ]


def _addressed(plan: Plan, segment_key: str) -> bool:
    return not plan.segments or segment_key in plan.segments or segment_key == UNKNOWN


def _frozen(
    campaign: Campaign,
    plan: Plan,
    rows: Iterable[SendVariant],
    *,
    at: datetime,
    by: "User | None",
) -> dict[str, Any]:
    sender = campaign.sender
    return {
        "plan": plan.to_json(),
        "variants": {str(row.pk): row.tone for row in rows},
        "sender": {
            "shop_name": sender.shop_name,
            "from_name": sender.from_name,
            "from_address": sender.from_address,
            "reply_to": sender.reply_to,
            "postal_address": sender.postal_address,
        },
        **frozen_times(campaign),
        "if_in_doubt": campaign.if_in_doubt,
        "template": campaign.template.name,
        "scheduled_on": at.isoformat(),
        "scheduled_by": by.get_username() if by else "",
    }


def _content_hash(campaign: Campaign, compiled: dict[str, CompiledVariant]) -> str:
    digest = hashlib.sha256()
    for tone in sorted(compiled):
        digest.update(f"{tone}:{compiled[tone].sha256}\n".encode())
    sender = sender_facts(campaign.sender)
    digest.update(f"{sender.from_name}\n{sender.from_address}\n".encode())
    digest.update(f"{sender.reply_to}\n{sender.postal_address}\n".encode())
    return digest.hexdigest()
