"""What settles a message of which nobody knows if it was taken: one rule for all.

It is accepted when an event about it proves that the provider took it, when the
provider's answer does, however late, or when a person says so; also if it waits to be
sent again, and then it is not.

A late answer came when the lease was lost and the message in doubt. It tells of one
hand-over: once there was another, or a person has decided, it settles nothing. Whoever
surely was not sent waits again, if nobody can have begun to send it since. Source:
sending.md 3.3.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from campaigns.materialising import MISFIRE_GRACE
from campaigns.models import Message, SecondTry, Send
from campaigns.resending import (
    close_settled,
    let_all_wait,
    lock_batches,
    others_of,
    reopen,
)
from campaigns.sending import ledger, trail
from campaigns.sending.channels import InDoubt, Outgoing, Receipt, Refused, Result
from campaigns.sending.claims import Claim

log = logging.getLogger(__name__)

_SECOND: Final = SecondTry.objects.filter(message=OuterRef("pk"))
# One that waits after it was handed over was in doubt, and is sent again; also when the
# provider was too busy to take it then.
_MAY_BE_PROVEN: Final = Q(
    state__in=(Message.State.IN_DOUBT, Message.State.HANDING_OVER)
) | Q(
    Q(handed_over_at__isnull=False) | Q(Exists(_SECOND.filter(over=False))),
    state=Message.State.WAITING,
)
_BY_EVENT: Final = "proven by an event"
_BY_ANSWER: Final = "proven by an answer that came late"
_NOT_SENT: Final = "Told late: it surely was not sent."
# Of such a send what was not sent waits again, or is cancelled with it.
_HEEDED: Final = (
    Send.State.SENDING,
    Send.State.PAUSED,
    Send.State.SENT,
    Send.State.CANCELLED,
)
# Rows of one statement: SQLite takes so many parameters and no more.
_ROWS_AT_ONCE: Final = 100


@dataclass(slots=True)
class Settled:
    """What late answers changed, in numbers of messages."""

    accepted: int = 0
    refused: int = 0
    waiting: int = 0


def confirm_accepted(public_id: int, *, at: datetime, detail: str = _BY_EVENT) -> bool:
    """It is proven that the provider took this message; True if that was news.

    Good also for one whose outcome is being written, or never will be. detail: by
    what, for who looks at it.
    """
    with transaction.atomic():
        message = Message.objects.filter(_MAY_BE_PROVEN, public_id=public_id).first()
        if message is None:
            return False
        lock_batches({message.batch_id})
        # As it is now: its outcome may have been written meanwhile.
        changed = Message.objects.filter(_MAY_BE_PROVEN, pk=message.pk).update(
            state=Message.State.ACCEPTED, reason="", detail=detail[:200], settled_at=at
        )
        if message.batch_id is not None:
            close_settled(message.batch_id)
    return bool(changed)


def settle_late(
    claim: Claim,
    mails: Sequence[Outgoing],
    results: Sequence[Result],
    *,
    handed_over_at: datetime,
    kept: bool,
    now: datetime,
) -> Settled:
    """Heed what is known of a group whose lease was lost meanwhile; each mail has its
    line in the trail.

    handed_over_at: of its intent, exactly. kept: its calls may be made again under
    their key, so that what one of them did not do another may have done.
    """
    ids = [mail.message_id for mail in mails]
    with transaction.atomic():
        send = Send.objects.select_for_update(no_key=True).get(pk=claim.send_id)
        theirs = Message.objects.filter(pk__in=ids)
        batches = set(theirs.order_by().values_list("batch_id", flat=True).distinct())
        lock_batches(batches)
        rows = {one.pk: one for one in theirs.order_by("pk").select_for_update()}
        late = _Late(send, handed_over_at, kept, now, rows)
        late.heed(dict(zip(ids, results, strict=True)))
        ledger.heed_dead_addresses(mails, results, now=now)
        for batch_id in sorted(pk for pk in batches if pk is not None):
            close_settled(batch_id)
        trail.note_each(send.pk, late.notes, at=now)
    settled = late.settled
    log.info(
        "batch %s: told late of %s mails: %s accepted, %s refused, %s wait again",
        claim.batch_id,
        len(mails),
        settled.accepted,
        settled.refused,
        settled.waiting,
    )
    return settled


@dataclass(slots=True)
class _Late:
    """Late answers about rows that are locked, with their batches and their send."""

    send: Send
    handed_over_at: datetime
    kept: bool
    now: datetime
    rows: dict[int, Message]
    notes: dict[int, str] = field(default_factory=dict)
    settled: Settled = field(default_factory=Settled)

    def heed(self, answers: Mapping[int, Result]) -> None:
        known = {pk: one for pk, one in answers.items() if pk in self.rows}
        taken = {pk: one for pk, one in known.items() if isinstance(one, Receipt)}
        # Of what is in doubt, too, a late answer says nothing new.
        unsure = (Receipt, InDoubt)
        not_sent = {pk: one for pk, one in known.items() if not isinstance(one, unsure)}
        if taken:
            self._accept(taken)
        # A call that is made again under its key may have done it since.
        if not_sent and not self.kept:
            self._take_back(not_sent)

    def _accept(self, taken: Mapping[int, Receipt]) -> None:
        proven, again = self._among(_MAY_BE_PROVEN), self._among(Q(Exists(_SECOND)))
        changed = []
        for pk, receipt in taken.items():
            row, name = self.rows[pk], receipt.provider_message_id[:200]
            why = self._why_left(row) or (
                "" if pk in proven else row.get_state_display()
            )
            if row.state == Message.State.ACCEPTED:
                if row.provider_message_id or pk in again:
                    continue
                # An event was quicker: what is left to learn is its name.
                row.provider_message_id = name
            elif why:
                self.notes[pk] = f"{_taken(name)} It is left as it is: {why}."
                continue
            else:
                row.state, row.reason, row.detail = (
                    Message.State.ACCEPTED,
                    "",
                    _BY_ANSWER,
                )
                row.provider_message_id, row.settled_at = name, self.now
                self.notes[pk] = _taken(name)
                self.settled.accepted += 1
            changed.append(row)
        self._save(changed)

    def _take_back(self, not_sent: Mapping[int, Result]) -> None:
        """What is in doubt and surely was not sent: nobody may have begun to since."""
        again = self._among(Q(Exists(_SECOND)))
        elsewhere = self._among(Q(Exists(others_of(self.send))))
        refused, waiting = [], []
        for pk, result in not_sent.items():
            row = self.rows[pk]
            if row.state != Message.State.IN_DOUBT:
                continue
            why = self._why_left(row)
            if pk in again:
                why = "it was sent again"
            elif not why and not isinstance(result, Refused):
                why = self._why_not_again(pk in elsewhere)
            if why:
                self.notes[pk] = f"{_NOT_SENT} It is left as it is: {why}."
            elif isinstance(result, Refused):
                row.state, row.reason = Message.State.FAILED, result.reason
                row.detail, row.settled_at = result.detail[:200], self.now
                self.notes[pk] = f"Told late: it was refused ({result.reason})."
                refused.append(row)
            else:
                waiting.append(row)
        self._save(refused)
        self.settled.refused += len(refused)
        if waiting:
            asked = max(
                getattr(not_sent[one.pk], "wait_seconds", 0.0) for one in waiting
            )
            self._wait_again(waiting, asked_seconds=asked)

    def _wait_again(self, waiting: list[Message], *, asked_seconds: float) -> None:
        if self.send.state == Send.State.CANCELLED:
            for row in waiting:
                row.state, row.reason = Message.State.CANCELLED, "cancelled"
                row.detail, row.settled_at = "", self.now
                self.notes[row.pk] = f"{_NOT_SENT} The send was cancelled meanwhile."
            self._save(waiting)
            return
        reopen(self.send)
        ids, at = [row.pk for row in waiting], self.now
        wait = ledger.patience(ids[0], 1, asked_seconds)
        self.settled.waiting += let_all_wait(
            self.send,
            [(row.pk, row.tone) for row in waiting],
            state=Message.State.IN_DOUBT,
            at=at + timedelta(seconds=wait),
        )
        # Nothing of it has left: no event can be about it.
        Message.objects.filter(pk__in=ids).update(handed_over_at=None)
        self.notes.update(dict.fromkeys(ids, f"{_NOT_SENT} It waits again."))

    def _why_left(self, row: Message) -> str:
        """Why a late answer about this row changes nothing, or ""."""
        if row.state == Message.State.IN_DOUBT and row.settled_at is not None:
            return "a person has decided"
        if row.handed_over_at not in (None, self.handed_over_at):
            return "it was handed over again"
        return ""

    def _why_not_again(self, elsewhere: bool) -> str:
        """Why what surely was not sent is not sent now, or ""."""
        if elsewhere:
            return "its customer has it by another message"
        # News of this morning may be none any more: a person decides.
        if self.now - self.handed_over_at > MISFIRE_GRACE:
            return "that was hours ago"
        if self.send.state not in _HEEDED:
            return f"its send is {self.send.get_state_display()}"
        return ""

    def _among(self, question: Q) -> set[int]:
        found = Message.objects.filter(question, pk__in=self.rows)
        return set(found.values_list("pk", flat=True))

    def _save(self, rows: list[Message]) -> None:
        fields = ["state", "reason", "detail", "provider_message_id", "settled_at"]
        Message.objects.bulk_update(rows, fields, batch_size=_ROWS_AT_ONCE)


def _taken(name: str) -> str:
    return f"Told late: the provider had taken it{f', as {name}' if name else ''}."
