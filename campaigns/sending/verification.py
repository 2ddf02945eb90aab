"""Whether a provider is verified, and what follows: else few customers a day.

The limit is a row beside the others, there for as long as it is asked for. Whoever
sends looks before, so that settings that were changed count from the next turn on.
Source: sending.md 1.9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal

from django.conf import settings
from django.db import transaction

from campaigns.errors import ProviderMisconfigured
from campaigns.models import ProviderVerification, RateLimit
from campaigns.sending import account, limits
from campaigns.sending.breaker import note
from customers.templatetags.attune import day

Outcome = Literal["passed", "failed", "not_checked"]
_LABELS: Final = {
    "passed": "passed",
    "failed": "failed",
    "not_checked": "not checked",
}
# What is looked at, in this order.
KINDS: Final = "kinds of address"
TAKEN: Final = "batches of one, two and three"
LEFT: Final = "what left"
REPORTS: Final = "reports by webhook"
ARRIVED: Final = "what arrived"
SIGNED: Final = "DKIM"
COMMAND: Final = "manage.py verify_provider"


class State(Enum):
    """What is known of a provider with the settings of today."""

    STAYS_HERE = "stays_here"
    VERIFIED = "verified"
    USED_BEFORE = "used_before"
    CHANGED = "changed"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, or could not be. words: what was found, or why not.

    needed: without it nothing is verified.
    """

    name: str
    outcome: Outcome
    words: str
    needed: bool = True

    @property
    def label(self) -> str:
        return _LABELS[self.outcome]


@dataclass(frozen=True, slots=True)
class Standing:
    """words: a sentence, with the way out where there is one to be found."""

    state: State
    words: str
    row: ProviderVerification | None = None

    @property
    def limited(self) -> bool:
        return self.state in (State.CHANGED, State.UNVERIFIED)


def stands(provider: str) -> Standing:
    """What is known of it; only reads. Raises ProviderMisconfigured."""
    row = ProviderVerification.objects.filter(provider=provider).first()
    here = account.stays_here(provider)
    changed = row is not None and row.digest not in ("", account.fingerprint(provider))
    if here and (row is None or changed or not row.verified_at):
        words = f"{here[:1].upper()}{here[1:]}: it is not limited for being unverified."
        return Standing(State.STAYS_HERE, words, row)
    few = (
        f"At most {settings.UNVERIFIED_A_DAY:,} customers a day get mail to many until "
        f"it is: {COMMAND} {provider} --seeds, with three mailboxes of your own."
    )
    if row is None or not (row.verified_at or row.used_before or changed):
        return Standing(State.UNVERIFIED, f"{provider} is not verified. {few}", row)
    if changed:
        words = f"The settings of {provider} are others than when it was looked at, "
        return Standing(State.CHANGED, f"{words}so it is not verified. {few}", row)
    if row.verified_at:
        by = f" by {row.by}" if row.by else ""
        words = f"{provider} was verified on {day(row.verified_at)}{by}"
        return Standing(State.VERIFIED, f"{words}, with mails from {row.sender}.", row)
    return Standing(
        State.USED_BEFORE,
        f"{provider} took mail before there was a verification, so it is not limited. "
        f"It is not verified either: {COMMAND} {provider} --seeds, with three "
        "mailboxes of your own.",
        row,
    )


def heed(provider: str, *, at: datetime) -> None:
    """Have the limit stand where it should, as it should, and nowhere else."""
    try:
        standing = stands(provider)
    except ProviderMisconfigured:
        return  # nothing leaves by it, and whoever opens it says why
    row, most = standing.row, settings.UNVERIFIED_A_DAY
    if standing.state is State.USED_BEFORE and row is not None and not row.digest:
        # It went on with the settings of then: from now on with no others.
        ProviderVerification.objects.filter(pk=row.pk, digest="").update(
            digest=account.fingerprint(provider)
        )
    mine = RateLimit.objects.filter(provider=provider, unverified=True)
    stood = mine.values_list("most", flat=True).first()
    if stood == (most if standing.limited else None):
        return
    if not standing.limited:
        mine.delete()
    elif stood is not None:
        mine.update(most=most)
    else:
        with transaction.atomic():
            _, made = RateLimit.objects.get_or_create(
                provider=provider,
                mailboxes="",
                campaign=None,
                window=RateLimit.Window.DAY,
                learned=False,
                unverified=True,
                defaults={"most": most},
            )
            if made:
                note(provider, standing.words, at=at)
    # Who waits for it till tomorrow may go on now, where it has changed or is gone.
    limits.ask_anew(at=at)


def keep(
    provider: str,
    checks: Sequence[Check],
    *,
    mails: Sequence[Mapping[str, Any]],
    sender: str,
    sent_at: datetime,
    by: str,
    at: datetime,
) -> ProviderVerification:
    """Keep what was found out, and have the limit follow.

    Verified is what passed all that is needed. What fails takes it away; what is only
    not checked yet leaves it as it was.
    """
    digest = account.fingerprint(provider)
    needed = [one for one in checks if one.needed]
    failed = {one.name for one in needed if one.outcome == "failed"}
    passed = all(one.outcome == "passed" for one in needed)
    with transaction.atomic():
        row, _ = ProviderVerification.objects.select_for_update().get_or_create(
            provider=provider
        )
        if row.digest not in ("", digest):
            row.verified_at, row.used_before = None, False
        # A call that failed, or a report that is late, says nothing against mails that
        # have left for months; what is wrong with a mail does.
        if failed & {LEFT, ARRIVED, SIGNED}:
            row.used_before = False
        if failed:
            row.verified_at = None
        elif passed:
            row.verified_at, row.by = at, by
        row.digest, row.sent_at, row.checked_at = digest, sent_at, at
        row.sender, row.mails = sender, [dict(one) for one in mails]
        row.checks = [asdict(one) for one in checks]
        row.save()
    heed(provider, at=at)
    return row


def tell(provider: str, checks: Sequence[Check], *, by: str, at: datetime) -> None:
    """Note what was found out, and by whom."""
    words = f"{by} looked at {provider}: {_in_short(checks)}. {stands(provider).words}"
    note(provider, words, at=at)


def _in_short(checks: Sequence[Check]) -> str:
    """Such as: passed: what left; not checked: DKIM."""
    parts = []
    for outcome, label in _LABELS.items():
        names = [one.name for one in checks if one.outcome == outcome]
        if names:
            parts.append(f"{label}: {', '.join(names)}")
    return "; ".join(parts)
