"""Going on from the weights in place, when texts have been added: a tenth of the work
of the whole recipe."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from segmentation.emotion.families import LABELS, FloatArray
from segmentation.emotion.pooling import probabilities
from segmentation.emotion.training import goemotions
from segmentation.emotion.training.choices import Recipe, Say
from segmentation.emotion.training.examples import Examples
from segmentation.emotion.training.fitting import fit
from segmentation.emotion.training.in_place import InPlace, heard_in_place
from segmentation.emotion.training.rows import AllRows, all_rows, chosen_texts
from segmentation.emotion.training.teaching import blended
from segmentation.emotion.training.unpacking import unpacked
from segmentation.emotion.training.wider import said_by_others
from segmentation.emotion.weights import FOLDER, SUMS


def refined(data: Path, work: Path, recipe: Recipe, *, say: Say) -> Path:
    """Fit the weights in place further; returns the checkpoint.

    data: GoEmotions. work: keeps the checkpoint, under a name of what it came from; the
    same weights, texts and recipe are not fitted again.
    """
    start = unpacked(FOLDER)
    rows = all_rows(
        goemotions.load(data, "train").first(recipe.most_comments),
        chosen_texts(recipe),
        recipe,
    )
    out = work / f"refined-{_fingerprint(rows, recipe)}.pt"
    if out.exists():
        return out
    say("what the weights in place make of all texts")
    heard = heard_in_place(rows)
    say("what a wider head says")
    added = said_by_others(
        heard.of_encoder,
        heard.layers,
        rows.examples,
        rows.text_of,
        recipe.refining,
        seed=recipe.seed,
    )
    taught = refined_targets(rows, heard, added, recipe)
    say(f"refining: {len(taught):,} rows, {len(rows.own):,} customer texts among them")
    begin = work / "in_place.pt"
    torch.save(start.state_dict(), begin)
    fit(taught, recipe.refining, start=begin, out=out)
    begin.unlink()
    return out


def refined_targets(
    rows: AllRows, heard: InPlace, added: FloatArray, recipe: Recipe
) -> Examples:
    """People, and the weights in place with what a wider head adds, (n, 30).

    Of a comment as a customer's text, too, they say what they say of the comment: read
    as comments, UCI's sentences, which have never been seen, were right in 0.891, as a
    customer's in 0.877.
    """
    said = probabilities(heard.logits + heard.share * added)
    said[rows.marked, : len(LABELS)] = said[: len(rows.comments), : len(LABELS)]
    return blended(rows, said, (said, probabilities(heard.logits)), recipe)


def _fingerprint(rows: AllRows, recipe: Recipe) -> str:
    found = hashlib.sha256((FOLDER / SUMS).read_bytes())
    found.update(repr(recipe).encode())
    found.update(np.concatenate(rows.examples.pieces).tobytes())
    found.update(rows.examples.labels.tobytes())
    return found.hexdigest()[:12]
