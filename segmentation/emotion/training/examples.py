"""Texts with their targets, as the encoder trains on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segmentation.emotion.families import LABELS, MEMBERSHIP, FloatArray
from segmentation.emotion.label_figures import SENTIMENT, grouped
from segmentation.emotion.wordpiece import WordPiece

# By rank, of the labels a reader gave: the first weighs most. Sums below to one family
# distribution, so that two readers who differ leave a soft target.
RANK_MASS: Final = {1: (1.0,), 2: (0.7, 0.3), 3: (0.6, 0.25, 0.15)}
_FIRST, _OTHER = 0.9, 0.45  # probability that a label of that rank is present


@dataclass(frozen=True, slots=True)
class Examples:
    """pieces: ids of each text. labels: (n, 30), families: (n, 9), sentiments: (n, 4),
    each in [0, 1].

    labels: the 28 and the flags, NaN where nobody has said. families sums to 1 where
    the loss on the family mix counts, else it is all zero. sentiments: whether any of a
    sentiment's labels is there, in the order of SENTIMENT, NaN where that has no say of
    its own.
    """

    pieces: list[NDArray[np.int32]]
    labels: FloatArray
    families: FloatArray
    sentiments: FloatArray

    def __len__(self) -> int:
        return len(self.pieces)

    def __add__(self, other: "Examples") -> "Examples":
        return Examples(
            self.pieces + other.pieces,
            np.vstack([self.labels, other.labels]),
            np.vstack([self.families, other.families]),
            np.vstack([self.sentiments, other.sentiments]),
        )

    def pick(self, rows: Sequence[int] | NDArray[np.int64]) -> "Examples":
        """These rows, in this order; a row may come twice."""
        return Examples(
            [self.pieces[row] for row in rows],
            self.labels[list(rows)],
            self.families[list(rows)],
            self.sentiments[list(rows)],
        )


def sentiments_of(said: FloatArray) -> FloatArray:
    """(n, 30) → (n, 4): whether any of a sentiment's labels is there, as likely as
    they say."""
    return grouped(said[:, : len(LABELS)], SENTIMENT, "noisy-or")


def mosaics(
    share: float,
    rows: NDArray[np.int64],
    lengths: NDArray[np.int64],
    *,
    longest: int,
    seed: int,
) -> list[tuple[int, ...]]:
    """Groups of two or three of these rows that fit into one window together.

    share: groups for each row; lengths: of all examples, frame included.

    Read side by side, each keeps its own labels: so the encoder learns to say of every
    sentence what that sentence says, beside whatever stands next to it.
    """
    chance = np.random.default_rng(seed)
    found: list[tuple[int, ...]] = []
    while len(found) < int(share * len(rows)):
        group = tuple(int(row) for row in chance.choice(rows, chance.integers(2, 4)))
        if sum(int(lengths[row]) for row in group) <= longest:
            found.append(group)
    return found


def encode(
    texts: Sequence[str],
    tokenizer: WordPiece,
    *,
    longest: int,
    of_customers: bool = False,
) -> list[NDArray[np.int32]]:
    """Ids of each text, cut to `longest` pieces; the last one stays [SEP]."""
    encoded = []
    for text in texts:
        ids = tokenizer.framed(tokenizer.pieces(text), customer=of_customers)
        if len(ids) > longest:
            ids = [*ids[: longest - 1], ids[-1]]
        encoded.append(np.array(ids, np.int32))
    return encoded


def reader_targets(readers: Sequence[Sequence[str]]) -> tuple[FloatArray, FloatArray]:
    """What one or more readers said → (28,) label presence and (9,) family shares.

    readers: per reader 1 to 3 labels, the strongest first. Both are means over readers.
    Raises ValueError for an unknown label, none or more than three.
    """
    labels = np.zeros(len(LABELS))
    families = np.zeros(MEMBERSHIP.shape[1])
    for said in readers:
        if len(said) not in RANK_MASS or len(set(said)) != len(said):
            raise ValueError(f"A reader gives 1 to 3 different labels, got {said!r}.")
        for rank, (label, mass) in enumerate(
            zip(said, RANK_MASS[len(said)], strict=True)
        ):
            if label not in LABELS:
                raise ValueError(f"{label!r} is no label; choose of {LABELS}.")
            row = LABELS.index(label)
            labels[row] += _FIRST if rank == 0 else _OTHER
            families += mass * MEMBERSHIP[row]
    return labels / len(readers), families / len(readers)
