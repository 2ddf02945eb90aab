"""GoEmotions as published (Demszky et al. 2020, CC BY 4.0): TSV files → arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from segmentation.emotion.families import LABELS, FloatArray

ROWS: Final = {"train": 43_410, "dev": 5_426, "test": 5_427}


class DataRefused(ValueError):
    """The data given are not those the recipe was made for; says where they differ."""


@dataclass(frozen=True, slots=True)
class Split:
    """texts and labels, (n, 28) of 0 and 1."""

    texts: list[str]
    labels: FloatArray

    def first(self, most: int | None) -> "Split":
        """The first rows; None: all of them."""
        return Split(self.texts[:most], self.labels[:most])


def load(folder: Path, split: str, *, whole: bool = True) -> Split:
    """One split of the original files. Raises DataRefused for other rows or labels.

    whole: the split must have all its published rows; a test may give fewer.
    """
    path = folder / f"{split}.tsv"
    try:
        content = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise DataRefused(
            f"{path} is missing; DIR needs train, dev, test.tsv."
        ) from error
    texts, rows = [], []
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip("\r"):
            continue
        fields = line.rstrip("\r").split("\t")
        if len(fields) != 3:
            raise DataRefused(
                f"{path.name}, line {number}: needs text, labels and id between tabs, "
                f"got {len(fields)} fields."
            )
        row = np.zeros(len(LABELS))
        for label in fields[1].split(","):
            if not label.isdigit() or int(label) >= len(LABELS):
                raise DataRefused(
                    f"{path.name}, line {number}: {label!r} is no label from 0 to 27."
                )
            row[int(label)] = 1.0
        texts.append(fields[0])
        rows.append(row)
    if whole and len(texts) != ROWS[split]:
        raise DataRefused(
            f"{path.name} needs {ROWS[split]:,} rows, has {len(texts):,}."
        )
    return Split(texts, np.array(rows).reshape(-1, len(LABELS)))
