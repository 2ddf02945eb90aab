"""Has somebody who used to click gone quiet, or is that what chance does? Pure.

Clicks of a customer are Poisson with a rate of their own, that is Gamma with the shop's
rate as its mean; so many mails later the clicks are negative binomial. Opens say
nothing: a mail client's proxy opens for its owner. Source: method.md 1.6.
"""

from dataclasses import dataclass
from typing import Final

# Rarer than this by chance.
SURPRISING: Final = 0.05
MAILS_LEAST: Final = 8
DAYS_LEAST: Final = 60


@dataclass(frozen=True, slots=True)
class Habit:
    """Clicks in mails before, and in the mails of lately that go so many days back.

    usual: clicks a mail of everybody in the shop, above 0.
    """

    clicks_before: int
    mails_before: int
    clicks_lately: int
    mails_lately: int
    days: float
    usual: float

    @property
    def chance(self) -> float:
        """Of so few clicks lately, or fewer, had nothing changed: 0 to 1.

        Raises ValueError where the shop has no usual rate.
        """
        if self.usual <= 0:
            raise ValueError(f"A usual rate is above 0; it is {self.usual}.")
        shape = 1.0 + self.clicks_before
        rate = 1.0 / self.usual + self.mails_before
        stays = rate / (rate + self.mails_lately)
        term = total = stays**shape
        for k in range(self.clicks_lately):
            term *= (shape + k) / (k + 1) * (1.0 - stays)
            total += term
        return min(total, 1.0)

    @property
    def gone_quiet(self) -> bool:
        """Who never clicked has not gone quiet, nor who got few mails in few weeks."""
        return (
            self.clicks_before > 0
            and self.mails_lately >= MAILS_LEAST
            and self.days >= DAYS_LEAST
            and self.usual > 0
            and self.chance < SURPRISING
        )
