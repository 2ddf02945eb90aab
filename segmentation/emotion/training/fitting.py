"""Fitting: one process, a schedule, fixed seeds."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segmentation.emotion.families import LABELS, MEMBERSHIP, FloatArray
from segmentation.emotion.label_figures import SENTIMENT
from segmentation.emotion.training.encoder import (
    Encoder,
    base_vocabulary,
    has_bfloat16,
    padded,
    small,
)
from segmentation.emotion.training.examples import Examples, mosaics
from segmentation.emotion.wordpiece import CUSTOMER_MARK, MAX_PIECES

_MASK_ID = 103
_CUSTOMER_ID = base_vocabulary()[CUSTOMER_MARK]
_LEAST = 1e-6  # of a probability that is taken the logarithm of
_SENTIMENTS = np.array(
    [[label in labels for labels in SENTIMENT.values()] for label in LABELS], float
)
_APART_STEPS = 20  # that processes go alone
_CHUNK_BATCHES = 50  # batches of like length are cut out of this many shuffled ones


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the recipe. rate: of the last layer; the head learns 5 x faster."""

    epochs: float
    rate: float
    batch: int = 64
    layer_decay: float = 0.95
    warm_up: float = 0.1
    word_dropout: float = 0.05
    family_weight: float = 1.0
    sentiment_weight: float = 0.0
    flag_weight: float = 1.0
    mosaic_share: float = 0.0
    comment_weight: float = 1.0  # of a row nobody gave a family mix, beside one with it
    seed: int = 0
    threads: int = 2
    processes: int = 1
    most_steps: int | None = None


def fit(
    examples: Examples,
    stage: Stage,
    *,
    start: Path | None,
    out: Path,
    base: Callable[[], Encoder] = small,
    log: bool = True,
) -> None:
    """Train on `examples` from the weights in `start` (else of `base`) into `out`.

    The same processor, threads, `stage` and examples give the same weights. Products
    are taken in bfloat16 where the processor has it (0.6 of the time; it takes twice as
    long where it is emulated); weights, sums and the loss stay float32.
    """
    if stage.processes == 1:
        _fit(0, examples, stage, start, out, base, log)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            _fit_in_company,
            (Path(folder) / "meeting", examples, stage, start, out, base, log),
            nprocs=stage.processes,
        )


def _fit_in_company(rank: int, meeting: Path, *of_fit: Any) -> None:
    """meeting: a file by which the processes find each other."""
    stage: Stage = of_fit[1]
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=stage.processes,
    )
    _fit(rank, *of_fit)
    torch.distributed.destroy_process_group()


def _fit(
    rank: int,
    examples: Examples,
    stage: Stage,
    start: Path | None,
    out: Path,
    base: Callable[[], Encoder],
    log: bool,
) -> None:
    """Each process takes every n-th batch, and now and then all go on from the mean of
    their weights (local SGD, Stich 2019): on few cores sooner done than one process
    with as many threads."""
    torch.set_num_threads(stage.threads)
    torch.manual_seed(stage.seed)
    network = base()
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True))
    # All begin with the same head; what each leaves out by chance differs.
    torch.manual_seed(stage.seed + rank)
    groups = _parameters(network, stage)
    optimizer = torch.optim.AdamW(groups, fused=True)
    rows, lengths = _rows(examples, stage)
    every = int(-(-len(rows) // stage.batch) * stage.epochs)
    total = every // stage.processes
    warm = max(1, int(stage.warm_up * total))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(
            (step + 1) / warm, max(0.0, (total - step) / max(1, total - warm))
        ),
    )
    labels = torch.from_numpy(examples.labels.astype(np.float32))
    families = torch.from_numpy(examples.families.astype(np.float32))
    sentiments = torch.from_numpy(examples.sentiments.astype(np.float32))
    parameters = [value for group in groups for value in group["params"]]
    limit = total if stage.most_steps is None else min(total, stage.most_steps)
    batches = _steps(lengths, stage, limit * stage.processes)
    network.train()
    running = 0.0
    for step, batch in enumerate(islice(batches, rank, None, stage.processes), start=1):
        groups_of = [rows[row] for row in batch]
        ids, mask, spans = _joined(examples, groups_of)
        hidden = (torch.rand(ids.shape) < stage.word_dropout) & (ids > _MASK_ID)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            logits = network(torch.where(hidden, _MASK_ID, ids), mask, spans).float()
        flat = [row for group in groups_of for row in group]
        loss = loss_of(logits, labels[flat], families[flat], sentiments[flat], stage)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        schedule.step()
        if stage.processes > 1 and (step % _APART_STEPS == 0 or step == limit):
            _meet(parameters, stage.processes)
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        if log and rank == 0 and step % 100 == 0:
            print(f"step {step:,} of {total:,}, loss {running:.3f}", flush=True)
    if rank == 0:
        torch.save(network.state_dict(), out)


@torch.no_grad()
def _meet(parameters: list[torch.Tensor], processes: int) -> None:
    for value in parameters:
        torch.distributed.all_reduce(value)
        value /= processes


def loss_of(
    logits: torch.Tensor,
    labels: torch.Tensor,
    families: torch.Tensor,
    sentiments: torch.Tensor,
    stage: Stage,
) -> torch.Tensor:
    """Binary cross-entropy on what is known of labels, flags and sentiments (noisy-or
    of their labels); and, where readers gave a family mix, the cross-entropy of the mix
    q that the product shows (noisy-or, then P / sum P)."""
    presence = _cross_entropy(logits, labels)
    presence[:, len(LABELS) :] *= stage.flag_weight
    absent = torch.nn.functional.logsigmoid(-logits[:, : len(LABELS)])
    present = _any_of(absent, MEMBERSHIP)
    mix = torch.log(present) - torch.log(present.sum(1, keepdim=True))
    mixed = -(families * mix).sum(1)
    each = presence.sum(1) + stage.family_weight * mixed
    if stage.sentiment_weight:
        felt = _any_of(absent, _SENTIMENTS)
        each = each + stage.sentiment_weight * _cross_entropy(
            torch.logit(felt, _LEAST), sentiments
        ).sum(1)
    counts = torch.where(families.sum(1) > 0, 1.0, stage.comment_weight)
    return (counts * each).sum() / counts.sum()


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of each; 0 where the target is not known."""
    return torch.nn.functional.binary_cross_entropy_with_logits(
        logits,
        targets.nan_to_num(),
        weight=(~targets.isnan()).float(),
        reduction="none",
    )


def _any_of(absent: torch.Tensor, members: FloatArray) -> torch.Tensor:
    """(n, groups): noisy-or. absent: (n, 28) of log(1 - p); members: (28, groups)."""
    nobody = absent @ torch.from_numpy(members.astype(np.float32))
    return -torch.expm1(nobody.clamp(max=-_LEAST))


def _rows(
    examples: Examples, stage: Stage
) -> tuple[list[tuple[int, ...]], NDArray[np.int64]]:
    """Groups of examples read in one window, mostly of one, and their lengths."""
    lengths = np.array([len(ids) for ids in examples.pieces])
    rows: list[tuple[int, ...]] = [(row,) for row in range(len(examples))]
    customers = np.array([_frame(ids) == 2 for ids in examples.pieces])
    for kind in (np.flatnonzero(~customers), np.flatnonzero(customers)):
        rows += mosaics(
            stage.mosaic_share, kind, lengths, longest=MAX_PIECES, seed=stage.seed
        )
    return rows, np.array([sum(int(lengths[row]) for row in group) for group in rows])


def _frame(ids: NDArray[np.int32]) -> int:
    """Pieces before the text: [CLS] and, in a customer's text, the marker."""
    return 2 if len(ids) > 2 and ids[1] == _CUSTOMER_ID else 1


def _joined(
    examples: Examples, groups: list[tuple[int, ...]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids, mask and spans; a text alone owns its marks too, as when it is read."""
    joined, owners = [], []
    span = 0
    for group in groups:
        texts = [examples.pieces[row] for row in group]
        frame = _frame(texts[0])
        inner = [ids[frame:-1] for ids in texts]
        joined.append(np.concatenate([texts[0][:frame], *inner, texts[0][-1:]]))
        owner = np.repeat(np.arange(span, span + len(group)), [len(i) for i in inner])
        marks = span if len(group) == 1 else -1
        owners.append(np.concatenate([[marks] * frame, owner, [marks]]))
        span += len(group)
    ids, mask = padded(joined)
    spans = np.full(ids.shape, -1, np.int64)
    for row, owner in enumerate(owners):
        spans[row, : len(owner)] = owner
    return ids, mask, torch.from_numpy(spans)


def _steps(
    lengths: NDArray[np.int64], stage: Stage, limit: int
) -> Iterator[NDArray[np.int64]]:
    chance = np.random.default_rng(stage.seed)
    done = 0
    while done < limit:
        for rows in _batches(lengths, stage.batch, chance)[: limit - done]:
            yield rows
            done += 1


def _batches(
    lengths: NDArray[np.int64], size: int, chance: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Shuffled batches of texts of like length."""
    order = chance.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), size * _CHUNK_BATCHES):
        rows = order[start : start + size * _CHUNK_BATCHES]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[at : at + size] for at in range(0, len(rows), size)]
    return [batches[row] for row in chance.permutation(len(batches))]


def _parameters(network: Encoder, stage: Stage) -> list[dict[str, Any]]:
    """Every parameter but the embeddings, which stay as they came, with its rate."""
    groups = []
    for name, value in network.named_parameters():
        if "embeddings" in name:
            value.requires_grad_(False)
            continue
        plain = "bias" in name or "LayerNorm" in name
        groups.append(
            {
                "params": [value],
                "lr": stage.rate * _rate_factor(name, network.layers, stage),
                "weight_decay": 0.0 if plain else 0.01,
            }
        )
    return groups


def _rate_factor(name: str, layers: int, stage: Stage) -> float:
    if name.startswith("head"):
        return 5.0
    if "layer." not in name:
        return float(stage.layer_decay**layers)  # what all layers share
    depth = int(name.split("layer.")[1].split(".")[0])
    return float(stage.layer_decay ** (layers - 1 - depth))
