"""What turns sentences into label scores. One more: one file and its line below."""

from typing import Final

from segmentation.emotion.analyzers.base import Analyzer, UnknownAnalyzer
from segmentation.emotion.analyzers.minilm import MiniLM

__all__ = ["ANALYZERS", "Analyzer", "UnknownAnalyzer", "analyzer_named"]

ANALYZERS: Final[dict[str, Analyzer]] = {
    "minilm": MiniLM(),
}


def analyzer_named(name: str) -> Analyzer:
    """The analyzer of that name. Raises UnknownAnalyzer, naming those there are."""
    try:
        return ANALYZERS[name]
    except KeyError:
        known = ", ".join(sorted(ANALYZERS))
        raise UnknownAnalyzer(
            f"There is no analyzer named {name!r}; choose one of: {known}."
        ) from None
