"""How far evidence may be believed, learned by predicting people's last texts.

Texts of one person repeat one story, so evidence is tempered: 0.8 is right where
segments are as noisy as in the method's own simulations. A shop whose customers' last
texts are foretold clearly better with more of the evidence may believe more of it.
Source: method.md 2.2, step 3; docs/method.md, "How sure".
"""

from typing import Final

import numpy as np

from segmentation.clustering.belief import evidence_of_texts, posterior
from segmentation.profile.decay import SLOW_DAYS, decay
from segmentation.profile.events import FloatArray, IntArray, Texts

CAUTIOUS: Final = 0.8
# With known truth, the temper that foretells last texts best is a quarter above the one
# whose probabilities come true (1.0 against 0.8 in the method's generator). So what is
# found is multiplied by this.
CALIBRATED: Final = 0.8
FORETELLING: Final = (1.0, 1.25, 1.5, 1.875)
# Customers with two texts or more below which nothing is learned.
LEARN_FROM: Final = 100
# A gain must stand out from its own noise by this many standard errors.
ERRORS_NEEDED: Final = 2.0


def choose_temper(texts: Texts, density: FloatArray, shares: FloatArray) -> float:
    """The temper, 0.8 to 1.5, that last texts speak for; 0.8 unless clearly so.

    density: (n, 7) how likely each text is in each segment, against everybody.
    """
    order = np.lexsort((-texts.age_days, texts.customer))
    who = texts.customer[order]
    is_last = np.append(who[1:] != who[:-1], True) if len(who) else np.zeros(0, bool)
    last, rest = order[is_last], order[~is_last]
    tried = np.isin(texts.customer[last], texts.customer[rest])
    last = last[tried]
    if len(last) < LEARN_FROM:
        return CAUTIOUS
    evidence = _evidence_before(texts, density, last, rest)
    foretold = {
        temper: np.log((posterior(evidence, shares, temper) * density[last]).sum(1))
        for temper in FORETELLING
    }
    chosen = FORETELLING[0]
    for temper in FORETELLING[1:]:
        gain = foretold[temper] - foretold[chosen]
        error = float(gain.std(ddof=1)) / np.sqrt(len(gain))
        if float(gain.mean()) <= ERRORS_NEEDED * error:
            break
        chosen = temper
    return round(CALIBRATED * chosen, 6)


def _evidence_before(
    texts: Texts, density: FloatArray, last: IntArray, rest: IntArray
) -> FloatArray:
    """Log evidence as of each last text, without it: (len(last), 7)."""
    row_of = np.full(texts.n_customers, -1)
    row_of[texts.customer[last]] = np.arange(len(last))
    rows = row_of[texts.customer[rest]]
    ages = texts.age_days[rest] - texts.age_days[last][rows]
    weight = texts.weight[rest] * decay(ages, half_life_days=SLOW_DAYS)
    return evidence_of_texts(density[rest], rows, weight, len(last))
