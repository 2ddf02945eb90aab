"""What every analyzer offers."""

from collections.abc import Sequence
from typing import Final, Protocol

from segmentation.emotion.families import FloatArray

MOST_PIECES: Final = 125
"""What fits into one window beside its frame."""


class UnknownAnalyzer(ValueError):
    """No analyzer has that name."""


class Analyzer(Protocol):
    """Reads windows of text. Making one is cheap; weights load with the first window.

    It says the 28 `LABELS` and, in columns of their own, the `FLAGS`.

    A window is some text in parts (its sentences, or its words) that are read together,
    each in the light of the others. Its logits are the sum over its parts, so what a
    part adds is known exactly.
    """

    @property
    def version(self) -> str:
        """Short text that changes whenever scores may change; stored beside scores."""

    @property
    def thresholds(self) -> FloatArray:
        """(28,): from this score on a label counts as present."""

    @property
    def usual(self) -> FloatArray:
        """(28,): logits of the average text, from which explanations count."""

    def pieces(self, part: str) -> int:
        """Length of a part; windows of up to `MOST_PIECES` are read whole."""

    def logits(self, windows: Sequence[Sequence[str]]) -> list[FloatArray]:
        """For each window (parts, 30): what each part adds to the window's logits.

        Columns: the 28 labels, then the flags.

        Depends on that window alone, not on its neighbours. Parts beyond `MOST_PIECES`
        add nothing. A window without any piece is all neutral.
        """

    def score(self, sentences: Sequence[str]) -> FloatArray:
        """(n, 28) in the order of `LABELS`, each in [0, 1], never NaN; n may be 0.

        Each sentence is a window of its own.
        """
