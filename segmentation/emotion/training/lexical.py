"""Fitting the lexical head: one logistic regression a label and a flag over pieces and
pairs of them."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from segmentation.emotion.families import FloatArray
from segmentation.emotion.lexical import LexicalHead, phrase_keys, rounded, weighed

LEAST_TEXTS: Final = 3  # a phrase in fewer is not learned
STRENGTH: Final = 4.0  # C: the inverse of the pull towards 0
_SURE: Final = 0.02  # a soft label nearer to 0 or 1 counts as one


def fit_lexical(
    texts: Sequence[NDArray[np.int64]],
    labels: FloatArray,
    of_customer: NDArray[np.bool_],
    *,
    share: float,
) -> LexicalHead:
    """A head of these texts.

    texts: framed ids without marker; labels: (n, 30) in [0, 1], soft ones count as so
    much of a yes and the rest of a no, NaN where nobody has said; of_customer: (n,),
    the others (comments) have an intercept of their own, which the head leaves out.
    """
    keys = [phrase_keys(framed) for framed in texts]
    in_texts = Counter(int(key) for text in keys for key in np.unique(text))
    kept = np.array(sorted(k for k, n in in_texts.items() if n >= LEAST_TEXTS))
    counts = np.array([in_texts[int(key)] for key in kept], np.float64)
    idf = np.log((1 + len(texts)) / (1 + counts)) + 1
    matrix = _matrix(keys, kept, idf, of_customer)
    weights = np.zeros((len(kept), labels.shape[1]))
    bias = np.zeros(labels.shape[1])
    for label in range(labels.shape[1]):
        known = np.flatnonzero(~np.isnan(labels[:, label]))
        target = labels[known, label]
        if target.max(initial=0) <= _SURE or target.min(initial=1) >= 1 - _SURE:
            bias[label] = _usual(target)
            continue
        model = _regression(matrix[known], target)
        weights[:, label] = model.coef_[0, :-1]
        bias[label] = model.intercept_[0] + model.coef_[0, -1]
    whole, scale = rounded(weights)
    return LexicalHead(kept, idf, whole, scale, bias, share)


def _matrix(
    keys: Sequence[NDArray[np.int64]],
    kept: NDArray[np.int64],
    idf: FloatArray,
    of_customer: NDArray[np.bool_],
) -> csr_matrix:
    """(n, kept + 1); the last column says that a customer wrote it."""
    columns, values, ends = [], [], [0]
    for text, is_customer in zip(keys, of_customer, strict=True):
        place, weight = weighed(text, kept, idf)
        known = np.flatnonzero(weight)
        columns += [place[known], np.full(int(is_customer), len(kept))]
        values += [weight[known], np.ones(int(is_customer))]
        ends.append(ends[-1] + len(known) + int(is_customer))
    return csr_matrix(
        (np.concatenate(values), np.concatenate(columns), ends),
        shape=(len(keys), len(kept) + 1),
    )


def _usual(target: FloatArray) -> float:
    """The logit of a label that everybody or nobody has, half a text of each added."""
    yes = target.sum() + 0.5
    return float(np.log(yes / (len(target) + 1 - yes)))


def _regression(matrix: csr_matrix, target: FloatArray) -> LogisticRegression:
    """A row with a soft target stands twice: so much a yes, the rest a no."""
    yes = np.flatnonzero(target > _SURE)
    no = np.flatnonzero(target < 1 - _SURE)
    model = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=0)
    model.fit(
        matrix[np.concatenate([yes, no])],
        np.concatenate([np.ones(len(yes)), np.zeros(len(no))]),
        sample_weight=np.concatenate([target[yes], 1 - target[no]]),
    )
    return model
