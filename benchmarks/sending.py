"""Mails a second, with all bookkeeping, beside those who send without it.

Over SMTP against Django's send_messages, through a provider that takes many in one call
against Anymail one by one. Same sinks, same mails of about 30 KB, same run, rounds in
turn, each sender in a process of its own. Ours claims, re-checks, writes intents and
outcomes; the others write nothing down and get their mails rendered for free.

    python benchmarks/sending.py [--mails 2000] [--few 300] [--rounds 3] [--peers]

--few: mails of those who send one by one. --peers: other Django packages, too, as they
are, in a virtual environment that is made for it and gone afterwards (senders/peers.py
names their versions); who can't be had or does not run is named with the reason.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Final

from measure import say
from senders import peers, shop
from senders.sinks import sinks

SHOP: Final = "from senders.shop import main; main()"
# name: what is run, by which provider, and whether it sends one by one.
SENDERS: Final = {
    "django": ("django", "smtp", True),
    "attune_smtp": ("attune", "smtp", False),
    "anymail_mailgun": ("anymail", "mailgun", True),
    "attune_mailgun": ("attune", "mailgun", False),
    "anymail_postmark": ("anymail", "postmark", True),
    "attune_postmark": ("attune", "postmark", False),
}
# ours: what it is held against, and how many times as many a CPU-second are wanted.
GOALS: Final = {
    "attune_smtp": ("django", 5),
    "attune_mailgun": ("anymail_mailgun", 10),
    "attune_postmark": ("anymail_postmark", 10),
}

Figures = dict[str, float]


class Failed(Exception):
    """A process ended in an error; this is what it said."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--few", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SENDERS, default=list(SENDERS))
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sinks(Path(folder)) as ports:
        if ports is None:
            say("sending", skipped="smtp-sink could not be had")
            return
        found = _Race(Path(folder), ports, options).run()
    say("sending", mails=options.mails, few=options.few, rounds=options.rounds, **found)


class _Race:
    def __init__(
        self, folder: Path, ports: dict[str, int], options: argparse.Namespace
    ) -> None:
        self._folder, self._ports, self._options = folder, ports, options
        self._counts = {
            name: options.few if SENDERS[name][2] else options.mails
            for name in options.only
        }
        self._runs: dict[str, list[Figures]] = {}

    def run(self) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for name in self._counts:
            base = self._base(name)
            if not base.exists():
                base.mkdir()
                built = self._shop("build", name, base)
        failed = dict[str, str]()
        python = None
        if self._options.peers:
            python, failed = peers.environment(self._folder / "peers")
            (self._folder / "mail.json").write_text(json.dumps(built))
        for _ in range(self._options.rounds):
            for name in self._counts:
                self._one(name)
            for name in peers.PEERS if python else ():
                if name not in failed:
                    self._peer(name, str(python), failed)
        taken = {name: _medians(some) for name, some in self._runs.items()}
        return {
            "mail_bytes": built["mail_bytes"],
            "senders": taken,
            "ratios": _ratios(taken),
            "goals": {
                ours: f"{times} times {other} per CPU-second"
                for ours, (other, times) in GOALS.items()
            },
            **({"did_not_run": failed} if self._options.peers else {}),
        }

    def _base(self, name: str) -> Path:
        # How many are claimed together goes by the provider.
        kind = "smtp" if SENDERS[name][1] == "smtp" else "many"
        return self._folder / f"{kind}{self._counts[name]}"

    def _one(self, name: str) -> None:
        work = self._folder / "work"
        shutil.copytree(self._base(name), work)
        self._runs.setdefault(name, []).append(self._shop(SENDERS[name][0], name, work))
        shutil.rmtree(work)

    def _shop(self, work: str, name: str, folder: Path) -> Any:
        known = shop.environment(SENDERS[name][1], folder, self._ports)
        return child([sys.executable, "-c", SHOP, work, str(self._counts[name])], known)

    def _peer(self, name: str, python: str, failed: dict[str, str]) -> None:
        work = self._folder / "work"
        work.mkdir()
        command = [
            *(python, peers.__file__, name, str(self._options.few)),
            *(str(self._ports["smtp"]), str(self._folder / "mail.json"), str(work)),
        ]
        try:
            self._runs.setdefault(name, []).append(child(command, {}))
        except Failed as problem:
            failed[name] = str(problem).rpartition("\n")[2][:300]
            del self._runs[name]
        shutil.rmtree(work)


def child(command: list[str], known: dict[str, str]) -> Any:
    """What a process says in its last line; known: of a shop, beside the machine's."""
    env = {key: value for key, value in os.environ.items() if "ATTUNE" not in key}
    answer = subprocess.run(
        command,
        cwd=Path(__file__).parent,
        env={**env, **known},
        capture_output=True,
        text=True,
    )
    if answer.returncode:
        raise Failed(answer.stderr.strip()[-2000:] or answer.stdout.strip()[-2000:])
    return json.loads(answer.stdout.strip().rpartition("\n")[2])


def _medians(runs: list[Figures]) -> Figures:
    return {key: round(median(run[key] for run in runs), 1) for key in runs[0]}


def _ratios(taken: dict[str, Figures]) -> dict[str, Any]:
    """Ours to what it is held against, everybody's SMTP to Django's."""
    against = {ours: other for ours, (other, _) in GOALS.items()}
    against |= {name: "django" for name in taken if name in peers.PEERS}
    return {
        f"{name}_to_{other}": {
            unit: round(taken[name][unit] / taken[other][unit], 2)
            for unit in ("per_s", "per_cpu_s")
        }
        for name, other in against.items()
        if name in taken and other in taken
    }


if __name__ == "__main__":
    main()
