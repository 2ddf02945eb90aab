"""The evaluation of the shipped weights: every figure of the model page, from data.

data: the folder of public data, as published: emotion/goemotions/{dev,test}.tsv,
emotion/uci_sentences.csv, support/… and reviews/…. Only GoEmotions' train and dev ever
meet training; of the others nothing is learned.
"""

import csv
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from customers.proportions import Z_95
from segmentation.emotion import label_figures
from segmentation.emotion.analyzers import Analyzer
from segmentation.emotion.analyzers.minilm import MiniLM
from segmentation.emotion.cleaning import spell_emoji
from segmentation.emotion.corpus import texts as corpus
from segmentation.emotion.evaluation import Answer, LabelledText, auc, evaluate, share
from segmentation.emotion.families import FAMILIES, FloatArray
from segmentation.emotion.language import language_of
from segmentation.emotion.reading import (
    DEFAULT_ANALYZER,
    Reading,
    TextToRead,
    read_texts,
)
from segmentation.emotion.training import goemotions

FAILURES_SHOWN: Final = 12
ENGLISH_WORDS: Final = 5
BODIES_EVERY: Final = 3  # reviews read once more without their titles
_NEGATIVE: Final = [FAMILIES.index(name) for name in ("anger", "anxiety", "sadness")]

# Below these no weights are put in place: the figures that were reached, less what
# another processor or an unlucky seed may cost.
GATE: Final = {
    "goemotions macro-F1": 0.49,
    "goemotions micro-F1": 0.58,
    "development strict": 0.72,
    "development acceptable": 0.81,
    "airline AUC": 0.94,
    "uci": 0.86,
}

Say = Callable[[str], None]

# Forty first names, ten of each of four groups that American birth records set apart
# (as in the Equity Evaluation Corpus: women and men, African and European American).
NAMES: Final = (
    "Ebony Jasmine Lakisha Latisha Latoya Nichelle Shaniqua Shereen Tanisha Tia "
    "Alonzo Alphonse Darnell Jamel Jerome Lamar Leroy Malik Terrence Torrance "
    "Amanda Betsy Courtney Ellen Heather Katie Kristin Melanie Nancy Stephanie "
    "Adam Alan Andrew Frank Harry Jack Josh Justin Roger Ryan"
).split()
_NAMED: Final = (
    "Hi, this is {name}. I am so angry about the broken lamp.",
    "{name} here again, still no answer to my three messages.\nThanks,\n{name}",
    "Dear {name},\nI am worried that my parcel will not come before Friday.",
    "My name is {name} and I love the new coat, thank you!",
    "{name} does not understand which of the two prices is right.",
    "I was served by {name} and felt really sad when I left.",
    "Can {name} pick the order up on Monday?",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same message in standard English and in a dialect."""

    dialect: str
    text: str
    standard: str


@dataclass(frozen=True, slots=True)
class SensitiveText:
    """sensitive: only a person may answer; urgent: at once."""

    text: str
    sensitive: bool
    urgent: bool


def read_answers(
    rows: Sequence[LabelledText], analyzer: str | Analyzer = DEFAULT_ANALYZER
) -> list[Answer]:
    """What the product reads of labelled texts."""
    return [_answer(reading) for reading in _readings(rows, analyzer)]


def goemotions_figures(analyzer: MiniLM, data: Path) -> dict[str, Any]:
    """28 labels and their groupings on GoEmotions test, tuned on dev."""
    reddit = analyzer.as_reddit()
    splits = (goemotions.load(data / "emotion/goemotions", s) for s in ("dev", "test"))
    scored = [
        (split.labels, reddit.score([spell_emoji(text) for text in split.texts]))
        for split in splits
    ]
    return label_figures.figures(scored[0], scored[1])


def uci_rows(data: Path) -> list[LabelledText]:
    """3,000 sentences of reviews, positive or negative (Kotzias et al. 2015)."""
    with (data / "emotion/uci_sentences.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        return [
            LabelledText(row["text"], valence=1.0 if row["label"] == "1" else -1.0)
            for row in csv.DictReader(file)
        ]


def airline_rows(data: Path) -> list[LabelledText]:
    """14,640 tweets to airlines, labelled negative, neutral or positive; test only."""
    values = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
    path = data / "support/twitter_us_airline_sentiment.csv.gz"
    return [
        LabelledText(row["text"], valence=values[row["airline_sentiment"]])
        for row in _zipped(path)
    ]


def review_rows(data: Path) -> list[LabelledText]:
    """Reviews of one or two stars against four or five, with their titles."""
    path = data / "reviews/interactions_musical_instruments.csv.gz"
    return [
        LabelledText(
            row["text"],
            valence=1.0 if float(row["rating"]) >= 4 else -1.0,
            title=row["subject"],
        )
        for row in _zipped(path)
        if float(row["rating"]) != 3
    ]


def names_figures(analyzer: str | Analyzer = DEFAULT_ANALYZER) -> dict[str, Any]:
    """Readings of the same texts under forty names: they must not differ at all."""
    spread = 0.0
    for template in _NAMED:
        items = [
            TextToRead(template.format(name=name), names=(name,)) for name in NAMES
        ]
        mixes = np.array(
            [_mix(reading) for reading in read_texts(items, analyzer=analyzer)]
        )
        spread = max(spread, float(np.ptp(mixes, axis=0).max()))
    return {"names": len(NAMES), "texts": len(_NAMED), "largest_difference": spread}


def dialect_figures(
    pairs: Sequence[Pair], analyzer: str | Analyzer = DEFAULT_ANALYZER
) -> dict[str, Any]:
    """How much angrier, sadder or more afraid the same message reads in a dialect."""
    spoken = read_texts([TextToRead(pair.text) for pair in pairs], analyzer=analyzer)
    standard = read_texts(
        [TextToRead(pair.standard) for pair in pairs], analyzer=analyzer
    )
    read = [
        (pair, a, b)
        for pair, a, b in zip(pairs, spoken, standard, strict=True)
        if a.families is not None and b.families is not None
    ]
    rises = np.array([_negative(a) - _negative(b) for _, a, b in read])
    by_dialect: dict[str, list[float]] = {}
    for (pair, _, _), rise in zip(read, rises, strict=True):
        by_dialect.setdefault(pair.dialect, []).append(float(rise))
    return {
        "pairs": len(pairs),
        "not_read": sum(reading.families is None for reading in spoken),
        "mean_rise": float(rises.mean()),
        "interval": _mean_interval(rises),
        "largest_rise": float(rises.max()),
        "by_dialect": {
            name: {"pairs": len(found), "mean_rise": float(np.mean(found))}
            for name, found in sorted(by_dialect.items())
        },
    }


def language_figures(
    foreign: Sequence[tuple[str, str]], english: Sequence[str]
) -> dict[str, Any]:
    """foreign: (language code, text). english: texts that must be read."""
    codes = sorted({code for code, _ in foreign})
    kept = {
        code: [not language_of(text).validated for one, text in foreign if one == code]
        for code in codes
    }
    every = [flag for flags in kept.values() for flag in flags]
    long = [text for text in english if len(text.split()) >= ENGLISH_WORDS]
    wrong = sum(not language_of(text).validated for text in long)
    return {
        "abstains": share(sum(every), len(every)),
        "by_language": {code: share(sum(f), len(f)) for code, f in kept.items()},
        "english_not_read": share(wrong, len(long)),
    }


def sensitive_figures(
    rows: Sequence[SensitiveText],
    traffic: Mapping[str, Sequence[Reading]],
    analyzer: str | Analyzer = DEFAULT_ANALYZER,
) -> dict[str, Any]:
    """How many of the texts for a person are noticed, and how many others are taken
    for such. traffic: name → readings of daily texts."""
    items = [TextToRead(row.text) for row in rows]
    found = [reading.sensitive for reading in read_texts(items, analyzer=analyzer)]
    pairs = list(zip(rows, found, strict=True))
    calm = [one for row, one in pairs if row.sensitive and not row.urgent]
    urgent = [one for row, one in pairs if row.urgent]
    alike = [one for row, one in pairs if not row.sensitive]
    return {
        "noticed": share(sum(one is not None for one in calm), len(calm)),
        "urgent_noticed": share(sum(one is not None for one in urgent), len(urgent)),
        "urgent_as_urgent": share(
            sum(one is not None and one.urgent for one in urgent), len(urgent)
        ),
        "look_alikes_taken": share(sum(one is not None for one in alike), len(alike)),
        "traffic_taken": {
            name: share(
                sum(reading.sensitive is not None for reading in readings),
                len(readings),
            )
            for name, readings in traffic.items()
        },
    }


def sensitive_texts(name: str = "sensitive") -> list[SensitiveText]:
    """Our own texts for a person, and others that sound alike; never trained on.

    name: "sensitive", unseen when all was chosen, or "sensitive_development".
    """
    path = corpus.FOLDER / f"{name}.jsonl"
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [SensitiveText(row["text"], row["sensitive"], row["urgent"]) for row in rows]


def judging_texts() -> list[str]:
    """Every text that no training text may come close to."""
    return [
        *(row.text for row in corpus.development_texts()),
        *(row.text for row in corpus.held_out_texts()),
        *(row.text for row in sensitive_texts()),
        *(row.text for row in sensitive_texts("sensitive_development")),
    ]


def dialect_pairs() -> list[Pair]:
    """Our own pairs, hand-written."""
    path = corpus.FOLDER / "dialect_pairs.jsonl"
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [Pair(row["dialect"], row["text"], row["standard"]) for row in rows]


def foreign_texts() -> list[tuple[str, str]]:
    """Our own texts in languages that must not be read."""
    path = corpus.FOLDER / "other_languages.jsonl"
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [(row["language"], row["text"]) for row in rows]


def full_evaluation(analyzer: MiniLM, data: Path, *, say: Say) -> dict[str, Any]:
    """Everything, about two minutes."""
    say("GoEmotions, dev and test")
    goemotions = goemotions_figures(analyzer, data)
    say("development and held-out texts")
    development = corpus.development_texts()
    answers = read_answers(development, analyzer)
    held_out = corpus.held_out_texts()
    found: dict[str, Any] = {
        "analyzer": analyzer.version,
        "goemotions": goemotions,
        "development": evaluate(development, answers),
        "held_out": evaluate(held_out, read_answers(held_out, analyzer)),
        "failures": failures(development, answers),
    }
    traffic: dict[str, list[Reading]] = {}
    for name, rows in (
        ("uci", uci_rows(data)),
        ("airline", airline_rows(data)),
        ("reviews", review_rows(data)),
    ):
        say(f"{name}: {len(rows):,} texts")
        traffic[name] = _readings(rows, analyzer)
        found[name] = evaluate(rows, list(map(_answer, traffic[name])))
    bodies = [
        LabelledText(row.text, valence=row.valence)
        for row in review_rows(data)[::BODIES_EVERY]
    ]
    found["reviews"]["auc_body_alone"] = _auc(bodies, read_answers(bodies, analyzer))
    say("names, dialects, languages")
    found["names"] = names_figures(analyzer)
    found["dialects"] = dialect_figures(dialect_pairs(), analyzer)
    english = [row.text for row in (*uci_rows(data), *airline_rows(data))]
    say("sensitive matters")
    found["sensitive"] = sensitive_figures(sensitive_texts(), traffic, analyzer)
    found["sensitive_development"] = sensitive_figures(
        sensitive_texts("sensitive_development"), {}, analyzer
    )
    found["languages"] = language_figures(foreign_texts(), english)
    return found


def below_the_gate(found: Mapping[str, Any]) -> list[str]:
    """What keeps weights from being put in place, each with what it needed."""
    family = found["development"]["family"]
    reached = {
        "goemotions macro-F1": found["goemotions"]["macro_f1"],
        "goemotions micro-F1": found["goemotions"]["micro_f1"],
        "development strict": family["accuracy_strict"]["share"],
        "development acceptable": family["accuracy_acceptable"]["share"],
        "airline AUC": found["airline"]["valence"]["auc"]["value"],
        "uci": found["uci"]["valence"]["accuracy_two_way"]["share"],
    }
    return [
        f"{name} {reached[name]:.3f}, needs {least:.3f}"
        for name, least in GATE.items()
        if reached[name] < least
    ]


def failures(
    rows: Sequence[LabelledText], answers: Sequence[Answer]
) -> list[dict[str, Any]]:
    """The surest mistakes, one a kind and then on, so that the page shows them all."""
    wrong = [
        (row, answer)
        for row, answer in zip(rows, answers, strict=True)
        if answer.family and answer.family not in {row.family, *row.acceptable}
    ]
    wrong.sort(key=lambda pair: -pair[1].confidence)
    first: dict[str, tuple[LabelledText, Answer]] = {}
    for row, answer in wrong:
        first.setdefault(row.kind, (row, answer))
    chosen = [*first.values(), *(pair for pair in wrong if pair not in first.values())]
    return [
        {
            "text": row.text,
            "kind": row.kind,
            "family": row.family,
            "read_as": answer.family,
            "confidence": round(answer.confidence, 2),
        }
        for row, answer in chosen[:FAILURES_SHOWN]
    ]


def _zipped(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _readings(rows: Sequence[LabelledText], analyzer: str | Analyzer) -> list[Reading]:
    items = [TextToRead(row.text, row.title, row.rating) for row in rows]
    return read_texts(items, analyzer=analyzer)


def _answer(reading: Reading) -> Answer:
    return Answer(reading.families, reading.valence, reading.not_read)


def _mix(reading: Reading) -> FloatArray:
    return np.zeros(len(FAMILIES)) if reading.families is None else reading.families


def _negative(reading: Reading) -> float:
    return float(_mix(reading)[_NEGATIVE].sum())


def _auc(rows: Sequence[LabelledText], answers: Sequence[Answer]) -> float:
    values = np.array([answer.valence for answer in answers])
    return auc(values, np.array([(row.valence or 0) > 0 for row in rows]))


def _mean_interval(values: FloatArray) -> list[float]:
    half = Z_95 * float(values.std(ddof=1)) / len(values) ** 0.5
    return [float(values.mean()) - half, float(values.mean()) + half]
