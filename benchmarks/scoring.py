"""Texts read per CPU-second, beside vaderSentiment in the same run. One JSON line out.

    python benchmarks/scoring.py

Short texts have about 17 words, long ones about 90, as a support mail has. Ours goes
the whole way (cleaning, language, sentences, model, pooling); VADER gives one polarity.
"""

import json
import pathlib
import random
import resource
import sys
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from segmentation.emotion.analyzers import ANALYZERS
from segmentation.emotion.reading import TextToRead, read_texts

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


def main() -> None:
    chance = random.Random(SEED)
    started = time.process_time()
    ANALYZERS["minilm"].score(["warm up"])
    load_seconds = time.process_time() - started
    vader = SentimentIntensityAnalyzer()
    line: dict[str, object] = {
        "benchmark": "scoring",
        "analyzer": ANALYZERS["minilm"].version,
        "load_cpu_seconds": round(load_seconds, 3),
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
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line["peak_rss_mib"] = round(peak_kib / 1024, 1)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
