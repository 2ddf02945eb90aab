"""What can go wrong between interactions and segments."""


class SegmentationError(ValueError):
    """The room's own error; its text is for a marketer."""


class NothingToSort(SegmentationError):
    """No customers, or nothing they said, to make a run of."""


class RunNotPublishable(SegmentationError):
    """A run that waits for approval, was replaced, or of which too little is kept."""


class TooFewToDiagnose(SegmentationError):
    """Too few customers wrote enough to hold free clusters against the segments."""


class MadeByAnotherVersion(SegmentationError):
    """Numbers that another version of the programme has written down."""


class CorrectionRefused(SegmentationError):
    """A correction of a text without a reading, or to a family there is none of."""


class WordRefused(SegmentationError):
    """A brand word that can't be a rule, or is one already."""


class RuleRefused(SegmentationError):
    """A rule that can't be read or kept: where in it, what was needed, what came."""


class RuleInUse(SegmentationError):
    """A rule that something still to come relies on can't be deleted."""


class DecisionRefused(SegmentationError):
    """A person's decision that can't be taken: what stands against it, what to do."""
