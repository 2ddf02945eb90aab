"""What can go wrong with a campaign, each as a sentence that says what to do next."""

from collections.abc import Sequence
from typing import Final

from django.db import InterfaceError, OperationalError

# The database does not answer: no one send's trouble, nor one count's.
DATABASE_AWAY: Final = (OperationalError, InterfaceError)


class CampaignsError(ValueError):
    """The parent of every error of this room."""


class CannotSchedule(CampaignsError):
    """A campaign that is not ready; problems names everything that is missing."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(self.problems))


class WrongState(CampaignsError):
    """What was asked for can't be done with a send in this state."""


class CannotAdd(CampaignsError):
    """There is nobody, or nothing, of whom a message could be added."""


class LostLease(CampaignsError):
    """Another process has taken the batch over: nothing may be written about it."""


class ProviderMisconfigured(CampaignsError):
    """The provider, or its options, can't be used as they are set."""


class AnotherInstance(CampaignsError):
    """The database belongs to another deployment: from here nothing is sent."""


class CannotAdopt(CampaignsError):
    """There is nothing to take over."""


class NoDayLeft(CampaignsError):
    """A calendar by which nothing would ever leave."""


class CannotSettle(CampaignsError):
    """Only a message in doubt can be settled by a person."""
