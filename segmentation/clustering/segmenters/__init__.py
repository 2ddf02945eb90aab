"""Segment models by name: one file each, and its line in this table.

Promise: build(n_segments, seed) gives an unfitted estimator; the same seed gives the
same labels.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from segmentation.clustering.segmenters import anchored, kmeans

SEGMENTERS: Mapping[str, Callable[[int, int], Any]] = MappingProxyType(
    {"anchored": anchored.build, "kmeans": kmeans.build}
)
