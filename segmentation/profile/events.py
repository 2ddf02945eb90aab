"""What a profile is made of, as arrays: texts that were read, and deeds."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Where texts come from; the order gives the index of a source. Base weight beside it:
# method.md 1.1, "Base weight by source".
SOURCE_WEIGHT: Final[dict[str, float]] = {
    "ticket": 1.0,
    "review": 1.0,
    "survey": 1.0,
    "reply": 0.9,
    "social": 0.7,
    "chat": 0.5,
    "order": 1.0,
    "return": 1.0,
    "visit": 0.5,
}
SOURCES: Final = tuple(SOURCE_WEIGHT)
N_FAMILIES: Final = 9


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts that were read.

    customer: (n,) rows of the profile table, 0 to n_customers - 1.
    age_days: (n,) days before the cut-off, >= 0.
    source: (n,) indices into SOURCES. weight: (n,) base weights, >= 0.
    families: (n, 9), each row sums to 1. valence: (n,), -1 to 1.
    """

    n_customers: int
    customer: IntArray
    age_days: FloatArray
    source: IntArray
    weight: FloatArray
    families: FloatArray
    valence: FloatArray

    def __post_init__(self) -> None:
        n = len(self.customer)
        shapes = {
            "age_days": self.age_days.shape,
            "source": self.source.shape,
            "weight": self.weight.shape,
            "valence": self.valence.shape,
        }
        for name, shape in shapes.items():
            if shape != (n,):
                raise ValueError(f"{name} needs shape ({n},); it has {shape}.")
        if self.families.shape != (n, N_FAMILIES):
            raise ValueError(
                f"families needs shape ({n}, 9); it has {self.families.shape}."
            )
        if n and self.age_days.min() < 0:
            raise ValueError("A text can't be younger than the cut-off: age below 0.")
        if n and not 0 <= self.customer.min() <= self.customer.max() < self.n_customers:
            raise ValueError(f"customer needs indices 0 to {self.n_customers - 1}.")

    def __len__(self) -> int:
        return len(self.customer)

    def of(self, customers: IntArray) -> "Texts":
        """The texts of these customers only; customers[i], ascending, is row i then."""
        inside = np.isin(self.customer, customers)
        return Texts(
            n_customers=len(customers),
            customer=np.searchsorted(customers, self.customer[inside]),
            age_days=self.age_days[inside],
            source=self.source[inside],
            weight=self.weight[inside],
            families=self.families[inside],
            valence=self.valence[inside],
        )


@dataclass(frozen=True, slots=True)
class Deeds:
    """What was done. code: (n,) indices into behaviour.DEEDS; ages as Texts."""

    customer: IntArray
    age_days: FloatArray
    code: IntArray

    def and_also(self, others: "Deeds") -> "Deeds":
        """These, and after them the others."""
        return Deeds(
            np.concatenate([self.customer, others.customer]),
            np.concatenate([self.age_days, others.age_days]),
            np.concatenate([self.code, others.code]),
        )


def no_deeds() -> Deeds:
    """Nobody did anything."""
    return Deeds(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
