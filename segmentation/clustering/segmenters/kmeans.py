"""Free clustering, for comparison only: it finds groups, not ones a marketer can name.

On square roots of shares: log-ratios amplify the noise of near-zero outputs.
"""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer


def build(n_segments: int, seed: int) -> Pipeline:
    """k-means on square roots of shares."""
    pipeline: Pipeline = make_pipeline(
        FunctionTransformer(np.sqrt),
        KMeans(n_clusters=n_segments, n_init=10, random_state=seed),
    )
    return pipeline
