"""What can go wrong between interactions and segments."""


class SegmentationError(ValueError):
    """The room's own error; its text is for a marketer."""


class NothingToSort(SegmentationError):
    """No customers, or nothing they said, to make a run of."""


class RunNotPublishable(SegmentationError):
    """A run that waits for approval, or was replaced."""
