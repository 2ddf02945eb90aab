"""Texts read per CPU-second, beside vaderSentiment and the weights shipped before.

    python benchmarks/scoring.py

Short texts have about 17 words, long ones about 90, as a support mail has. Ours goes
the whole way (cleaning, language, sentences, windows, model, pooling); VADER gives one
polarity; the weights before (../shared/models/emotion, where it is there) are read
sentence by sentence, with the cleaning of today. One JSON line out, with the size of
the artefact, the memory of the process and the seconds of a cold start in a new one.
"""

import json
import pathlib
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import onnxruntime as ort
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from segmentation.emotion import cleaning
from segmentation.emotion.analyzers import ANALYZERS
from segmentation.emotion.analyzers.products import add_up_in_full
from segmentation.emotion.language import language_of
from segmentation.emotion.reading import TextToRead, read_texts
from segmentation.emotion.sentences import split_sentences
from segmentation.emotion.weights import FILES, FOLDER
from segmentation.emotion.wordpiece import CUSTOMER_MARK, WordPiece

SEED = 20
SHORT_TEXTS, LONG_TEXTS, ROUNDS = 600, 120, 3

_OPENINGS = (
    "The {thing} arrived {when} and I {feel} it",
    "I ordered a {thing} {when} and so far I {feel} it",
    "Nobody told me that the {thing} would come {when}, I {feel} that",
    "My daughter unpacked the {thing} {when}; we {feel} the colour",
    "Your shop said the {thing} was ready {when}, which I {feel}",
)
_THINGS = ("lamp", "teapot", "winter coat", "desk", "bicycle bell", "blanket", "kettle")
_TIMES = (
    "yesterday",
    "two days late",
    "on Monday morning",
    "before the party",
    "today",
)
_FEELINGS = ("love", "hate", "don't mind", "really like", "can't stand", "wonder about")
_ENDINGS = (
    ", thank you.",
    " and nobody answers my mails!",
    ". Does it come with a guarantee?",
    ", so please send me the money back.",
    " 😍",
    ". What a pity.",
)


def sentence(chance: random.Random) -> str:
    opening = chance.choice(_OPENINGS).format(
        thing=chance.choice(_THINGS),
        when=chance.choice(_TIMES),
        feel=chance.choice(_FEELINGS),
    )
    # A number nobody else has, so that no sentence is scored once for many.
    return f"{opening}, {chance.randrange(10**6)}{chance.choice(_ENDINGS)}"


def long_text(chance: random.Random) -> str:
    return " ".join(sentence(chance) for _ in range(5))


def per_cpu_second(work: Callable[[], object], texts: int) -> float:
    """Best of some rounds: what else the machine did only ever slows a round."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return texts / min(seconds)


ROOT = pathlib.Path(__file__).resolve().parents[1]
BEFORE = ROOT.parent / "shared" / "models" / "emotion"


class Before:
    """The weights shipped first: one call a sentence, ids and mask in."""

    def __init__(self, folder: pathlib.Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        add_up_in_full(options)  # as ours
        self._session = ort.InferenceSession(folder / "model.int8.onnx", options)
        lines = (folder / "vocab.txt").read_text("utf-8").splitlines()
        vocabulary = {piece: number for number, piece in enumerate(lines)}
        vocabulary.setdefault(CUSTOMER_MARK, 0)
        self._tokenizer = WordPiece(vocabulary)

    def read(self, text: str) -> None:
        clean = cleaning.clean(text)
        language_of(clean)
        for sentence in split_sentences(clean):
            ids = np.array([self._tokenizer.encode(sentence)], np.int64)
            self._session.run(["logits"], {"ids": ids, "mask": np.ones_like(ids)})


def cold_start_seconds() -> float:
    """Wall clock from a new process to its first reading, imports included."""
    code = (
        "from segmentation.emotion.reading import TextToRead, read_texts;"
        "read_texts([TextToRead('Still nothing.')])"
    )
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> None:
    chance = random.Random(SEED)
    started = time.process_time()
    ANALYZERS["minilm"].score(["warm up"])
    load_seconds = time.process_time() - started
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = Before(BEFORE) if BEFORE.exists() else None
    vader = SentimentIntensityAnalyzer()
    line: dict[str, Any] = {
        "benchmark": "scoring",
        "analyzer": ANALYZERS["minilm"].version,
        "load_cpu_seconds": round(load_seconds, 3),
        "cold_start_seconds": round(cold_start_seconds(), 3),
        "artefact_mb": round(
            sum((FOLDER / name).stat().st_size for name in FILES) / 1e6, 2
        ),
    }
    for name, texts in (
        ("short", [sentence(chance) for _ in range(SHORT_TEXTS)]),
        ("long", [long_text(chance) for _ in range(LONG_TEXTS)]),
    ):
        items = [TextToRead(text) for text in texts]
        ours = per_cpu_second(lambda items=items: read_texts(items), len(texts))
        theirs = per_cpu_second(
            lambda texts=texts: [vader.polarity_scores(text) for text in texts],
            len(texts),
        )
        words = sum(len(text.split()) for text in texts) / len(texts)
        line[name] = {
            "words_per_text": round(words, 1),
            "texts_per_cpu_second": round(ours, 1),
            "vader_texts_per_cpu_second": round(theirs, 1),
            "ratio": round(ours / theirs, 3),
        }
        if before is not None:
            reader = before
            old = per_cpu_second(
                lambda texts=texts, reader=reader: [
                    reader.read(text) for text in texts
                ],
                len(texts),
            )
            line[name]["weights_before_per_cpu_second"] = round(old, 1)
            line[name]["ratio_to_before"] = round(ours / old, 3)
    line["peak_rss_mib"] = round(peak_kib / 1024, 1)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
