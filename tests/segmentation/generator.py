"""Customers whose true segment is known: the generator of the method's own tests.

Archetypes, shares and the classifier's mean output per true family are those measured
for the method; texts, mixes and readings are drawn from them.
"""

from dataclasses import dataclass

import numpy as np

from segmentation.profile.events import SOURCES, Texts

_ARCHETYPES = """
.46 .02 .06 .16 .02 .02 .03 .05 .18
.05 .38 .12 .12 .03 .02 .04 .08 .16
.12 .03 .05 .48 .03 .03 .05 .04 .17
.02 .02 .03 .02 .42 .20 .11 .05 .13
.02 .01 .02 .02 .06 .16 .50 .04 .17
.05 .04 .26 .04 .05 .03 .05 .34 .14
.05 .01 .04 .04 .04 .05 .08 .06 .63
"""
_OUTPUT = """
.36 .01 .02 .06 .04 .05 .10 .04 .32
.15 .34 .02 .07 .04 .03 .11 .03 .20
.10 .01 .21 .05 .05 .03 .09 .14 .33
.12 .02 .01 .36 .05 .05 .11 .04 .23
.08 .01 .01 .04 .36 .06 .14 .05 .24
.06 .01 .01 .03 .05 .54 .13 .03 .14
.07 .01 .01 .03 .06 .06 .53 .03 .19
.09 .01 .06 .04 .06 .04 .10 .27 .34
.12 .01 .02 .05 .05 .05 .12 .06 .52
"""
SHARES = np.array([0.14, 0.08, 0.12, 0.14, 0.22, 0.10, 0.20])


def _rows(text: str) -> np.ndarray:
    table = np.array([line.split() for line in text.strip().splitlines()], float)
    return table / table.sum(axis=1, keepdims=True)


ARCHETYPES, OUTPUT = _rows(_ARCHETYPES), _rows(_OUTPUT)


@dataclass(frozen=True)
class Made:
    texts: Texts
    truth: np.ndarray
    counts: np.ndarray


def make_customers(
    n: int,
    *,
    seed: int,
    archetypes: np.ndarray = ARCHETYPES,
    shares: np.ndarray = SHARES,
) -> Made:
    """n customers, all texts now and of one source."""
    random = np.random.default_rng(seed)
    truth = random.choice(len(shares), n, p=shares)
    mixes = np.vstack([random.dirichlet(12 * archetypes[s]) for s in truth])
    size, mean = 0.8, 3.0
    counts = np.minimum(1 + random.negative_binomial(size, size / (size + mean), n), 40)
    customer = np.repeat(np.arange(n), counts)
    cumulative = mixes.cumsum(axis=1)[customer]
    family = (random.random(len(customer))[:, None] > cumulative).sum(axis=1)
    drawn = random.standard_gamma(2 * OUTPUT[np.minimum(family, 8)] * 1.0)
    drawn = np.maximum(drawn, 1e-12)
    families = drawn / drawn.sum(axis=1, keepdims=True)
    m = len(customer)
    return Made(
        Texts(
            n,
            customer,
            np.zeros(m),
            np.full(m, SOURCES.index("review")),
            np.ones(m),
            families,
            np.zeros(m),
        ),
        truth,
        counts,
    )
