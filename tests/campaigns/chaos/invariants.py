"""What must hold after everything, whatever died: I1 to I7 of sending.md 7.1.

The provider's ledger is the one side, the rows of the database the other: of a shop of
processes, or of the test's own process (inside.py). Both are read while workers run:
first the ledger, then the rows, then the ledger again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.campaigns.chaos.loopback import Taken
from tests.campaigns.chaos.recounts import moment, recount

ON_ITS_WAY = {"waiting", "handing_over"}
MAY_BE_TAKEN = {"accepted", "in_doubt", "handing_over"}
NOT_SENT = {"failed", "left_out", "cancelled"}
# How often all seven were looked at; the tests of the matrix are held to it.
LOOKED = Counter[str]()


class Rows(Protocol):
    """Whose database it is; run("progress") says what a marketer is shown."""

    @property
    def is_sqlite(self) -> bool: ...

    def execute(self, statement: str, /) -> list[tuple[Any, ...]]: ...

    def run(self, *arguments: str) -> Any: ...


class Ledger(Protocol):
    """Who takes mail: what it has taken so far, each mail as often as it came."""

    @property
    def taken(self) -> Sequence[Taken]: ...


@dataclass(frozen=True, slots=True)
class SaidNo:
    """at: Unix time of the answer to her. waited: her mail had not begun to leave."""

    address: str
    at: float
    waited: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """Of all sends together. send: their state, or their states.

    messages: state → how many; reasons: of those not sent.
    """

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
    shop: Rows,
    provider: Ledger,
    *,
    said_no: Sequence[SaidNo] = (),
    at_rest: bool = False,
    calm: bool = True,
    group_seconds: float = 3.0,
    sends_again: bool = False,
) -> Sums:
    """Raise AssertionError where an invariant does not hold; else the sums.

    at_rest: no worker runs. calm: nobody died, stood still or lost the database, so
    that whatever was kept or reserved is of somebody. group_seconds: the longest that
    one group is on its way. sends_again: of a notice whose campaign says so, what was
    in doubt may have been taken twice, and never more.
    """
    before = Counter(one.public_id for one in tuple(provider.taken))
    sends = shop.execute("SELECT id, state, audience_size FROM campaigns_send")
    rows = shop.execute(
        "SELECT send_id, public_id, state, reason FROM campaigns_message"
    )
    batches = shop.execute("SELECT DISTINCT send_id, state FROM campaigns_batch")
    after = {one.public_id for one in tuple(provider.taken)}
    states = {public_id: state for _, public_id, state, _ in rows}
    sums = Sums(
        ", ".join(sorted({state for _, state, _ in sends})),
        sum(audience for *_, audience in sends),
        Counter(states.values()),
        Counter(reason for *_, state, reason in rows if state in NOT_SENT),
        before.total(),
        sum(n - 1 for n in before.values()),
    )
    again = _sent_again(shop) if sends_again else set()
    too_often = sum(n - 1 - (one in again) for one, n in before.items() if n > 1)
    assert too_often == 0, f"I1: {too_often} mails were taken twice"
    _nobody_who_said_no(shop, provider, said_no, group_seconds)
    _nobody_suppressed(shop, before, group_seconds)
    ghosts = [one for one, state in states.items() if state == "accepted"]
    ghosts = [one for one in ghosts if one not in after]
    if ghosts:
        # Who follows the way out of her mail proves that she has it, as the house sees
        # it; these people follow it before it has come.
        ghosts = sorted(set(ghosts) - _who_proved_it(shop))
    assert not ghosts, f"I3: accepted, and nobody took them: {_rows(shop, ghosts)}"
    waits_again = {one for one in again if states.get(one) == "waiting"}
    unknown = [one for one in before if states.get(one) not in MAY_BE_TAKEN]
    unknown = [one for one in unknown if one not in waits_again]
    said = Counter(states.get(one) for one in unknown)
    assert not unknown, f"I4: taken, and the rows say {said}"
    for pk, state, audience in sends:
        mine = Counter(row[2] for row in rows if row[0] == pk)
        if state not in {"scheduled", "preparing"}:
            assert mine.total() == audience, (
                f"I5: {mine.total()} rows, an audience of {audience}"
            )
        if state == "sent":
            _ended(mine, {one for send, one in batches if send == pk})
    if at_rest:
        _as_shown(shop, rows)
        recount(shop, calm=calm)
        LOOKED["at rest"] += 1
    return sums


def _who_proved_it(shop: Rows) -> set[int]:
    found = shop.execute(
        "SELECT m.public_id FROM campaigns_message m "
        "JOIN engagement_trackingevent e ON e.message_id = m.id "
        "WHERE e.event_type = 'unsubscribed'"
    )
    return {public_id for (public_id,) in found}


def _sent_again(shop: Rows) -> set[int]:
    found = shop.execute(
        "SELECT m.public_id FROM campaigns_message m "
        "JOIN campaigns_secondtry t ON t.message_id = m.id WHERE t.why_not = ''"
    )
    return {public_id for (public_id,) in found}


def _rows(shop: Rows, public_ids: Sequence[int]) -> list[Any]:
    names = "public_id, batch_id, detail, provider_message_id, settled_at"
    asked = ", ".join(map(str, public_ids[:5]))
    return shop.execute(
        f"SELECT {names} FROM campaigns_message "  # noqa: S608
        f"WHERE public_id IN ({asked})"
    )


def _nobody_who_said_no(
    shop: Rows, provider: Ledger, said_no: Sequence[SaidNo], group_seconds: float
) -> None:
    """By the ledger's clock: those of whom a test knows when they were answered."""
    last = {one.address: one.at for one in tuple(provider.taken)}
    for one in said_no:
        late = last.get(one.address, 0.0) - one.at
        # One writer at a time: whose mail waited after her no never gets it. Elsewhere
        # the group whose intent was being written beside it may still leave.
        allowed = 0.0 if one.waited and shop.is_sqlite else group_seconds
        assert late <= allowed, f"I2: mailed {late:.2f} s after she had said no"


def _nobody_suppressed(shop: Rows, taken: Counter[int], group_seconds: float) -> None:
    """By the rows' own clock, which a test may set: everybody who is suppressed."""
    found = shop.execute(
        "SELECT m.public_id, m.handed_over_at, s.suppressed_at "
        "FROM campaigns_message m "
        "JOIN customers_suppression s ON s.address = lower(m.address_wire) "
        "WHERE m.handed_over_at > s.suppressed_at"
    )
    for public_id, left_at, said_at in found:
        late = (moment(left_at) - moment(said_at)).total_seconds()
        assert public_id not in taken or late <= group_seconds, (
            f"I2: mailed {late:.2f} s after her address was suppressed"
        )


def _ended(messages: Counter[str], batches: set[str]) -> None:
    left = ON_ITS_WAY & set(messages)
    assert not left, f"I6: the send has ended, and {left} are left"
    still = {"waiting", "claimed", "handing_over"} & batches
    assert not still, f"I6: the send has ended, and batches are {still}"


def _as_shown(shop: Rows, rows: Sequence[tuple[Any, ...]]) -> None:
    for send, shown in shop.run("progress").items():
        counted = Counter(state for pk, _, state, _ in rows if pk == int(send))
        found = {
            "audience": counted.total(),
            **{one: counted[one] for one in (*sorted(MAY_BE_TAKEN), "waiting")},
            "not_sent": sum(counted[one] for one in NOT_SENT),
        }
        assert shown == found, f"I7: {shown} is shown, {found} is counted"
