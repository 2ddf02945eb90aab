"""Mails to three mailboxes of the shop's own, by the way that campaigns' mails go.

They are written and handed over by the provider's channel in batches of one, two and
three, as a campaign's are; each has a word that stands in no other. What is found out
so is kept; nothing is called checked that was not. Source: sending.md 1.9.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.conf import settings

from campaigns.content.arrived import Expected, problems_of
from campaigns.content.designs import SharedBlocks, Words, load_design
from campaigns.content.links import Links
from campaigns.content.problems import TemplateError
from campaigns.content.render import CompiledVariant, compile_variant
from campaigns.errors import CampaignsError
from campaigns.models import Sender, new_public_ids
from campaigns.rendering import Facts, context_of, sender_facts
from campaigns.sending import account, breaker, instance
from campaigns.sending.channels import (
    STOPS,
    Channel,
    Envelope,
    Outgoing,
    Receipt,
    Result,
    channel_for,
)
from campaigns.sending.channels.anymail import AnymailChannel
from campaigns.sending.parts import problems_of_call
from campaigns.sending.verification import KINDS, LEFT, TAKEN, Check
from customers.addresses import address_key, address_wire
from customers.errors import InvalidAddress
from customers.services import is_suppressed

SEEDS: Final = 3
# Whom each batch goes to, by place among the seeds.
BATCHES: Final = ((2,), (0, 1), (0, 1, 2))
NEEDED: Final = (
    "Three mailboxes of your own are needed, one of them at a domain with letters "
    "beyond ASCII and one with a plus, if you have such: anna@shop.example "
    "bo@bücher.example anna+check@shop.example"
)
_NAME: Final = '{{ customer.first_name | default: "nobody" }}'


class CannotVerify(CampaignsError):
    """There is nothing to verify, or nobody to send to."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that left, as it is kept. word: stands in no other one.

    batch: how many were handed over together. told: what was answered, "" where it was
    accepted.
    """

    address: str
    public_id: int
    word: str
    unsubscribe: str
    batch: int
    told: str = "it was not handed over"
    provider_message_id: str = ""

    @property
    def accepted(self) -> bool:
        return not self.told

    @property
    def expected(self) -> Expected:
        return Expected(self.address, self.word, self.unsubscribe)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Run:
    """What left, and what is known at once."""

    sent_at: datetime
    sender: str
    mails: tuple[Mail, ...]
    checks: tuple[Check, ...]


def run(provider: str, seeds: Sequence[str], *, sender: Sender, at: datetime) -> Run:
    """Send to the seeds by the provider's own channel, and tell what came of it.

    Raises CannotVerify, with what was needed and what came, before anything leaves;
    AnotherInstance, ProviderMisconfigured.
    """
    instance.guard()
    _refuse_what_delivers_nothing(provider)
    addresses = usable(seeds)
    row = breaker.found(breaker.Way(provider, breaker.BULK))
    if row is not None and breaker.gate(row, now=at) is not breaker.Gate.CLOSED:
        raise CannotVerify(breaker.in_words(row, now=at))
    variant = _variant(provider, sender)
    channel = channel_for(provider)
    calls: list[Mapping[str, Any]] = []
    if isinstance(channel, AnymailChannel):
        channel.shown = calls.append
    mails, wrong, stopped = list[Mail](), dict[str, list[str]](), False
    try:
        for places in BATCHES:
            group = _mails([addresses[place] for place in places])
            if stopped:
                mails += group
                continue
            sent, problems = _hand_over(channel, variant, group, calls)
            mails += sent
            wrong.update(problems)
            stopped = not any(one.accepted for one in sent)
    finally:
        channel.close()
    checks = (_kinds(addresses), _taken(mails), _left(mails, wrong, calls=len(calls)))
    return Run(at, sender.from_address, tuple(mails), checks)


def usable(seeds: Sequence[str]) -> list[str]:
    """The seeds as they go over the wire. Raises CannotVerify unless they are three."""
    wires, unusable = dict[str, str](), list[str]()
    for seed in seeds:
        try:
            wire = address_wire(seed)
        except InvalidAddress as problem:
            unusable.append(str(problem))
            continue
        if is_suppressed(wire):
            unusable.append(f"'{seed}' is suppressed: it said no, or mail came back.")
        elif address_key(wire) in wires:
            unusable.append(f"'{seed}' came twice.")
        else:
            wires[address_key(wire)] = wire
    if len(wires) != SEEDS or unusable:
        came = f"{len(seeds)} came, and {len(wires)} can be used"
        told = " ".join([f"{NEEDED}; {came}.", *unusable, "Nothing was sent."])
        raise CannotVerify(told)
    return list(wires.values())


def _refuse_what_delivers_nothing(provider: str) -> None:
    if provider != settings.PROVIDER:
        raise CannotVerify(
            f"ATTUNE_PROVIDER is {settings.PROVIDER}, and {provider} was to be "
            f"verified: set ATTUNE_PROVIDER={provider} and its options, for this "
            "command at least."
        )
    if account.delivers_nothing(account.backend_of(provider)):
        raise CannotVerify(
            f"{provider} delivers nothing, so there is nothing to verify: set "
            "ATTUNE_PROVIDER to the provider that mail is to leave by."
        )


def _variant(provider: str, sender: Sender) -> CompiledVariant:
    """A mail of one of the house's designs, as campaigns have."""
    design = load_design(settings.EMAIL_DESIGNS_DIR, "announcement")
    words = Words(
        subject=f"Verifying {provider}: {_NAME}",
        preheader="A mail of Attune to a mailbox of your own",
        blocks={
            "headline": "Does mail arrive as it should?",
            "opening": f"The word of this mail is {_NAME}.",
            "details": "It stands in no other one. Please save this mail as a file "
            "(“show original”, “download”) and give it to "
            f"`manage.py verify_provider {provider} --received FOLDER`.",
            "closing": "No customer gets this.",
        },
    )
    shared = SharedBlocks(
        offer="Nothing is offered here.",
        terms="It verifies a provider.",
        footer_reason="You get this since somebody of the shop named your mailbox.",
    )
    try:
        return compile_variant(
            design.layout, shared, words, sender=sender_facts(sender)
        )
    except TemplateError as error:
        why = " ".join(one.message for one in error.problems)
        raise CannotVerify(f"No mail can come from {sender}: {why}") from None


def _mails(addresses: Sequence[str]) -> list[Mail]:
    """What is to leave in one call."""
    return [
        Mail(
            address,
            public_id,
            f"check{secrets.token_hex(8)}",
            Links(settings.BASE_URL, public_id, settings.TRACKING_KEYS).unsubscribe,
            len(addresses),
        )
        for address, public_id in zip(
            addresses, new_public_ids(len(addresses)), strict=True
        )
    ]


def _hand_over(
    channel: Channel,
    variant: CompiledVariant,
    group: Sequence[Mail],
    calls: Sequence[Mapping[str, Any]],
) -> tuple[list[Mail], dict[str, list[str]]]:
    """The mails with what was answered; and what was wrong with them, by word.

    calls: those that have left, to which the channel adds its own.
    """
    written = [_write(channel, variant, mail, group) for mail in group]
    refused = next(filter(None, map(channel.check, written)), "")
    if refused:
        told = f"it was not handed over: {refused}"
        return [replace(mail, told=told) for mail in group], {}
    before = len(calls)
    results = channel.hand_over(written)
    sent = [
        _answered(mail, result) for mail, result in zip(group, results, strict=True)
    ]
    wrong = {}
    for mail, outgoing in zip(sent, written, strict=True):
        others = [one.expected for one in group if one.word != mail.word]
        if mail.accepted:
            wrong[mail.word] = _problems(mail, outgoing, others, calls[before:])
    return sent, wrong


def _write(
    channel: Channel, variant: CompiledVariant, mail: Mail, group: Sequence[Mail]
) -> Outgoing:
    # Of no message, and known to no table; the batch is named by its first mail.
    place = group.index(mail) + 1
    envelope = Envelope(place, mail.public_id, 0, group[0].public_id, mail.address, 1)
    facts = Facts({"customer": {"first_name": mail.word}})
    return channel.compose(
        envelope, variant, context_of(mail.public_id, facts, variant)
    )


def _problems(
    mail: Mail,
    outgoing: Outgoing,
    others: Sequence[Expected],
    calls: Sequence[Mapping[str, Any]],
) -> list[str]:
    """What is wrong with a mail that left, as far as it was seen to leave."""
    content = getattr(getattr(outgoing.body, "mail", None), "content", None)
    if isinstance(content, bytes):  # SMTP: these very bytes
        return problems_of(content, mail.expected, others)
    found = [problems_of_call(one, mail.expected, others) for one in calls]
    seen = [problems for problems in found if problems is not None]
    return [one for some in seen for one in some] if seen else ["no call carried it"]


def _answered(mail: Mail, result: Result) -> Mail:
    if isinstance(result, Receipt):
        return replace(mail, told="", provider_message_id=result.provider_message_id)
    kind = "stopped" if isinstance(result, STOPS) else "refused"
    return replace(mail, told=f"{kind}: {result.detail or result.reason}")


def _kinds(addresses: Sequence[str]) -> Check:
    """Which of the addresses that are known to make trouble were among them."""
    kinds: dict[str, Callable[[str], bool]] = {
        "a plain one": lambda one: one.isascii() and "xn--" not in one,
        "one at a domain beyond ASCII": lambda one: "xn--" in one.rpartition("@")[2],
        "one with a plus": lambda one: "+" in one.rpartition("@")[0],
    }
    missing = [
        kind for kind, is_one in kinds.items() if not any(map(is_one, addresses))
    ]
    if missing:
        words = f"Not among the three: {', '.join(missing)}."
        return Check(KINDS, "not_checked", words, needed=False)
    return Check(KINDS, "passed", "A plain one, one beyond ASCII, one with a plus.")


def _taken(mails: Sequence[Mail]) -> Check:
    bad = [
        f"{one.address} in the batch of {one.batch}: {one.told}"
        for one in mails
        if not one.accepted
    ]
    if bad:
        return Check(TAKEN, "failed", f"Not accepted: {'; '.join(bad)}.")
    return Check(TAKEN, "passed", f"All {len(mails)} mails were accepted, each named.")


def _left(
    mails: Sequence[Mail], wrong: Mapping[str, Sequence[str]], *, calls: int
) -> Check:
    """Whether each recipient's part of what left is theirs alone."""
    seen = [one for one in mails if one.word in wrong]
    if not seen:
        return Check(LEFT, "not_checked", "No mail was accepted.")
    bad = [
        f"{one.address} in the batch of {one.batch}: {', '.join(wrong[one.word])}"
        for one in seen
        if wrong[one.word]
    ]
    if bad:
        return Check(LEFT, "failed", f"{'; '.join(bad)}.")
    how = f" in {calls} calls" if calls else " by SMTP"
    return Check(
        LEFT,
        "passed",
        f"Of {len(seen)} mails{how}, each held its own address, words and "
        "List-Unsubscribe pair, and nothing of another one’s.",
    )
