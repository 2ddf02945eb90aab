"""Hold-out and control: same customer and experiment, same answer, for ever."""

import hashlib
from typing import Final

# Changing it would move every customer to another arm.
SALT: Final = "attune/neutral-control/1"
FITTING: Final = "fitting"
NEUTRAL: Final = "neutral"


def unit_interval(salt: str, experiment: str, customer_id: int | str) -> float:
    """A number in [0, 1) that looks random and is the same on every machine.

    The first 53 bits of sha256("salt|experiment|customer"), so that the quotient is
    exact in a float. Source: method.md 4.1.
    """
    digest = hashlib.sha256(f"{salt}|{experiment}|{customer_id}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def arm_of(experiment: str, customer_id: int | str, *, neutral_share: float) -> str:
    """ "neutral" for a share of the customers in [0, 1], "fitting" for the others.

    Raises ValueError if the share is no share.
    """
    if not 0 <= neutral_share <= 1:
        raise ValueError(
            f"The neutral share needs a number from 0 to 1; it is {neutral_share}."
        )
    chance = unit_interval(SALT, experiment, customer_id)
    return NEUTRAL if chance < neutral_share else FITTING
