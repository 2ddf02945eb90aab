"""I7 beyond the page: whatever is kept beside the messages is recounted from them.

What limits have counted, the places that a cap gives, the counts of large sends, the
trail. All of it at rest; where somebody died, what the design allows: a dead process's
reservation stands, and a line of its trail is lost.
"""

# ruff: noqa: S608  (states, and figures that were read a line before)

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.conf import settings

from campaigns.sending import windows
from campaigns.sending.mailboxes import mailboxes_of

if TYPE_CHECKING:
    from tests.campaigns.chaos.invariants import Rows

# The provider was asked to take them, or may have been.
LEFT = {"accepted", "in_doubt", "handing_over", "failed"}
MAY_BE_TAKEN = "('accepted', 'in_doubt', 'handing_over')"
# What came of these groups was written nowhere but in the trail.
UNWRITTEN = "('after_lease', 'not_written')"


def recount(shop: "Rows", *, calm: bool) -> None:
    """Raise AssertionError where something that is kept is not what is there."""
    _limits(shop, calm=calm)
    _places(shop)
    _counts(shop)
    _attempts(shop, calm=calm)


def moment(said: Any) -> datetime:
    """An instant as this or that database and driver gives it."""
    found = said if isinstance(said, datetime) else datetime.fromisoformat(said)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _json(said: Any) -> Any:
    return json.loads(said) if isinstance(said, str) else said


def _limits(shop: "Rows", *, calm: bool) -> None:
    """Each mail that left, or may have, counts once; more only for the dead.

    Of windows that still hold everything: an older one has forgotten some of it. A
    limit that was learned of a 429 was not there from the beginning.
    """
    limits = shop.execute(
        'SELECT provider, mailboxes, campaign_id, "window", slots, learned '
        "FROM campaigns_ratelimit WHERE warm_up_id IS NULL"
    )
    _warm_ups(shop, calm=calm)
    if not limits:
        return
    left = _left(shop)
    copies = shop.execute("SELECT count(*) FROM campaigns_seedmail WHERE tries > 0")
    stood = _stood(shop)
    for provider, mailboxes, campaign, window, slots, learned in limits:
        mine = [
            (first, last)
            for by, to, of, _, first, last in left
            if by == provider
            and mailboxes in ("", mailboxes_of(to))
            and campaign in (None, of)
        ]
        seconds = windows.SECONDS[window]
        if not _holds_all(mine, seconds):
            continue
        reserved = sum(_json(slots).values())
        name = f"{provider}'s {window}{mailboxes and ' for '}{mailboxes}"
        counts = f"{name} has counted {reserved}, {len(mine)} left or may have"
        assert learned or reserved >= len(mine), f"I7: {counts}"
        if calm and copies == [(0,)]:
            assert reserved <= len(mine), f"I7: {counts}, and nobody died"
        elif copies == [(0,)]:
            assert reserved - len(mine) <= stood, (
                f"I7: {counts}, and the dead had taken no more than {stood}"
            )


def _warm_ups(shop: "Rows", *, calm: bool) -> None:
    """Of a sender domain each mail counts on the day of the calendar on which it left,
    once, by whichever provider; and what each send has taken of a day adds up to it.

    Of the days that are kept, and of a domain that warmed up from its first mail on.
    """
    found = shop.execute(
        "SELECT w.domain, l.slots, l.lines FROM campaigns_ratelimit l "
        "JOIN campaigns_senderdomainwarmup w ON w.id = l.warm_up_id"
    )
    if not found:
        return
    left, stood = _left(shop), _stood(shop)
    copies = shop.execute("SELECT count(*) FROM campaigns_seedmail WHERE tries > 0")
    zone = ZoneInfo(settings.TIME_ZONE)
    for domain, slots, lines in found:
        days = {int(day): mails for day, mails in _json(slots).items() if mails}
        if min(days, default=1) < 0:
            continue  # a clock went back by days: some count where they did not leave
        mine = [
            (first.astimezone(zone).toordinal(), last.astimezone(zone).toordinal())
            for *_, sender, first, last in left
            if sender.rpartition("@")[2].lower() == domain
        ]
        # Taken before midnight, and handed over or tried again after it.
        if any(first != last for first, last in mine) or copies != [(0,)]:
            continue
        kept = Counter(first for first, _ in mine)
        for day in days:
            counts = f"{domain}'s day has counted {days[day]}, {kept[day]} left or may"
            assert days[day] >= kept[day], f"I7: {counts} have"
            spare = 0 if calm else stood
            assert days[day] - kept[day] <= spare, f"I7: {counts} have"
        uncounted = [day for day in kept if day > max(days, default=0)]
        assert not uncounted, f"I7: {domain} has mails on days that counted none"
        newest = days.get(max(days, default=0), 0)
        shared = sum(_json(lines).values())
        assert shared == newest, f"I7: of {domain}'s day {shared} are some send's"


def _left(shop: "Rows") -> list[tuple[str, str, int, str, datetime, datetime]]:
    """(provider, address, campaign, sender, when it left, when that was last
    touched)."""
    found = shop.execute(
        "SELECT b.intent, m.address_wire, s.campaign_id, s.frozen, m.state, "
        "m.handed_over_at, m.settled_at, b.outcome_at FROM campaigns_message m "
        "JOIN campaigns_batch b ON b.id = m.batch_id "
        "JOIN campaigns_send s ON s.id = m.send_id "
        "WHERE m.handed_over_at IS NOT NULL"
    )
    return [
        (
            _json(intent)["provider"],
            address,
            campaign,
            _json(frozen)["sender"]["from_address"],
            moment(left_at),
            max(moment(one) for one in (left_at, *others) if one is not None),
        )
        for intent, address, campaign, frozen, state, left_at, *others in found
        if state in LEFT
    ]


def _holds_all(left: list[tuple[datetime, datetime]], seconds: float) -> bool:
    if not left:
        return True
    first, last = min(one for one, _ in left), max(one for _, one in left)
    return (last - first).total_seconds() < seconds


def _stood(shop: "Rows") -> int:
    """The most that stands for nobody: whoever dies with a batch, or loses it, leaves
    what was taken for it. The batch is held until its lease ends; then it is taken up
    or claimed again, which counts its fence up."""
    [(left,)] = shop.execute(
        "SELECT COALESCE(sum(CASE WHEN state IN ('claimed', 'handing_over') "
        "THEN fence ELSE fence - 1 END), 0) FROM campaigns_batch WHERE fence > 0"
    )
    sizes = shop.execute(
        "SELECT count(*) FROM campaigns_message WHERE batch_id IS NOT NULL "
        "GROUP BY batch_id"
    )
    return int(left) * max((mails for (mails,) in sizes), default=0)


def _places(shop: "Rows") -> None:
    """Under a cap whoever was mailed, or may have been, has one place, and nobody has
    more than there are."""
    caps = shop.execute("SELECT most FROM campaigns_frequencycap")
    if not caps:
        return
    without = shop.execute(
        "SELECT s.frozen FROM campaigns_message m "
        "JOIN campaigns_send s ON s.id = m.send_id "
        "LEFT JOIN campaigns_frequencyreservation r ON r.message_id = m.id "
        f"WHERE r.id IS NULL AND m.state IN {MAY_BE_TAKEN}"
    )
    missing = sum(_json(one)["plan"]["purpose"] == "promotion" for (one,) in without)
    assert not missing, f"I7: {missing} may have been mailed and have no place"
    others = shop.execute(
        "SELECT count(*) FROM campaigns_frequencyreservation r "
        "JOIN campaigns_message m ON m.id = r.message_id "
        "WHERE r.customer_id <> m.customer_id"
    )
    assert others == [(0,)], f"I7: {others[0][0]} places are of somebody else"
    full = shop.execute(
        "SELECT r.customer_id, count(*) FROM campaigns_frequencyreservation r "
        "JOIN campaigns_message m ON m.id = r.message_id "
        f"WHERE m.state IN {MAY_BE_TAKEN} "
        "GROUP BY r.customer_id, r.window_start "
        f"HAVING count(*) > {caps[0][0]}"
    )
    assert not full, f"I7: {len(full)} customers have more places than {caps[0][0]}"


def _counts(shop: "Rows") -> None:
    """What was counted last of a large send was there, and is what is there when it
    is counted again."""
    kept = shop.execute("SELECT send_id, states FROM campaigns_sendcount")
    if not kept:
        return
    again = shop.run("counted")
    for send, states in kept:
        rows = dict(
            shop.execute(
                "SELECT state, count(*) FROM campaigns_message "
                f"WHERE send_id = {send} GROUP BY state"
            )
        )
        counted = Counter(_json(states))
        for what, then, now in (
            ("messages", counted.total(), sum(rows.values())),
            ("accepted", counted["accepted"], rows.get("accepted", 0)),
        ):
            assert then <= now, f"I7: {then} {what} were counted, {now} are there"
        found = again.get(str(send), rows)
        assert found == rows, f"I7: {found} is counted of a large send, {rows} is there"


def _attempts(shop: "Rows", *, calm: bool) -> None:
    """The trail says of nobody that they were accepted who were not; and of everybody,
    where nobody died with a line to write."""
    told = {
        send: tuple(map(int, sums))
        for send, *sums in shop.execute(
            "SELECT send_id, sum(accepted), sum(refused), sum(in_doubt), "
            "max(CASE WHEN accepted + refused + in_doubt > mails THEN 1 ELSE 0 END) "
            "FROM campaigns_sendattempt "
            f"WHERE outcome NOT IN {UNWRITTEN} GROUP BY send_id"
        )
    }
    rows = shop.execute(
        "SELECT send_id, state, count(*) FROM campaigns_message "
        # Who was given up was taken back again and again: no answer was about them.
        "WHERE handed_over_at IS NOT NULL AND reason <> 'gave_up' "
        "GROUP BY send_id, state"
    )
    for send in {send for send, *_ in rows} | set(told):
        states = Counter({state: n for pk, state, n in rows if pk == send})
        accepted, refused, doubts, more = told.get(send, (0, 0, 0, 0))
        assert not more, "I7: an attempt tells of more than it had mails"
        there = states["accepted"]
        said = f"I7: the trail tells of {accepted} accepted, {there} are"
        assert accepted <= there, said
        if calm:
            # Of those in doubt some were accepted later: a report or a person said so.
            assert there <= accepted + doubts, said
            told_of, are = accepted + refused + doubts, sum(states[one] for one in LEFT)
            assert are <= told_of, f"I7: {are} left, the trail tells of {told_of}"
