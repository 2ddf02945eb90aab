"""What can go wrong with what comes back."""


class EngagementError(ValueError):
    """The room's own error; its text is for a marketer."""


class NothingToReport(EngagementError):
    """A campaign without a send has no report."""
