"""What every analyzer offers."""

from collections.abc import Sequence
from typing import Protocol

from segmentation.emotion.families import FloatArray


class UnknownAnalyzer(ValueError):
    """No analyzer has that name."""


class Analyzer(Protocol):
    """Scores sentences. Making one is cheap; weights load with the first `score`."""

    @property
    def version(self) -> str:
        """Short text that changes whenever scores may change; stored beside scores."""

    @property
    def thresholds(self) -> FloatArray:
        """(28,): from this score on a label counts as present."""

    def score(self, sentences: Sequence[str]) -> FloatArray:
        """(n, 28) in the order of `LABELS`, each in [0, 1], never NaN; n may be 0.

        A sentence's row depends on that sentence alone, not on its neighbours.
        """
