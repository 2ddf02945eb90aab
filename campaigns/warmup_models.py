"""A sender domain that nobody knows yet: how much it may send on its first days."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from customers.addresses import address_wire
from customers.errors import InvalidAddress

# Fifty on the first day, and on no day more than twice as many as the day before:
# SocketLabs, "IP and Domain Warm-Up Concepts" (help.socketlabs.com/docs/warm-up-basics:
# most engaged first, "never more than 2x the previous day's volume"). Fifty, and the
# steps from 10,000 on, are those of the tables providers hand out for a new address
# (Twilio SendGrid's "IP warm up schedule"; AdCrux, "IP Warm-up Strategy").
DEFAULT_CAPS: Final = (
    50, 100, 200, 400, 800, 1_500, 3_000, 6_000, 10_000, 20_000, 40_000, 70_000,
    100_000, 150_000, 250_000, 400_000, 600_000, 1_000_000,
)  # fmt: skip
CAPS_MOST: Final = 120
# What a column holds.
CAP_MOST: Final = 2**31 - 1


def default_caps() -> list[int]:
    return list(DEFAULT_CAPS)


def rising_caps(caps: Any) -> None:
    """Raise ValidationError unless these are whole numbers above 0, each above the
    one before."""
    if not isinstance(caps, list) or not caps:
        raise ValidationError(
            _("The table needs a number of mails for at least one day.")
        )
    if len(caps) > CAPS_MOST:
        raise ValidationError(
            _("The table has %(days)s days; %(most)s is the most."),
            params={"days": len(caps), "most": CAPS_MOST},
        )
    before = 0
    for day, cap in enumerate(caps, start=1):
        told = {"day": day, "cap": cap, "before": f"{before:,}"}
        # True is an int in Python, and no number of mails.
        if not isinstance(cap, int) or isinstance(cap, bool):
            raise ValidationError(
                _("Day %(day)s: %(cap)s is no whole number."), params=told
            )
        if not 0 < cap <= CAP_MOST:
            raise ValidationError(
                _("Day %(day)s: %(cap)s is not from 1 to 2,147,483,647."), params=told
            )
        if cap <= before:
            raise ValidationError(
                _("Day %(day)s allows %(cap)s, and the day before %(before)s: each day "
                  "has to allow more."),
                params=told,
            )  # fmt: skip
        before = cap


def domain_of(address: str) -> str:
    """The domain of a sender's address as it is on the wire, in small letters."""
    # One that is wrong is told of where it is sent from; here it is its own.
    with suppress(InvalidAddress):
        address = address_wire(address)
    return address.rpartition("@")[2].strip().lower()


class SenderDomainWarmUp(models.Model):
    """Mail to many from a domain is allowed by the day, and more each day that went
    well; after the last day of the table it is over."""

    domain = models.CharField(max_length=253, unique=True)
    on = models.BooleanField(
        default=True, help_text=_("Off: this domain sends as much as campaigns do.")
    )
    started_on = models.DateField()
    # Of the table, from 1; one more than it has: the warm-up is over.
    day = models.PositiveSmallIntegerField(
        _("day reached"),
        default=1,
        help_text=_("It goes up by itself after a day that was used and went well."),
    )
    # Mails a day: of day 1, of day 2, and so on.
    caps = models.JSONField(
        _("mails a day"), default=default_caps, validators=[rising_caps]
    )
    # Every day before it was judged; by the shop's calendar.
    judged_on = models.DateField(null=True, blank=True)
    # The last of them: date, cap, mails, bounced, complained; why it did not count.
    last_day = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["domain"]
        verbose_name = _("warm-up of a sender domain")
        verbose_name_plural = _("warm-ups of sender domains")

    def __str__(self) -> str:
        return f"warm-up of {self.domain}"

    @property
    def cap(self) -> int | None:
        """Mails of today; None: it binds no more."""
        return self.cap_of(self.day)

    def cap_of(self, day: int) -> int | None:
        """Mails of a day of the table; None: off, or the warm-up is over then."""
        if not self.on or day > len(self.caps):
            return None
        cap: int = self.caps[max(day, 1) - 1]
        return cap

    def clean(self) -> None:
        wanted = self.domain.strip().lower().removeprefix("@")
        try:
            self.domain = domain_of(address_wire(f"mail@{wanted}"))
        except InvalidAddress as problem:
            raise ValidationError(
                {"domain": f"“{wanted}” is no domain that mail comes from: {problem}"}
            ) from problem
        if self.day < 1:
            raise ValidationError({"day": _("The first day is day 1.")})
