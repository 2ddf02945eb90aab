"""What turns sentences into label scores. One more: one file and its line below."""

from typing import Final

from segmentation.emotion.analyzers.base import (
    MOST_PIECES,
    Analyzer,
    UnknownAnalyzer,
)
from segmentation.emotion.analyzers.minilm import MiniLM

__all__ = ["ANALYZERS", "MOST_PIECES", "Analyzer", "UnknownAnalyzer", "analyzer_named"]

ANALYZERS: Final[dict[str, Analyzer]] = {
    "minilm": MiniLM(),
}


def analyzer_named(name: str | Analyzer) -> Analyzer:
    """The analyzer of that name, or the one given itself.

    Raises UnknownAnalyzer, naming those there are.
    """
    if not isinstance(name, str):
        return name
    try:
        return ANALYZERS[name]
    except KeyError:
        known = ", ".join(sorted(ANALYZERS))
        raise UnknownAnalyzer(
            f"There is no analyzer named {name!r}; choose one of: {known}."
        ) from None
