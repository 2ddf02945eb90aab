"""The sums of profiles the usual way, as a baseline: one groupby of pandas."""

from typing import Any

from segmentation.profile.decay import FAST_DAYS, PEAK_DAYS, SLOW_DAYS
from segmentation.profile.events import N_FAMILIES, Texts

NEGATIVE = ["q0", "q1", "q3"]


def pandas_sums(pd: Any, texts: Texts) -> Any:
    """The same sums the usual way: weighted columns, one groupby, a row a customer."""
    frame = pd.DataFrame(
        texts.families, columns=[f"q{family}" for family in range(N_FAMILIES)]
    )
    slow = texts.weight * 0.5 ** (texts.age_days / SLOW_DAYS)
    fast = texts.weight * 0.5 ** (texts.age_days / FAST_DAYS)
    weighted = pd.concat(
        [
            frame.mul(slow, axis=0).add_prefix("slow_"),
            frame.mul(fast, axis=0).add_prefix("fast_"),
        ],
        axis=1,
    ).assign(
        weight=slow,
        weight_sq=slow**2,
        valence=slow * texts.valence,
        valence_sq=slow * texts.valence**2,
        fast_weight=fast,
    )
    by_customer = weighted.groupby(texts.customer)
    sums = by_customer.sum()
    sums["texts"] = by_customer.size()
    strength = frame[NEGATIVE].sum(axis=1) * 0.5 ** (texts.age_days / PEAK_DAYS)
    sums["peak"] = strength.groupby(texts.customer).max()
    return sums.reindex(range(texts.n_customers), fill_value=0)
