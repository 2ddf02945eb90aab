"""The evaluation as a page of prose: eval.json → docs/emotion_model.md."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from segmentation.emotion.families import FAMILIES

LANGUAGES: Final = {
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "pl": "Polish",
    "pt": "Portuguese",
    "it": "Italian",
    "nl": "Dutch",
}
COMMAND: Final = "python manage.py train_emotion_model --data DIR --evaluate-only"


def markdown(found: Mapping[str, Any]) -> str:
    """The whole page. found: what proof.full_evaluation gave, with `about` added."""
    return "\n".join(
        [
            *_head(found),
            *_figures(found),
            *_customers(found),
            *_calibration(found["development"]["family"]),
            *_confusion(found["development"]["family"]),
            *_curve(found.get("learning_curve", [])),
            *_failures(found["failures"]),
            *_audit(found),
            *_limits(found),
        ]
    )


def headline(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The figures that matter most: name, value, interval."""
    go, dev, out = (
        found["goemotions"],
        found["development"]["family"],
        found["held_out"]["family"],
    )
    return [
        (
            "Customer texts, held out: family right",
            _share(out["accuracy_strict"]),
            _interval(out["accuracy_strict"]["interval"]),
        ),
        (
            "the same, or one a careful reader accepts",
            _share(out["accuracy_acceptable"]),
            _interval(out["accuracy_acceptable"]["interval"]),
        ),
        (
            "Customer texts, development set: family right",
            _share(dev["accuracy_strict"]),
            _interval(dev["accuracy_strict"]["interval"]),
        ),
        (
            "the same, or one a careful reader accepts",
            _share(dev["accuracy_acceptable"]),
            _interval(dev["accuracy_acceptable"]["interval"]),
        ),
        (
            "GoEmotions test, 28 labels: macro-F1",
            _three(go["macro_f1"]),
            _interval(go["macro_f1_interval"]),
        ),
        ("GoEmotions test, 28 labels: micro-F1", _three(go["micro_f1"]), ""),
        (
            "GoEmotions test, Ekman's seven: macro-F1",
            _three(go["ekman"]["macro_f1"]),
            "",
        ),
        (
            "GoEmotions test, sentiment: macro-F1",
            _three(go["sentiment"]["macro_f1"]),
            "",
        ),
        (
            "GoEmotions test, nine families: macro-F1",
            _three(go["nine"]["macro_f1"]),
            "",
        ),
        ("GoEmotions test: calibration error", _three(go["ece"]), ""),
        (
            "UCI review sentences: positive or negative right",
            _share(found["uci"]["valence"]["accuracy_two_way"]),
            _interval(found["uci"]["valence"]["accuracy_two_way"]["interval"]),
        ),
        (
            "Airline tweets: AUC of positive against negative",
            _three(found["airline"]["valence"]["auc"]["value"]),
            _interval(found["airline"]["valence"]["auc"]["interval"]),
        ),
        (
            "Airline tweets: negative, neutral or positive right",
            _share(found["airline"]["valence"]["accuracy"]),
            _interval(found["airline"]["valence"]["accuracy"]["interval"]),
        ),
        (
            "Reviews without title: AUC of 1-2 against 4-5 stars",
            _three(found["reviews"]["auc_body_alone"]),
            "",
        ),
        (
            "Reviews with title: AUC of 1-2 against 4-5 stars",
            _three(found["reviews"]["valence"]["auc"]["value"]),
            _interval(found["reviews"]["valence"]["auc"]["interval"]),
        ),
    ]


def _head(found: Mapping[str, Any]) -> list[str]:
    about = found["about"]
    return [
        "# The emotion classifier",
        "",
        f"Made by `{COMMAND}` on {about['evaluated']} from the weights "
        f"`{found['analyzer']}`, trained on {about['made']}. Not written by hand; the "
        "admin shows the same under Texts, Model.",
        "",
        f"It reads one message in English, gives 28 labels and, of them, the shares of "
        f"nine families. Base: {about['base']} (Apache-2.0), fine-tuned on GoEmotions "
        f"(43,410 texts, Demszky et al. 2020, CC BY 4.0) and on "
        f"{about['customer_texts']:,} customer texts of our own, each labelled by two "
        f"readers (`segmentation/emotion/corpus`). {_of_teachers(about)}"
        f"{_of_head(about)}"
        "Constants of valence and arousal: "
        "Glasgow Norms (Scott et al. 2019, CC BY). Trained on nothing else: other public "
        "emotion sets are non-commercial, share-alike or for research only.",
        "",
        "| file | bytes | SHA-256 |",
        "| --- | ---: | --- |",
        *(
            f"| `{name}` | {size:,} | `{digest}` |"
            for name, (size, digest) in about["files"].items()
        ),
        "",
    ]


def _of_teachers(about: Mapping[str, Any]) -> str:
    large = "a network eight times its size (all-mpnet-base-v2, Apache-2.0)"
    if before := about.get("goes_on_from"):
        whole = about.get("refined_all", True)
        how = "--refine" if whole else "--refine --comments-alone"
        mean = (
            "two such fits, of all texts and of comments alone"
            if whole
            else "those weights, which have learned all texts, and a fit of comments alone"
        )
        return (
            f"Refined (`{how}`): fitted further from the weights `{before}`. People "
            "taught, and those weights with a wider head over all their layers; of "
            f"comments also {large}, which says more of the four sentiments than a small "
            f"network can find by itself. What is shipped is the mean of {mean}. "
        )
    return f"It was taught by people and by {large}, trained on the same texts. "


def _of_head(about: Mapping[str, Any]) -> str:
    return (
        f"{about['lexical_share']:.0%} of each label's logit come from a lexical head beside the "
        "encoder: logistic regressions over word pieces and pairs of them, fitted on the "
        "same texts (`lexical.npz`; for the figures on comments one fitted on comments "
        "alone, `comments.npz`, which reads no customer's text). "
    )


def _figures(found: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Figures",
        "",
        "With 95 % intervals (Wilson for shares, bootstrap for the rest). A text that was "
        "not read counts as wrong.",
        "",
        "| what | figure | 95 % |",
        "| --- | ---: | --- |",
    ]
    lines += [
        f"| {name} | {value} | {interval} |"
        for name, value, interval in headline(found)
    ]
    return [*lines, ""]


def _customers(found: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Customers' words, kind by kind",
        "",
        "The development set chose between models, so its figures are a little kind; the "
        "held-out set was scored when all choices were made. Both were written by other "
        "hands than the training texts, about other trades.",
        "",
        *_before(found.get("before")),
        "| kind | development: texts | right | acceptable | held out: texts | right | "
        "acceptable |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    dev, out = (
        found[name]["family"]["by_kind"] for name in ("development", "held_out")
    )
    for kind in sorted({*dev, *out}):
        cells = [kind]
        for part in (dev, out):
            row = part.get(kind)
            cells += (
                [
                    str(row["texts"]),
                    _percent(row["strict"]),
                    _percent(row["acceptable"]),
                ]
                if row
                else ["0", "–", "–"]
            )
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "What is gained by calling doubtful texts unknown (held out):", ""]
    lines += ["| share of the top family from | texts left | right | acceptable |"]
    lines += ["| ---: | ---: | ---: | ---: |"]
    for row in found["held_out"]["family"]["coverage"]:
        lines.append(
            f"| {row['confidence_from']:.1f} | {_percent(row['coverage'])} | "
            f"{_percent(row['strict'])} | {_percent(row['acceptable'])} |"
        )
    return [*lines, ""]


def _before(before: Mapping[str, Any] | None) -> list[str]:
    if not before:
        return []
    parts = [
        f"{_percent(before[name]['strict'])} ({_percent(before[name]['acceptable'])}) of the "
        f"{words} set"
        for name, words in (("development", "development"), ("held_out", "held-out"))
    ]
    return [
        f"The weights shipped before (`{before['analyzer']}`), with the reading of then, had "
        f"the right family in {' and '.join(parts)}; acceptable ones in brackets.",
        "",
    ]


def _calibration(family: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Calibration on the development set",
        "",
        f"Expected error of the top family's share: {family['calibration']['ece']:.3f}.",
        "",
        "| share said | right | texts | |",
        "| ---: | ---: | ---: | --- |",
    ]
    for row in family["calibration"]["bins"]:
        lines.append(
            f"| {_percent(row['confidence'])} | {_percent(row['accuracy'])} | "
            f"{row['texts']} | {_bar(row['accuracy'])} |"
        )
    return [*lines, ""]


def _confusion(family: Mapping[str, Any]) -> list[str]:
    columns = [*FAMILIES, "not read"]
    lines = [
        "## What is taken for what",
        "",
        "Development set; rows: what it was, columns: what was read.",
        "",
        "| | " + " | ".join(columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for name in FAMILIES:
        row = family["confusion"].get(name, {})
        cells = [str(row.get(column, "")) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _curve(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    if not curve:
        return []
    lines = [
        "## Would more texts help?",
        "",
        "Fitted again, without a large teacher: 6,000 comments of GoEmotions, then, each "
        "time from there and for as many steps, fewer customer texts or more, drawn at "
        f"random from the {curve[0]['of']:,} there were at the time; development set.",
        "",
        "| customer texts | right | acceptable |",
        "| ---: | ---: | ---: |",
    ]
    for row in curve:
        lines.append(
            f"| {row['texts']:,} | {_percent(row['strict'])} | "
            f"{_percent(row.get('acceptable'))} |"
        )
    return [*lines, ""]


def _failures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["## Where it fails", "", "Its surest mistakes on the development set.", ""]
    for row in rows:
        lines.append(
            f"- “{row['text']}” ({row['kind']}): {row['family']}, read as "
            f"{row['read_as']} with {row['confidence']:.2f}."
        )
    return [*lines, ""]


def _audit(found: Mapping[str, Any]) -> list[str]:
    names, dialects, languages = (
        found["names"],
        found["dialects"],
        found["languages"],
    )
    lines = [
        "## Who is read worse",
        "",
        f"Names: {names['texts']} texts under {names['names']} names differ by "
        f"{names['largest_difference']:.3f} at most (names are masked before reading).",
        "",
        f"Dialects: the same message in a dialect reads {dialects['mean_rise']:+.3f} more "
        f"negative on average ({_interval(dialects['interval'], signed=True)}), at worst "
        f"{dialects['largest_rise']:+.2f}, over {dialects['pairs']} pairs.",
        "",
        "| dialect | pairs | mean rise of negative share |",
        "| --- | ---: | ---: |",
    ]
    for name, row in dialects["by_dialect"].items():
        lines.append(f"| {name} | {row['pairs']} | {row['mean_rise']:+.3f} |")
    lines += [
        "",
        "## Languages",
        "",
        "Only English is read. Other languages are named and left to a person: "
        f"{_share(languages['abstains'])} of "
        f"{languages['abstains']['of']:,} texts; of English texts of five words and "
        f"more, {languages['english_not_read']['share']:.2%} of "
        f"{languages['english_not_read']['of']:,} are left out wrongly.",
        "",
        "| language | texts | left out |",
        "| --- | ---: | ---: |",
    ]
    for code, row in languages["by_language"].items():
        name = LANGUAGES.get(code, code)
        lines.append(f"| {name} | {row['of']} | {_share(row)} |")
    lines += [
        "",
        "## Messages for a person",
        "",
        "A loss, an illness, a life in trouble: hand-written texts that were never trained "
        "on, and daily traffic.",
        "",
        *_sensitive(found["sensitive"]),
        "",
        "On the set that chose how sure a flag must be:",
        "",
        *_sensitive(found["sensitive_development"]),
    ]
    return [*lines, ""]


def sensitive_lines(figures: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Name, share and number of texts of each figure."""
    rows = [
        ("noticed", figures["noticed"]),
        ("in danger of life: noticed", figures["urgent_noticed"]),
        ("in danger of life: noticed as urgent", figures["urgent_as_urgent"]),
        ("others that sound alike: taken for such", figures["look_alikes_taken"]),
    ]
    rows += [
        (f"{name}: taken for such", row)
        for name, row in figures["traffic_taken"].items()
    ]
    return [(name, _two(row["share"]), row["of"]) for name, row in rows]


def _sensitive(figures: Mapping[str, Any]) -> list[str]:
    lines = ["| what | share | texts |", "| --- | ---: | ---: |"]
    for name, value, texts in sensitive_lines(figures):
        lines.append(f"| {name} | {value} | {texts:,} |")
    return lines


def _two(value: float) -> str:
    return f"{100 * value:.2f} %"


def _limits(found: Mapping[str, Any]) -> list[str]:
    kinds = found["held_out"]["family"]["by_kind"]
    weakest = sorted(kinds, key=lambda kind: kinds[kind]["strict"])[:3]
    return [
        "## Limits",
        "",
        "- One text says little about a person. Profiles shrink, and “unknown” and "
        "“mixed” are answers.",
        f"- Weakest kinds on held-out texts: {', '.join(weakest)}.",
        "- Our own texts, and the sets that choose and prove, are written in the way of "
        "customers, not by customers of any one shop: measure on your own with "
        "`evaluate_emotion_model`.",
        "- Sarcasm that needs knowledge of the shop is not seen; stars that disagree with "
        "the words make a text count a third and show it to a person.",
        "- Processors with and without 8-bit dot products may differ in the second "
        "decimal of a share.",
        "",
    ]


def _share(row: Mapping[str, Any]) -> str:
    return _percent(row["share"])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _three(value: float) -> str:
    return f"{value:.3f}"


def _interval(interval: Sequence[float], *, signed: bool = False) -> str:
    low, high = interval
    return f"{low:+.3f} to {high:+.3f}" if signed else f"{low:.3f} to {high:.3f}"


def _bar(value: float) -> str:
    return "█" * round(20 * value)
