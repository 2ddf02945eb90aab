"""A wider head over the weights in place: what teaches them when they go on learning.

It sees the mean over pieces of every layer, not of the last one alone, through a hidden
layer, and says what is to be added to the logits. A text is spoken of by a head that
was fitted on others: what was learned by heart is not passed on.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from segmentation.emotion.families import OUTPUTS, FloatArray
from segmentation.emotion.training.examples import Examples, sentiments_of
from segmentation.emotion.training.fitting import Stage, loss_of
from segmentation.emotion.training.in_place import Float32Array

_FOLDS: Final = 3
_WIDTH: Final = 384
_DROPPED: Final = 0.2, 0.3  # of the layers, of the hidden layer
_EPOCHS: Final = 6
_BATCH: Final = 256
_RATE: Final = 1e-3
_DECAY: Final = 0.05
_THREADS: Final = 2


def said_by_others(
    of_encoder: Float32Array,
    layers: Float32Array,
    examples: Examples,
    text_of: NDArray[np.int64],
    stage: Stage,
    *,
    seed: int,
) -> FloatArray:
    """(n, 30): what a wider head adds to the encoder's logits of each row, fitted on
    rows of other texts.

    of_encoder, layers: see InPlace. text_of: (n,), the text of each row; one that
    stands twice is in one fold. stage: how much flags, families and comments count.
    """
    torch.set_num_threads(_THREADS)
    chance = np.random.default_rng(seed)
    fold = chance.integers(0, _FOLDS, int(text_of.max()) + 1)[text_of]
    scale = layers.std(axis=0) + 1e-3
    inputs = torch.from_numpy((layers - layers.mean(axis=0)) / scale)
    before = torch.from_numpy(of_encoder)
    labels = torch.from_numpy(examples.labels.astype(np.float32))
    # Half of it what people said, half what is said already.
    said = torch.sigmoid(before)
    felt = sentiments_of(said.numpy())
    targets = (
        (labels + said) / 2,
        torch.from_numpy(examples.families.astype(np.float32)),
        torch.from_numpy(((examples.sentiments + felt) / 2).astype(np.float32)),
    )
    added = np.zeros((len(examples), OUTPUTS))
    for number in range(_FOLDS):
        torch.manual_seed(seed + number)
        rest = np.flatnonzero(fold != number)
        head = _fitted(inputs, before, targets, rest, stage)
        with torch.no_grad():
            added[fold == number] = head(inputs[fold == number]).numpy()
    return added


def _fitted(
    inputs: torch.Tensor,
    before: torch.Tensor,
    targets: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    rows: NDArray[np.int64],
    stage: Stage,
) -> torch.nn.Module:
    last = torch.nn.Linear(_WIDTH, OUTPUTS)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    head = torch.nn.Sequential(
        torch.nn.Dropout(_DROPPED[0]),
        torch.nn.Linear(inputs.shape[1], _WIDTH),
        torch.nn.GELU(),
        torch.nn.Dropout(_DROPPED[1]),
        last,
    )
    optimizer = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=_DECAY)
    steps = _EPOCHS * -(-len(rows) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=_RATE, total_steps=steps, pct_start=0.1
    )
    labels, families, sentiments = targets
    for _ in range(_EPOCHS):
        order = torch.from_numpy(rows)[torch.randperm(len(rows))]
        for some in order.split(_BATCH):
            logits = before[some] + head(inputs[some])
            loss = loss_of(
                logits, labels[some], families[some], sentiments[some], stage
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return head.eval()
