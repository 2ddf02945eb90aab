"""The segment model in use."""

from segmentation.clustering.anchored_mixture import AnchoredMixture
from segmentation.clustering.anchors import SEGMENTS


def build(n_segments: int, seed: int) -> AnchoredMixture:
    """The anchored mixture; it has seven segments, because they are named."""
    if n_segments != len(SEGMENTS):
        raise ValueError(
            f"The anchored mixture has {len(SEGMENTS)} segments, not {n_segments}."
        )
    return AnchoredMixture(seed=seed)
