"""The lexical head: what single word pieces and pairs of them say, whatever the rest.

Beside the encoder, which reads a window as a whole, a plain logistic regression over
its pieces and neighbouring pairs (TF-IDF, L2 norm): it remembers rare turns of phrase
that the encoder smooths away. Customers' texts and comments of Reddit have a head each:
one fitted on both cost Ekman's seven .007 there. Its logit is a sum over pieces, so
what each part of a window adds stays known exactly.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segmentation.emotion.families import OUTPUTS, FloatArray

IntArray = NDArray[np.int64]

_BITS: Final = 16  # a piece's id has fewer; the first of a pair stands above the second
_INT8_MOST: Final = 127


def phrase_keys(framed: IntArray) -> IntArray:
    """Keys of the pieces between the frame's ends, then of all neighbouring pairs.

    framed: (n + 2,) ids from [CLS] to [SEP] without the customer's marker.
    Returns (n + n + 1,).
    """
    pairs = ((framed[:-1] + 1) << _BITS) | framed[1:]
    return np.concatenate([framed[1:-1], pairs])


def weighed(
    keys: IntArray, known: IntArray, idf: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Where each occurrence of a key stands among the known ones, and what it weighs in
    its text: idf / norm, 0 for one that is not known. Both (n,).

    known: (m,) ascending; idf: (m,). The norm is that of all known keys' tf x idf.
    """
    rows = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    own = np.where(known[rows] == keys, idf[rows], 0.0)
    _, place, times = np.unique(keys, return_index=True, return_counts=True)
    norm = float(np.sqrt(np.sum((times * own[place]) ** 2)))
    return rows, own / norm if norm > 0 else np.zeros(len(own))


@dataclass(frozen=True, slots=True)
class LexicalHead:
    """keys: (m,) ascending. idf: (m,). weights: (m, 30) int8, times scale (30,).

    bias: (30,), of a text of its kind. share: how much of the logit is the head's; the
    rest is the encoder's.
    """

    keys: IntArray
    idf: FloatArray
    weights: NDArray[np.int8]
    scale: FloatArray
    bias: FloatArray
    share: float

    def logits(self, framed: IntArray) -> FloatArray:
        """What each inner piece adds, (n, 30); their sum is the head's logit.

        framed: (n + 2,), n >= 1, see `phrase_keys`. A pair's part is halved between its
        two pieces; what belongs to no piece is spread over all of them alike.
        """
        n = len(framed) - 2
        rows, weight = weighed(phrase_keys(framed), self.keys, self.idf)
        said = self.weights[rows] * (weight[:, None] * self.scale)
        pairs = said[n:] / 2
        pairs[0] *= 2  # its other piece is the frame's
        pairs[-1] *= 2
        added = said[:n] + pairs[:-1] + pairs[1:]
        return np.asarray(added + self.bias / n)

    def to_bytes(self) -> bytes:
        """As one file; the same head gives the same bytes."""
        out = io.BytesIO()
        np.savez_compressed(
            out,
            keys=self.keys.astype("<i8"),
            idf=self.idf.astype("<f4"),
            weights=self.weights,
            scale=self.scale.astype("<f4"),
            bias=self.bias.astype("<f4"),
            share=np.array(self.share, "<f8"),
        )
        return out.getvalue()


def lexical_head(content: bytes) -> LexicalHead:
    """The head in a file's bytes. Raises ValueError if its arrays do not fit."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        fields = {name: file[name] for name in file.files}
    found = LexicalHead(
        keys=fields["keys"].astype(np.int64),
        idf=fields["idf"].astype(np.float64),
        weights=fields["weights"],
        scale=fields["scale"].astype(np.float64),
        bias=fields["bias"].astype(np.float64),
        share=float(fields["share"]),
    )
    if found.weights.shape != (len(found.keys), OUTPUTS):
        raise ValueError(
            f"The lexical head needs ({len(found.keys)}, {OUTPUTS}) weights, "
            f"has {found.weights.shape}."
        )
    return found


def rounded(weights: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """(m, 30) weights → int8 and the scale of each column."""
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-9) / _INT8_MOST
    return np.round(weights / scale).astype(np.int8), scale
