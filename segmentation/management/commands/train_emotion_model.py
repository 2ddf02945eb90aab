"""Train the classifier anew or further, or measure the weights that are there."""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from segmentation.emotion import model_report, proof
from segmentation.emotion.analyzers.minilm import MiniLM
from segmentation.emotion.corpus.texts import training_texts
from segmentation.emotion.weights import FOLDER, shipped_digests, write_sums

PAGE = Path("docs") / "emotion_model.md"


class Command(BaseCommand):
    help = (
        "Train the emotion classifier from GoEmotions and the project's own customer "
        "texts and, if it passes its gate, put weights, vocabulary, thresholds, card "
        "and evaluation in place. Needs the extra `train`. DIR has emotion/goemotions, "
        "emotion/uci_sentences.csv, support/ and reviews/ as published."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, required=True, metavar="DIR")
        parser.add_argument(
            "--work",
            type=Path,
            default=Path("var") / "training",
            help="checkpoints; a stage that is there is not trained again",
        )
        parser.add_argument("--out", type=Path, default=FOLDER)
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--evaluate-only",
            action="store_true",
            help="measure the weights in place and write eval.json and the page anew",
        )
        instead.add_argument(
            "--refine",
            action="store_true",
            help="go on from the shipped weights, when texts have been added",
        )
        parser.add_argument(
            "--comments-alone",
            action="store_true",
            help="with --refine, when no text has been added: the weights learn from "
            "comments alone, and their mean with those in place is taken",
        )
        parser.add_argument(
            "--learning-curve",
            action="store_true",
            help="also train the small network with 500, 1,000, 2,500 and 5,000 texts",
        )

    def handle(self, **options: Any) -> None:
        data, out = options["data"], options["out"]
        if not (data / "emotion" / "goemotions" / "test.tsv").exists():
            raise CommandError(
                f"{data} needs emotion/goemotions/{{train,dev,test}}.tsv; "
                "it has no test.tsv there."
            )
        if options["comments_alone"] and not options["refine"]:
            raise CommandError("--comments-alone needs --refine, which is not there.")
        if options["evaluate_only"]:
            self._evaluate(out, data)
        else:
            self._train(data, options)

    def _train(self, data: Path, options: dict[str, Any]) -> None:
        work, out = options["work"], options["out"]
        try:
            from segmentation.emotion.training import curve as learning
            from segmentation.emotion.training import recipe
            from segmentation.emotion.training.choices import Recipe
        except ImportError as error:
            raise CommandError(
                f"Training needs the extra `train` (pip install attune[train]): {error}"
            ) from error
        work.mkdir(parents=True, exist_ok=True)
        try:
            recipe.check_corpus(training_texts())
            with tempfile.TemporaryDirectory() as scratch:
                made = Path(scratch)
                make = recipe.make_refined if options["refine"] else recipe.make
                chosen = Recipe(refines_all=not options["comments_alone"])
                make(data, work, made, chosen, say=self._say)
                found = self._measured(made, data)
                if options["learning_curve"]:
                    found["learning_curve"] = learning.learning_curve(
                        data, say=self._say
                    )
                if missed := proof.below_the_gate(found):
                    raise CommandError(
                        "Nothing was written, the weights stay below the gate: "
                        f"{'; '.join(missed)}."
                    )
                found |= self._kept(out, "before")
                recipe.replace_folder(made, out)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._write(found, out)

    def _evaluate(self, out: Path, data: Path) -> None:
        write_sums(out)
        found = self._measured(out, data)
        found |= self._kept(out, "before", "learning_curve")
        self._write(found, out)

    def _kept(self, out: Path, *names: str) -> dict[str, Any]:
        """What an evaluation does not measure anew."""
        path = out / "eval.json"
        before = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return {name: before[name] for name in names if name in before}

    def _measured(self, folder: Path, data: Path) -> dict[str, Any]:
        found = proof.full_evaluation(MiniLM(folder), data, say=self._say)
        meta = json.loads((folder / "meta.json").read_text())
        found["about"] = {
            "base": meta["base"],
            "made": meta["made"],
            "evaluated": datetime.now(UTC).date().isoformat(),
            "customer_texts": meta["customer_texts"],
            "goes_on_from": meta.get("goes_on_from", ""),
            "refined_all": meta.get("refined_all", True),
            "lexical_share": meta["lexical_share"],
            "files": {
                name: [(folder / name).stat().st_size, digest]
                for name, digest in shipped_digests(folder).items()
            },
        }
        return found

    def _write(self, found: dict[str, Any], out: Path) -> None:
        (out / "eval.json").write_text(
            json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        page = model_report.markdown(found)
        (out / "card.md").write_text(page, encoding="utf-8")
        if out == FOLDER:
            (Path(settings.BASE_DIR) / PAGE).write_text(page, encoding="utf-8")
        for name, value, interval in model_report.headline(found):
            self.stdout.write(f"{name}: {value} {interval}".rstrip())
        for row in found.get("learning_curve", []):
            self.stdout.write(
                f"{row['texts']:,} customer texts: {row['strict']:.3f} right"
            )

    def _say(self, what: str) -> None:
        self.stderr.write(what)
