"""How many may still leave in a window: a sum over its slots, and no clock to trust.

A window is cut into twenty slots. A mail counts from its slot's beginning until a whole
window after its end, so that no window of that length, wherever it begins, holds more
than the limit. A clock that jumps back refills nothing: what lies ahead still counts,
moved to now where it lies more than a window ahead. One that jumps ahead refills at
most one window.
"""

from collections.abc import Mapping
from math import exp, floor, log, log1p
from typing import Final

SECONDS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
SLOTS: Final = 20
# What a column holds.
MOST: Final = 2**31 - 1
# 429: a fifth less; then five hundredths more for each five minutes without another.
SLOWER: Final = 0.8
SLOWEST: Final = 0.1
FASTER: Final = 0.05
FASTER_EACH_SECONDS: Final = 300.0

Counted = dict[str, int]


def counted(slots: Mapping[str, int], seconds: float, *, now: float) -> Counted:
    """The slots that still count; now: Unix time, seconds: of the window."""
    here = floor(now * SLOTS / seconds)
    kept: Counted = {}
    for name, mails in slots.items():
        slot = int(name)
        if slot > here + SLOTS:
            slot = here
        if slot >= here - SLOTS and mails > 0:
            kept[str(slot)] = kept.get(str(slot), 0) + mails
    return kept


def left(slots: Mapping[str, int], seconds: float, most: int, *, now: float) -> int:
    """How many may leave now."""
    return max(0, most - sum(counted(slots, seconds, now=now).values()))


def taken(
    slots: Mapping[str, int], seconds: float, mails: int, *, now: float
) -> Counted:
    """The slots after so many mails left; a negative number gives back."""
    here = str(floor(now * SLOTS / seconds))
    return changed(counted(slots, seconds, now=now), here, mails)


def changed(slots: Mapping[str, int], here: str, mails: int) -> Counted:
    """Slots with so many mails more in one of them; a negative number gives back, the
    latest first."""
    kept = dict(slots)
    if mails >= 0:
        kept[here] = kept.get(here, 0) + mails
        return kept
    for name in sorted(kept, key=int, reverse=True):
        back = min(kept[name], -mails)
        kept[name] -= back
        mails += back
    return kept


def wait(slots: Mapping[str, int], seconds: float, most: int, *, now: float) -> float:
    """Seconds until one may leave."""
    kept = counted(slots, seconds, now=now)
    over = sum(kept.values()) - most + 1
    for name in sorted(kept, key=int):
        if over <= 0:
            break
        over -= kept[name]
        free_at = (int(name) + 1 + SLOTS) * seconds / SLOTS
        if over <= 0:
            return max(free_at - now, 0.001)
    return 0.0 if over <= 0 else seconds


def pace_now(pace: float, *, since_seconds: float) -> float:
    """The share of a rate that is used so many seconds after the last 429."""
    steps = max(0, floor(since_seconds / FASTER_EACH_SECONDS))
    return min(1.0, pace + FASTER * steps)


def slower(pace: float) -> float:
    return max(SLOWEST, pace * SLOWER)


def grown(first: int, percent: int, days: int, ceiling: int | None) -> int:
    """What a warm-up allows so many days after its first; ceiling: it ends there."""
    most = ceiling if ceiling is not None else MOST
    growth = max(days, 0) * log1p(percent / 100)
    if first <= 0 or log(first) + growth > log(max(most, 1)):
        return most
    # A float may lie a hair below the whole number that it is.
    return min(most, int(first * exp(growth) + 1e-6))
