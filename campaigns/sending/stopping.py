"""What an answer that stops a batch means beyond it: whose trouble it is, in words."""

from typing import Final

from campaigns.sending.channels import NOT_REACHED, Busy, InDoubt, Misconfigured, Stop

# Reasons to stop that say nothing about the provider.
_NOT_THE_PROVIDER: Final = {NOT_REACHED.reason, "lease_over"}


def provider_rests(stop: Stop | None) -> bool:
    """The provider is in trouble: more mail would only mean more doubt."""
    if isinstance(stop, Busy):
        return stop.reason not in _NOT_THE_PROVIDER
    return isinstance(stop, InDoubt)


def for_a_person(problem: Misconfigured) -> str:
    """What somebody has to correct before the send goes on."""
    sentence = (problem.detail or problem.reason).rstrip(".")
    if problem.reason == "not_sent_auth":
        return (
            f"Nothing more is sent: {sentence}. Check ATTUNE_PROVIDER_OPTIONS, "
            "then resume."
        )
    return f"Nothing more is sent: {sentence}. Correct it, then resume."


def gave_up(problem: Busy, attempts: int) -> str:
    """That a provider took nothing, so often that it is no accident."""
    return (
        f"The provider did not take mail {attempts} times in a row "
        f"({problem.detail or problem.reason}): look at it, then resume."
    )
