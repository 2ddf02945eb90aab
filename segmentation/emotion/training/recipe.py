"""The recipe: GoEmotions and our own customer texts → the weights that are shipped.

Stage 1 learns the 28 labels of GoEmotions, twice with different seeds; then anew from
the base, in part from the true labels and in part from what both say together
(born-again networks, Furlanello et al. 2018), every comment once as a comment and once
as a customer's text. Stage 2 goes on from there with our own customer texts, which
carry the labels of both their readers, beside GoEmotions, of which it goes on saying
what it said (learning without forgetting, Li and Hoiem 2016). Beside the network stands
a lexical head, fitted on both sets by itself.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from segmentation.emotion.analyzers.minilm import MiniLM
from segmentation.emotion.cleaning import clean, spell_emoji
from segmentation.emotion.corpus.likeness import alike_between, alike_within
from segmentation.emotion.corpus.texts import (
    CustomerText,
    development_texts,
    training_texts,
)
from segmentation.emotion.evaluation import evaluate
from segmentation.emotion.families import FAMILIES, FLAGS, LABELS, FloatArray
from segmentation.emotion.label_figures import thresholds
from segmentation.emotion.proof import judging_texts, read_answers
from segmentation.emotion.training import goemotions
from segmentation.emotion.training.encoder import (
    Encoder,
    base_vocabulary,
    describe_base,
    predict,
)
from segmentation.emotion.training.examples import (
    Examples,
    encode,
    reader_targets,
)
from segmentation.emotion.training.export import (
    kept_pieces,
    largest_inputs,
    write_onnx,
)
from segmentation.emotion.training.fitting import Stage, fit
from segmentation.emotion.training.lexical import fit_lexical
from segmentation.emotion.weights import write_sums
from segmentation.emotion.wordpiece import MAX_PIECES, WordPiece

SHORT: Final = 48  # pieces; 99.8 % of GoEmotions fit
CURVE: Final = (500, 1_000, 2_500, 5_000)
# Comments beside them, a seventh of all: five fits more take minutes, not an hour.
CURVE_COMMENTS: Final = 6_000

Say = Callable[[str], None]


def _second(seed: int) -> Stage:
    return Stage(
        epochs=1,
        rate=8e-5,
        seed=seed,
        flag_weight=4.0,
        comment_weight=2.5,
        mosaic_share=0.1,
        threads=1,
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that was chosen; what was tried besides is in the model page."""

    first: tuple[Stage, ...] = (
        Stage(epochs=3, rate=1.5e-4, seed=0),
        Stage(epochs=3, rate=2e-4, seed=1),
    )
    again: Stage = field(default_factory=lambda: Stage(epochs=1.5, rate=1.5e-4, seed=3))
    second: tuple[Stage, ...] = (_second(seed=2), _second(seed=5))
    second_share: float = 0.93
    lexical_share: float = 0.25
    soft_share: float = 0.6
    marked_share: float = 0.5
    customer_rounds: int = 2
    most_customer_texts: int | None = None
    most_comments: int | None = None
    seed: int = 0


class CorpusTooAlike(ValueError):
    """Training texts that are near-duplicates, or close to a development text."""


def check_corpus(texts: Sequence[CustomerText]) -> None:
    """Raises CorpusTooAlike, naming up to five pairs."""
    own = [text.text for text in texts]
    apart = judging_texts()
    for what, pairs, others in (
        ("near-duplicates", alike_within(own), own),
        ("close to a text that judges", alike_between(own, apart), apart),
    ):
        if pairs:
            shown = "\n".join(
                f"  {own[pair.first]!r}\n  {others[pair.second]!r}"
                for pair in pairs[:5]
            )
            raise CorpusTooAlike(
                f"{len(pairs)} pairs of training texts are {what}, the first:\n{shown}"
            )


def chosen_texts(recipe: Recipe) -> list[CustomerText]:
    """The customer texts this recipe trains on, shuffled."""
    texts = training_texts()
    order = np.random.default_rng(recipe.seed).permutation(len(texts))
    return [texts[row] for row in order[: recipe.most_customer_texts]]


def prepared(text: str) -> str:
    """A text as the product hands it to the encoder."""
    return spell_emoji(" ".join((clean(text) or text).split()))


def customer_examples(texts: Sequence[CustomerText], tokenizer: WordPiece) -> Examples:
    """Own texts with the mean of both readers as target."""
    targets = [reader_targets(text.readers) for text in texts]
    return Examples(
        encode(
            [prepared(text.text) for text in texts],
            tokenizer,
            longest=MAX_PIECES,
            of_customers=True,
        ),
        np.hstack(
            [
                np.array([labels for labels, _ in targets]),
                np.array([_flags(text) for text in texts]),
            ]
        ),
        np.array([families for _, families in targets]),
    )


def _flags(text: CustomerText) -> list[float]:
    """Sensitive and urgent; unknown where a reader could not tell."""
    if text.sensitive is None:
        return [np.nan, np.nan]
    return [float(text.sensitive), float(text.urgent)]


def reddit_examples(split: goemotions.Split, tokenizer: WordPiece) -> Examples:
    """GoEmotions; its rows have no say on the family mix, only on labels."""
    return Examples(
        encode([spell_emoji(text) for text in split.texts], tokenizer, longest=SHORT),
        np.hstack([split.labels, np.full((len(split.texts), len(FLAGS)), np.nan)]),
        np.zeros((len(split.texts), len(FAMILIES))),
    )


def train(data: Path, work: Path, recipe: Recipe, *, say: Say) -> Path:
    """Fit both stages; returns the checkpoint. work: keeps checkpoints between runs.

    A stage 1 that `work` already has is not fitted again.
    """
    tokenizer = WordPiece(base_vocabulary())
    reddit = reddit_examples(goemotions.load(data, "train"), tokenizer)
    mark = tokenizer.customer_mark
    again = _first_stage(reddit, work, recipe, mark, say=say)
    own = customer_examples(chosen_texts(recipe), tokenizer)
    comments = replace(
        reddit, pieces=_marked(reddit.pieces, recipe.marked_share, mark, recipe.seed)
    ).pick(range(len(reddit))[: recipe.most_comments])
    say("what it says of GoEmotions so far")
    comments = _saying(comments, predict(loaded(again), comments.pieces), share=1.0)
    both = comments + own.pick(np.tile(np.arange(len(own)), recipe.customer_rounds))
    say(f"stage 2: {len(both):,} rows, {len(own):,} customer texts among them")
    # Side by side with a thread each: sooner done than one after the other with two.
    paths = [work / f"second-{stage.seed}.pt" for stage in recipe.second]
    with ProcessPoolExecutor(len(paths), mp_context=get_context("spawn")) as pool:
        fits = [
            pool.submit(fit, both, stage, start=again, out=path)
            for stage, path in zip(recipe.second, paths, strict=True)
        ]
        for done in fits:
            done.result()
    ends = [torch.load(path, weights_only=True) for path in paths]
    out = work / "second.pt"
    start = torch.load(again, weights_only=True)
    torch.save(blended(start, ends, recipe.second_share), out)
    return out


def _first_stage(
    reddit: Examples, work: Path, recipe: Recipe, mark: int, *, say: Say
) -> Path:
    """Twice from the base, then anew from what both say."""
    again = work / "again.pt"
    if again.exists():
        return again
    heard = []
    for stage in recipe.first:
        path = work / f"first-{stage.seed}.pt"
        if not path.exists():
            say(f"stage 1, seed {stage.seed}: {len(reddit):,} texts")
            fit(reddit, stage, start=None, out=path)
        heard.append(predict(loaded(path), reddit.pieces))
    softer = _saying(reddit, np.mean(heard, axis=0), share=recipe.soft_share)
    as_customers = replace(softer, pieces=_marked(reddit.pieces, 1.0, mark))
    say("stage 1 anew, from what both say")
    fit(softer + as_customers, recipe.again, start=None, out=again)
    return again


def _saying(examples: Examples, scores: FloatArray, *, share: float) -> Examples:
    """The same texts with this share of `scores` in their labels; flags stay."""
    labels = examples.labels.copy()
    of_texts = slice(0, len(LABELS))
    labels[:, of_texts] *= 1 - share
    labels[:, of_texts] += share * scores[:, of_texts]
    return replace(examples, labels=labels)


def blended(
    start: dict[str, torch.Tensor], ends: list[dict[str, torch.Tensor]], share: float
) -> dict[str, torch.Tensor]:
    """share of the mean of all ends, the rest of where they set out from.

    Ends of one start lie in one valley: their mean is better than each (model soups,
    Wortsman et al. 2022), and a step back keeps what the start knew (WiSE-FT, 2022).
    The flags have no start, so theirs are the ends' mean alone.
    """
    mixed = {}
    for name, value in start.items():
        mean = torch.stack([end[name].float() for end in ends]).mean(0)
        keep = 1.0 if name.startswith("head_flags") else share
        mixed[name] = keep * mean + (1 - keep) * value.float()
    return mixed


def _marked(
    pieces: list[NDArray[np.int32]], share: float, mark: int, seed: int = 0
) -> list[NDArray[np.int32]]:
    """This share of comments reads as a customer's, so that what they teach of feeling
    holds there too. Without them the AUC on UCI sentences fell from 0.95 to 0.87."""
    chosen = np.random.default_rng(seed).random(len(pieces)) < share
    return [
        np.insert(ids, 1, mark).astype(np.int32) if is_chosen else ids
        for ids, is_chosen in zip(pieces, chosen, strict=True)
    ]


def loaded(path: Path) -> Encoder:
    """A checkpoint, ready to predict."""
    network = Encoder()
    network.load_state_dict(torch.load(path, weights_only=True))
    network.eval()
    return network


def export(checkpoint: Path, folder: Path, data: Path) -> FloatArray:
    """Write graph and vocabulary; returns customers' texts' mean logits, (28,)."""
    network = loaded(checkpoint)
    vocabulary = base_vocabulary()
    tokenizer = WordPiece(vocabulary)
    texts = [prepared(text.text) for text in training_texts()]
    names = list(vocabulary)
    seen = frozenset(
        names[piece]
        for text in (*goemotions.load(data, "train").texts, *texts)
        for piece in tokenizer.encode(spell_emoji(text))
    )
    with largest_inputs(network) as largest:
        scores = predict(
            network, encode(texts, tokenizer, longest=MAX_PIECES, of_customers=True)
        )
    scores = scores[:, : len(LABELS)]
    kept = kept_pieces(vocabulary, seen)
    write_onnx(
        network,
        [vocabulary[piece] for piece in kept],
        folder / "model.int8.onnx",
        largest,
    )
    (folder / "vocab.txt").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return np.asarray(np.log(scores / (1 - scores)).mean(axis=0))


def export_lexical(folder: Path, data: Path, recipe: Recipe) -> FloatArray:
    """Fit and write the lexical head over the vocabulary that lies in the folder;
    returns its mean logits of customers' texts, (28,)."""
    pieces = (folder / "vocab.txt").read_text("utf-8").splitlines()
    tokenizer = WordPiece({piece: number for number, piece in enumerate(pieces)})
    comments = goemotions.load(data, "train")
    few = slice(0, recipe.most_comments)
    customers = chosen_texts(recipe)
    of_comments = [_framed(spell_emoji(t), tokenizer) for t in comments.texts[few]]
    of_customers = [_framed(prepared(t.text), tokenizer) for t in customers]
    said = [reader_targets(text.readers)[0] for text in customers]
    head = fit_lexical(
        of_comments + of_customers,
        np.vstack([comments.labels[few], said]),
        np.repeat([False, True], [len(of_comments), len(of_customers)]),
        share=recipe.lexical_share,
    )
    (folder / "lexical.npz").write_bytes(head.to_bytes())
    logits = [head.logits(ids).sum(axis=0) for ids in of_customers]
    return np.asarray(np.mean(logits, axis=0))


def _framed(text: str, tokenizer: WordPiece) -> NDArray[np.int64]:
    return np.array(tokenizer.framed(tokenizer.pieces(text)), np.int64)


def write_meta(folder: Path, **fields: Any) -> None:
    """meta.json with these fields replaced."""
    path = folder / "meta.json"
    meta = json.loads(path.read_text()) if path.exists() else {}
    meta = {
        "labels": list(LABELS),
        "thresholds": [0.3] * len(LABELS),
        "base": describe_base(),
        "made": datetime.now(UTC).date().isoformat(),
        **meta,
        **fields,
    }
    path.write_text(json.dumps(meta, indent=1) + "\n")


def replace_folder(made: Path, folder: Path) -> None:
    """Put all files of `made` in place of those of the same name, at the very end."""
    for path in sorted(made.iterdir()):
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(path.read_bytes())
        shutil.move(file.name, folder / path.name)
        (folder / path.name).chmod(0o644)


def make(data: Path, work: Path, made: Path, recipe: Recipe, *, say: Say) -> None:
    """All of it: checkpoint, graph, vocabulary, thresholds. made: an empty folder."""
    checkpoint = train(data / "emotion" / "goemotions", work, recipe, say=say)
    finish(checkpoint, data, made, recipe, say=say)


def finish(
    checkpoint: Path, data: Path, made: Path, recipe: Recipe, *, say: Say
) -> None:
    """From a fitted network to what is shipped of it. made: an empty folder."""
    reddit = data / "emotion" / "goemotions"
    say("export, lexical head, thresholds")
    share = recipe.lexical_share
    usual = (1 - share) * export(checkpoint, made, reddit)
    usual += share * export_lexical(made, reddit, recipe)
    write_meta(
        made,
        usual_logits=[float(value) for value in usual],
        lexical_share=share,
        customer_texts=len(training_texts()),
    )
    write_sums(made)
    dev = goemotions.load(reddit, "dev")
    scores = MiniLM(made, of_customers=False).score([spell_emoji(t) for t in dev.texts])
    cuts = thresholds(dev.labels, scores)
    write_meta(
        made,
        thresholds=[round(float(cut), 4) for cut in cuts],
    )
    write_sums(made)


def learning_curve(data: Path, work: Path, *, say: Say) -> list[dict[str, Any]]:
    """Stage 2 with fewer customer texts, scored on the development set."""
    rows = []
    for texts in (*CURVE, len(training_texts())):
        with tempfile.TemporaryDirectory() as scratch:
            side, made = Path(scratch) / "side", Path(scratch) / "made"
            side.mkdir()
            made.mkdir()
            # Stage 1 is the same for all.
            (side / "again.pt").symlink_to((work / "again.pt").resolve())
            recipe = replace(
                Recipe(),
                second=Recipe().second[:1],
                most_customer_texts=texts,
                most_comments=CURVE_COMMENTS,
            )
            make(data, side, made, recipe, say=say)
            figures = evaluate(
                development_texts(),
                read_answers(development_texts(), MiniLM(made)),
            )["family"]
        rows.append(
            {
                "texts": texts,
                "of": len(training_texts()),
                "strict": figures["accuracy_strict"]["share"],
                "acceptable": figures["accuracy_acceptable"]["share"],
            }
        )
        say(f"{texts:,} texts: {rows[-1]['strict']:.3f} strict")
    return rows
