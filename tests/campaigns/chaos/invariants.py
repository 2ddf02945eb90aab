"""What must hold after everything, whatever died: I1 to I7 of sending.md 7.1.

The provider's ledger is the one side, the rows of the database the other. Both are
read while workers run: first the ledger, then the rows, then the ledger again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.campaigns.chaos.loopback import Provider
from tests.campaigns.chaos.shops import Shop

ON_ITS_WAY = {"waiting", "handing_over"}
MAY_BE_TAKEN = {"accepted", "in_doubt", "handing_over"}
NOT_SENT = {"failed", "left_out", "cancelled"}


@dataclass(frozen=True, slots=True)
class SaidNo:
    """at: Unix time of the answer to her. waited: her mail had not begun to leave."""

    address: str
    at: float
    waited: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """send: its state; messages: state → how many; reasons: of those not sent."""

    send: str
    audience: int
    messages: Counter[str]
    reasons: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    twice: int = 0

    @property
    def lost(self) -> int:
        """Of a send that has ended: in the audience, and nowhere."""
        return self.audience - sum(
            n for state, n in self.messages.items() if state not in ON_ITS_WAY
        )


def check(
    shop: Shop,
    provider: Provider,
    *,
    said_no: Sequence[SaidNo] = (),
    at_rest: bool = False,
    group_seconds: float = 3.0,
) -> Sums:
    """Raise AssertionError where an invariant does not hold; else the sums.

    at_rest: no worker runs. group_seconds: the longest that one group is on its way.
    """
    before = Counter(one.public_id for one in tuple(provider.ledger))
    [(send, audience)] = shop.execute("SELECT state, audience_size FROM campaigns_send")
    rows = shop.execute("SELECT public_id, state, reason FROM campaigns_message")
    batches = shop.execute("SELECT state, count(*) FROM campaigns_batch GROUP BY state")
    after = {one.public_id for one in tuple(provider.ledger)}
    states = {public_id: state for public_id, state, _ in rows}
    sums = Sums(
        send,
        audience,
        Counter(states.values()),
        Counter(reason for _, state, reason in rows if state in NOT_SENT),
        len(before),
        sum(n - 1 for n in before.values()),
    )
    assert sums.twice == 0, f"I1: {sums.twice} mails were taken twice"
    _nobody_who_said_no(shop, provider, said_no, group_seconds)
    ghosts = [one for one, state in states.items() if state == "accepted"]
    ghosts = [one for one in ghosts if one not in after]
    if ghosts:
        # Who follows the way out of her mail proves that she has it, as the house sees
        # it; these people follow it before it has come.
        ghosts = sorted(set(ghosts) - _who_proved_it(shop))
    assert not ghosts, f"I3: accepted, and nobody took them: {_rows(shop, ghosts)}"
    unknown = [one for one in before if states.get(one) not in MAY_BE_TAKEN]
    said = Counter(states.get(one) for one in unknown)
    assert not unknown, f"I4: taken, and the rows say {said}"
    if send not in {"scheduled", "preparing"}:
        assert len(rows) == audience, f"I5: {len(rows)} rows, an audience of {audience}"
    if send == "sent":
        _ended(sums, dict(batches))
    if at_rest:
        _as_shown(shop, sums)
    return sums


def _who_proved_it(shop: Shop) -> set[int]:
    found = shop.execute(
        "SELECT m.public_id FROM campaigns_message m "
        "JOIN engagement_trackingevent e ON e.message_id = m.id "
        "WHERE e.event_type = 'unsubscribed'"
    )
    return {public_id for (public_id,) in found}


def _rows(shop: Shop, public_ids: Sequence[int]) -> list[Any]:
    names = "public_id, batch_id, detail, provider_message_id, settled_at"
    asked = ", ".join(map(str, public_ids[:5]))
    return shop.execute(
        f"SELECT {names} FROM campaigns_message "  # noqa: S608
        f"WHERE public_id IN ({asked})"
    )


def _nobody_who_said_no(
    shop: Shop, provider: Provider, said_no: Sequence[SaidNo], group_seconds: float
) -> None:
    last = {one.address: one.at for one in tuple(provider.ledger)}
    for one in said_no:
        late = last.get(one.address, 0.0) - one.at
        # One writer at a time: whose mail waited after her no never gets it. Elsewhere
        # the group whose intent was being written beside it may still leave.
        allowed = 0.0 if one.waited and shop.is_sqlite else group_seconds
        assert late <= allowed, f"I2: mailed {late:.2f} s after she had said no"


def _ended(sums: Sums, batches: dict[str, int]) -> None:
    left = ON_ITS_WAY & set(sums.messages)
    assert not left, f"I6: the send has ended, and {left} are left"
    still = {"waiting", "claimed", "handing_over"} & set(batches)
    assert not still, f"I6: the send has ended, and batches are {still}"


def _as_shown(shop: Shop, sums: Sums) -> None:
    shown: dict[str, Any] = shop.run("progress")
    counted = sums.messages
    recount = {
        "audience": sum(counted.values()),
        **{one: counted[one] for one in (*sorted(MAY_BE_TAKEN), "waiting")},
        "not_sent": sum(counted[one] for one in NOT_SENT),
    }
    assert shown == recount, f"I7: {shown} is shown, {recount} is counted"
