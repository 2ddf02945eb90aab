"""Claim, intent, hand over, outcome: at most once, whatever dies in between.

A batch is claimed whole. Within it the mails go in groups: one transaction writes what
came of a group and, in the same commit, the intent of the next, so that a crash leaves
one group in doubt and never a batch. Bytes leave outside any transaction. Everything
written is fenced: who lost the lease writes nothing.

Source: sending.md 3.3.
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from campaigns.audience import ineligible
from campaigns.errors import LostLease
from campaigns.models import (
    Batch,
    Campaign,
    EmailTemplate,
    FrequencyCap,
    Message,
    Send,
)
from campaigns.sending import (
    breaker,
    claims,
    crashpoints,
    frequency,
    keeping,
    ledger,
    limits,
    probing,
    settling,
    trail,
)
from campaigns.sending.channels import (
    BAD_IN_A_ROW,
    NOT_REACHED,
    STOPS,
    Busy,
    InDoubt,
    Later,
    Misconfigured,
    Outgoing,
    Receipt,
    Refused,
    Result,
    Stop,
    answers_of,
)
from campaigns.sending.composing import Composed, compose_batch
from campaigns.sending.guarding import trouble_stays_with
from campaigns.sending.lanes import Lane as Lane
from campaigns.sending.lanes import Outcome as Outcome
from campaigns.sending.stopping import for_a_person, gave_up, provider_rests
from customers.errors import InvalidAddress

log = logging.getLogger(__name__)

# Left of a lease, beyond a group's longest answers, for it to be handed over.
GATE_SPARE_SECONDS: Final = 5.0
# The namespace of idempotency keys; any fixed value does.
KEYS: Final = uuid.UUID("4f4a9a52-5b0b-4d57-9c43-0b7f0a5d5c11")


class _Clock:
    """The caller's now, and what has passed since by a clock that never jumps."""

    def __init__(self, now: datetime) -> None:
        self._now, self._began = now, time.monotonic()

    def now(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._began)


def deliver_next_batch(lane: Lane, *, now: datetime) -> Outcome | None:
    """Claim one batch, write the intent, hand it over, write the outcome.

    At most once. None when nothing is due on this lane, or nothing may leave.
    """
    clock = _Clock(now)
    row, limited, capped = breaker.row_of(lane.way)
    gate = breaker.gate(row, now=now)
    lane.wait_seconds = limits.shut(lane.way, now=now) if limited else 0.0
    if gate is breaker.Gate.SHUT or lane.wait_seconds:
        return None
    asks = gate is breaker.Gate.PROBE
    claim = _claim(lane, now, asks=asks)
    if claim is None:
        if limited:
            lane.wait_seconds = ledger.next_due_in(lane.name, now=now)
        return None
    crashpoints.reached(crashpoints.AFTER_CLAIM)
    uneasy = asks or row.not_reached > 0
    delivery = _Delivery(lane, claim, clock, asks, uneasy, limited, capped)
    try:
        with trouble_stays_with(claim.send_id, at=now) as trouble:
            if asks and row.seed_address:
                delivery.ask(row.seed_address)
            delivery.run()
        if trouble.happened:
            delivery.outcome.stopped = "unforeseen"
            delivery.keep_trail(trail.UNWRITTEN)
            # Not after the intent: somebody may have been mailed, its lease tells.
            with suppress(LostLease):
                delivery.give_back()
    except LostLease as lost:
        log.warning("%s", lost)
        delivery.outcome.stopped = "lost_lease"
        with trouble_stays_with(claim.send_id, at=now):
            delivery.settle_late()
        delivery.keep_trail(trail.LATE)
    if delivery.grant is not None:
        limits.give_back(delivery.grant, now=clock.now())
    if asks:
        breaker.end_probe(lane.way, claim.batch_id, now=clock.now())
    return delivery.outcome


def _claim(lane: Lane, now: datetime, *, asks: bool) -> claims.Claim | None:
    """The next batch; with an open breaker only for the one worker who asks with it."""
    if not asks:
        return _in_turn(lane, now)
    with transaction.atomic():
        claim, until = _in_turn(lane, now), now + lane.lease
        if claim is None or breaker.half_open(
            lane.way, claim.batch_id, now=now, until=until
        ):
            return claim
        transaction.set_rollback(True)
    return None


def _in_turn(lane: Lane, now: datetime) -> claims.Claim | None:
    """A batch of the send whose turn it is: a small one does not wait for a million.

    Each worker goes round by itself, so nothing is shared and nothing is locked.
    """
    for turn in claims.in_turn(lane.name, now=now, after=lane.served):
        claim = claims.claim(
            lane.name,
            now=now,
            lease=lane.lease,
            owner=lane.owner,
            send_id=turn.send_id,
            engaged_first=turn.engaged_first,
        )
        if claim is not None:
            lane.served = turn.send_id
            return claim
    return None


@dataclass(slots=True)
class _Delivery:
    """One batch on its way; its lease is good until lease_ends, monotonic seconds."""

    lane: Lane
    claim: claims.Claim
    clock: _Clock
    # The breaker is open, and this batch asks: its first mail leaves alone.
    asks: bool = False
    # The breaker waits to hear of an answer.
    uneasy: bool = False
    limited: bool = False
    capped: bool = False
    grant: limits.Grant | None = None
    outcome: Outcome = field(init=False)
    lease_ends: float = field(init=False)
    stop: Stop | None = None
    patience: float = 0.0
    send_id: int = 0
    attempts: int = 0
    purpose: str = ""
    # A call of it may be made again under its key.
    keeps: bool = False
    customers: dict[int, int] = field(default_factory=dict)
    # What came of a group that was handed over, until it is written; and since when.
    answers: Sequence[Result] = ()
    left_at: datetime | None = None
    # A group and what came of it, while that is not written; when its intent was.
    unwritten: tuple[Sequence[Outgoing], Sequence[Result]] | None = None
    intent_at: datetime | None = None
    # When somebody of this batch falls asleep, or it is too late for everybody.
    asked_until: datetime | None = None

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.claim.batch_id)
        self.lease_ends = self._lease_from_now()

    def ask(self, seed_address: str) -> None:
        """Ask with a mail to the shop's own address; a customer's is not risked."""
        now = self.clock.now()
        result = probing.ask(self.claim, self.lane.channel, to=seed_address)
        if result is None:
            return
        self.stop = result if isinstance(result, STOPS) else None
        asked = getattr(result, "wait_seconds", 0.0)
        self.patience = ledger.patience(self.claim.batch_id, 1, asked)
        with transaction.atomic():
            self._tell_breaker([result], now)
        self.asks = False

    def run(self) -> None:
        if self.stop is not None:
            self.give_back()
            self._afterwards()
            return
        if self._put_off():
            return
        if self.limited and not self._take():
            return
        may = self.grant.may if self.grant else None
        try:
            composed = compose_batch(self.claim.batch_id, self.lane.channel, only=may)
        except InvalidAddress as problem:  # of the sender: customers' were checked
            self.give_back()
            self.stop = Misconfigured("not_sent_build", str(problem))
            self._afterwards()
            return
        self.purpose = composed.purpose
        self.customers = {
            one.message_id: one.customer_id for one in composed.people.values()
        }
        mails = self._begin(composed)
        size, first = self.lane.channel.group_size, self._first_group
        group, rest = mails[:first], mails[first:]
        while group:
            crashpoints.reached(crashpoints.AFTER_INTENT)
            results = self._hand_over(group)
            crashpoints.reached(crashpoints.AFTER_ACCEPT)
            following, rest = rest[:size], rest[size:]
            group = self._write(group, results, following)
        self._afterwards()

    @property
    def _first_group(self) -> int:
        return 1 if self.asks else self.lane.channel.group_size

    def _put_off(self) -> bool:
        """Let sleep who sleeps now, and leave out for whom it is too late.

        An outage, or a send that takes hours, must not end in a flood at night. True
        when nobody is left in this batch.
        """
        now = self.clock.now()
        later, self.asked_until = ledger.who_waits(self.claim, now=now)
        if not later:
            return False
        with transaction.atomic():
            batch = ledger.claimed(self.claim)
            state = Send.objects.values_list("state", flat=True).get(pk=batch.send_id)
            if state != Send.State.SENDING:
                return False  # it is given back where the intent would be written
            self.outcome.left_out += ledger.put_off(batch, later, now=now)
            waits = Message.State.WAITING in batch.states()
            if not waits:
                ledger.close_batch(batch, now=now)
        return not waits

    def _take(self) -> bool:
        """Take of the limits; False when nobody of this batch may leave now."""
        now = self.clock.now()
        self.grant = limits.take(self.claim, self.lane.way, now=now)
        self.patience = self.grant.wait_seconds
        return bool(self.grant.may) or not self.grant.because

    def give_back(self) -> None:
        """A batch of which nothing was begun waits again, whole. Raises LostLease."""
        now = self.clock.now()
        with transaction.atomic():
            batch = ledger.claimed(self.claim)
            send = Send.objects.only("state").get(pk=batch.send_id)
            ledger.give_back(batch, send, now=now)
            waits = batch.messages.filter(state=Message.State.WAITING)
            self.outcome.waiting = waits.count()
        self.send_id = batch.send_id

    def _begin(self, composed: Composed) -> list[Outgoing]:
        """Re-check everyone and write the intent, in one transaction."""
        now, ends = self.clock.now(), self._lease_from_now()
        with transaction.atomic():
            batch = ledger.claimed(self.claim)
            send = Send.objects.only("state", "frozen", "content_hash").get(
                pk=batch.send_id
            )
            if send.state != Send.State.SENDING:
                ledger.give_back(batch, send, now=now)
                self.outcome.stopped = send.state
                return []
            asks_again = send.if_in_doubt != Campaign.IfInDoubt.LEAVE
            self.keeps = asks_again and keeping.keeps(self.lane.channel)
            gone = self._recheck(batch, composed, now)
            mails = [mail for mail in composed.mails if mail.message_id not in gone]
            problem = next(filter(None, map(self.lane.channel.check, mails)), "")
            if problem:
                self.stop = Misconfigured("not_sent_build", problem)
                ledger.give_back(batch, send, now=now)
                self.outcome.waiting += len(mails)
                mails = []
            elif mails:
                self._write_intent(batch, mails, now)
            else:
                ledger.close_batch(batch, now=now)
        self.send_id, self.attempts = batch.send_id, batch.attempts
        self.lease_ends, self.intent_at = ends, now
        return mails

    def _recheck(self, batch: Batch, composed: Composed, now: datetime) -> set[int]:
        """Who is no longer of this batch, by message: left out, or moved."""
        moved = ledger.move_objectors(batch, composed)
        asked = [one for pk, one in composed.people.items() if pk not in moved]
        refused = ineligible(
            [(one.customer_id, one.address) for one in asked],
            purpose=composed.purpose,
            at=now,
        )
        out = {
            one.message_id: refused[one.customer_id]
            for one in asked
            if one.customer_id in refused
        }
        for pk, reason in composed.left_out.items():
            if pk not in moved:
                out.setdefault(pk, reason)
        later = set[int]()
        if self.capped and composed.purpose == EmailTemplate.Purpose.PROMOTION:
            reserved = self._reserve(
                [pk for pk in composed.people if pk not in moved | set(out)], now
            )
            out.update(reserved.capped)
            later = reserved.later
        ledger.leave_out(out, now=now)
        self.outcome.left_out += len(out)
        self.outcome.waiting = len(moved | later)
        return moved | later | set(out)

    def _reserve(self, ids: list[int], now: datetime) -> frequency.Reserved:
        cap = FrequencyCap.objects.first()
        if cap is None:  # taken away in this moment
            return frequency.Reserved({}, set())
        return frequency.reserve(ids, cap, now=now)

    def _write_intent(self, batch: Batch, mails: list[Outgoing], now: datetime) -> None:
        digest = hashlib.sha256("".join(m.fingerprint for m in mails).encode())
        batch.generation += 1
        batch.attempts += 1
        batch.state = Batch.State.HANDING_OVER
        batch.intent = {
            "messages": [mail.message_id for mail in mails],
            "sha256": digest.hexdigest(),
            "kept": self.keeps,
            "provider": self.lane.provider,
        }
        batch.intent_at, batch.lease_until = now, now + self.lane.lease
        batch.idempotency_key = str(uuid.uuid5(KEYS, f"{batch.pk}/{batch.generation}"))
        batch.save()
        ledger.hand_over(mails[: self._first_group], now=now)

    def _lease_from_now(self) -> float:
        return time.monotonic() + self.lane.lease.total_seconds()

    def _hand_over(self, group: list[Outgoing]) -> list[Result]:
        """The last gate, then the channel. Nothing here holds a transaction."""
        left = self.lease_ends - time.monotonic()
        channel = self.lane.channel
        longest = answers_of(channel) * channel.timeout_seconds
        if left < longest + GATE_SPARE_SECONDS:
            # Frozen past the lease: too late to send, somebody else may have it.
            return [Busy("lease_over")] * len(group)
        if not ledger.may_leave(self.claim, way=self.lane.way, now=self.clock.now()):
            return [NOT_REACHED] * len(group)
        self.left_at = self.clock.now()
        with keeping.kept_calls(
            self.lane, self.claim, wanted=self.keeps, now=self.clock.now
        ):
            self.answers = results = channel.hand_over(group)
        if len(results) != len(group):
            raise AssertionError(
                f"A channel must answer for each of {len(group)} mails; "
                f"it answered for {len(results)}."
            )
        return results

    def _write(
        self, group: list[Outgoing], results: list[Result], following: list[Outgoing]
    ) -> list[Outgoing]:
        """Write what came of a group and the intent of the next; returns the next."""
        self.unwritten = (group, results)
        now, ends = self.clock.now(), self._lease_from_now()
        # A mail that waits by itself does not stop the others.
        stops = [one for one in results if isinstance(one, STOPS)]
        # Why some were not reached says more than that they were not.
        told = (one for one in stops if one != NOT_REACHED)
        self.stop = next(told, stops[0] if stops else None)
        doubted = self._count_bad_ones(group, results)
        if any(isinstance(one, Receipt) for one in results):
            self.attempts = 0  # it goes on: this is no provider that takes nothing
        self.patience = max(
            [self.patience]
            + [one.wait_seconds for one in results if isinstance(one, Later)]
        )
        next_group: list[Outgoing] = []
        over = not following or self.lane.ends()
        with transaction.atomic():
            goes_on = ledger.renew(
                self.claim, until=now + self.lane.lease, attempts=self.attempts
            )
            ledger.record(group, results, attempts=self.attempts, now=now)
            ledger.heed_dead_addresses(group, results, now=now)
            ledger.wait_again(doubted)
            wait = ledger.patience(self.claim.batch_id, 1, 0.0)
            keeping.settle(
                self.lane, self.claim, group, results, now=now, wait_seconds=wait
            )
            crashpoints.reached(crashpoints.INSIDE_OUTCOME)
            if goes_on and self.stop is None and not over:
                next_group = self._still_allowed(following, now)
                ledger.hand_over(next_group, now=now)
            if not next_group:
                self._finish(now)
            self._tell_breaker(results, now)
        self.unwritten, self.intent_at = None, now
        self.keep_trail()
        self.outcome.count(results)
        # Those of earlier batches were counted there.
        ours = sum(message_id in self.customers for message_id in doubted)
        self.outcome.refused -= ours
        self.outcome.waiting += ours
        self.lease_ends = ends
        return next_group

    def settle_late(self) -> None:
        """What came of a group is known, and its lease was lost meanwhile."""
        if self.unwritten is None or self.intent_at is None:
            return
        (group, results), self.unwritten = self.unwritten, None
        settled = settling.settle_late(
            self.claim,
            group,
            results,
            handed_over_at=self.intent_at,
            kept=self.keeps,
            now=self.clock.now(),
        )
        self.outcome.accepted += settled.accepted
        self.outcome.refused += settled.refused
        self.outcome.waiting += settled.waiting

    def keep_trail(self, outcome: str = "") -> None:
        """Keep what was answered to the group that was handed over last; once.

        outcome: instead of what the answers say, where they changed no state.
        """
        answers, left_at = self.answers, self.left_at
        self.answers, self.left_at = (), None
        if left_at is not None and answers:
            trail.attempted(
                self.claim,
                self.lane.way,
                answers,
                began_at=left_at,
                seconds=(self.clock.now() - left_at).total_seconds(),
                outcome=outcome,
            )

    def _count_bad_ones(
        self, group: Sequence[Outgoing], results: Sequence[Result]
    ) -> list[int]:
        """Many refused mails in a row are not the customers' fault.

        Returns the messages that then wait again instead: nobody is lost to what may
        be wrong with the account.
        """
        bad = self.lane.bad.setdefault(self.send_id, [])
        for mail, result in zip(group, results, strict=True):
            if isinstance(result, Refused) and result.reason == "not_sent_bad":
                bad.append(mail.message_id)
            elif isinstance(result, Receipt | Refused | InDoubt):
                bad.clear()
            if len(bad) >= BAD_IN_A_ROW and self.stop in (None, NOT_REACHED):
                detail = getattr(result, "detail", "")
                why = f"the provider refused {BAD_IN_A_ROW} mails in a row"
                self.stop = Misconfigured("not_sent_bad", f"{why} ({detail})")
        if isinstance(self.stop, Misconfigured):
            doubted = list(bad)
            bad.clear()
            return doubted
        return []

    def _still_allowed(
        self, following: list[Outgoing], now: datetime
    ) -> list[Outgoing]:
        """Drop who said no, or got unhappy, since this batch began; nobody is left
        once the first of them goes to bed: the next claim asks anew."""
        if self.asked_until is not None and now >= self.asked_until:
            return []
        refused = ineligible(
            [(self.customers[mail.message_id], mail.address) for mail in following],
            purpose=self.purpose,
            at=now,
        )
        if not refused:
            return following
        out = {
            mail.message_id: refused[self.customers[mail.message_id]]
            for mail in following
            if self.customers[mail.message_id] in refused
        }
        ledger.leave_out(out, now=now)
        self.outcome.left_out += len(out)
        return [mail for mail in following if mail.message_id not in out]

    def _finish(self, now: datetime) -> None:
        """Close the batch in the transaction of its last outcome."""
        batch = Batch.objects.get(pk=self.claim.batch_id)
        batch.outcome, batch.outcome_detail = "accepted", ""
        if self.stop is not None:
            batch.outcome, batch.outcome_detail = self.stop.reason, self.stop.detail
        elif self.grant is not None and self.grant.because:
            batch.outcome, batch.outcome_detail = limits.LIMITED, self.grant.because
        if provider_rests(self.stop):
            asked = getattr(self.stop, "wait_seconds", 0.0)
            self.patience = ledger.patience(batch.pk, self.attempts, asked)
        ledger.close_batch(batch, now=now, wait_seconds=self.patience)

    def _tell_breaker(self, results: Sequence[Result], now: datetime) -> None:
        if not self.uneasy and not provider_rests(self.stop):
            return
        stop = self.stop if provider_rests(self.stop) else None
        breaker.heard(
            self.lane.way,
            results,
            stop,
            batch_id=self.claim.batch_id,
            now=now,
            patience=self.patience,
        )
        if stop is not None and stop.reason == "not_sent_throttle":
            limits.slow_down(self.lane.way, now=now)
        self.uneasy = False

    def _afterwards(self) -> None:
        """What concerns more than this batch, in transactions of its own."""
        if self.stop is None:
            return
        self.outcome.stopped, now = self.stop.reason, self.clock.now()
        if isinstance(self.stop, Misconfigured):
            ledger.pause_for(self.send_id, for_a_person(self.stop), at=now)
        elif self._gave_up() and isinstance(self.stop, Busy):
            ledger.pause_for(self.send_id, gave_up(self.stop, self.attempts), at=now)

    def _gave_up(self) -> bool:
        return provider_rests(self.stop) and self.attempts >= ledger.MOST_ATTEMPTS
