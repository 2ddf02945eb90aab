"""Broken layouts by the hundred thousand: does the compiler ever take a process along?

    python tests/campaigns/content/mutations.py --inputs 500000 --seed 1 --processes 2

Every input is made of its seed and number alone, so that one that kills can be made
again: --first N --inputs 1. Workers are processes with a limit on memory and an alarm
for each input; one that dies is counted, its input kept, and the rest goes on in the
next. Prints one line of JSON; ends with 1 where a process died or a panic came through.
"""

import argparse
import json
import mmap
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from campaigns.content.mjml import compile_layout  # noqa: E402
from campaigns.content.mjml_tags import (  # noqa: E402
    HTML_TAGS,
    MJML_TAGS,
    REFUSED,
    VALUES_ALLOWED,
    Kind,
)
from campaigns.content.mjml_tree import STAND_IN  # noqa: E402
from campaigns.content.problems import TemplateError  # noqa: E402

# Of CPU, so that a busy machine kills nobody.
SECONDS_PER_INPUT = 5
MEMORY_BYTES = 1 << 30
# Threads of servers written in Rust have 2 MB; recursion ends here sooner.
STACK_BYTES = 1 << 20
DEATHS_MAX = 50
LONGEST_CHARACTERS = 120_000

_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_ATTRIBUTE = re.compile(r'\s[A-Za-z-]+="[^"]*"')
_ALL_TAGS = (*MJML_TAGS, *HTML_TAGS, *REFUSED)
_VALUES = (
    *("", "0", "-1px", "9999px", "0.001%", "100%", "1e99px", "NaN", "100%%", "px", "%"),
    *("1px 2px 3px 4px 5px", "é16px", "\u0661\u0662px", "{{ a }}", "🌱", "url(x)"),
    *("#", "#ab", "#12345678", "1px solid", "none", "auto", "x" * 5_000, "&#0;", "&"),
    *("https://x.example/é?{{ a }}", "javascript:x", "cid:x", "\\", "a\u2028b", "0/0"),
)
_PIECES = (
    *("<", ">", "</", "/>", "'", '"', "=", "&", "&#0;", "&#xD800;", "&amp", "é", "ß<"),
    *("{{", "}}", "{% if a %}", "{% endif %}", "{{ a }}", "{%", "{{ '}}' }}", "🌱<"),
    *("<!--", "-->", "<!-->", "<![CDATA[", "]]>", "<?xml?>"),
    *("\x00", "\x0b", "\ud800", "\ufeff", "\u2028", "\u202e", "e\u0301"),
    *(f"{STAND_IN}0z", "<!DOCTYPE x>", "\ue000"),
    *("<p>", "<br>", "<b/>", "<mj-text>", "</mj-section>", "<mj-raw>", "<mj-style>"),
    *("<mj-include path='x'/>", "<mj-all/>", "<mj-class name='a'/>", "\t", "\r\n"),
)  # fmt: skip
_WORDS = (
    *("a", "é", "שלום", "🌱", "e\u0301", "&lt;", "&amp;amp;", "{{ a }}", "\ufeff", " "),
    *("{% if a %}x{% endif %}", "\n", "&nbsp;", "]]>", "--", "\u2028", "x" * 999),
)


def sources(shared: Path) -> list[str]:
    """The shop's layouts, and what another compiler's authors test theirs with."""
    designs = sorted((ROOT / "templates" / "emails").glob("*/layout.mjml"))
    found = [path.read_text(encoding="utf-8") for path in designs]
    with zipfile.ZipFile(shared / "mjml" / "mrml_compare.zip") as archive:
        found += [
            archive.read(name).decode()
            for name in sorted(archive.namelist())
            if name.endswith(".mjml")
        ]
    return found


class Mutator:
    """Input number n of a seed, whatever was made before it."""

    def __init__(self, seed: int, texts: list[str]) -> None:
        self.seed, self.texts = seed, texts
        self._ways: list[Callable[[str], str]] = [
            self._flip, self._insert, self._cut, self._repeat, self._swap_tags,
            self._rename, self._nest, self._attribute, self._value, self._splice,
            self._truncate, self._move,
        ]  # fmt: skip

    def make(self, number: int) -> str:
        self.chance = random.Random(f"{self.seed} {number}")
        # Four in ten are grown of what the checks let through: they reach the compiler.
        if self.chance.random() < 0.4:
            text = Grower(self.chance).layout()
            rounds = self.chance.choice((0, 0, 0, 1))
        else:
            text = self.chance.choice(self.texts)
            rounds = self.chance.choice((1, 1, 1, 2, 3, 8))
        for _ in range(rounds):
            text = self.chance.choice(self._ways)(text)[:LONGEST_CHARACTERS] or "<"
        return text

    def _place(self, text: str) -> int:
        return self.chance.randrange(len(text) + 1)

    def _some(self, pattern: re.Pattern[str], text: str) -> tuple[int, int]:
        found = [match.span() for match in pattern.finditer(text)]
        return self.chance.choice(found) if found else (self._place(text),) * 2

    def _flip(self, text: str) -> str:
        """Bits of its bytes, read again as text, broken characters and all."""
        data = bytearray(text.encode(errors="surrogatepass"))
        for _ in range(self.chance.choice((1, 2, 5))):
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        errors = self.chance.choice(("replace", "surrogateescape", "ignore"))
        return data.decode(errors=errors) or "<"

    def _insert(self, text: str) -> str:
        at = self._place(text)
        return text[:at] + self.chance.choice(_PIECES) + text[at:]

    def _cut(self, text: str) -> str:
        at = self._place(text)
        return text[:at] + text[at + self.chance.choice((1, 3, 20, 200)) :]

    def _repeat(self, text: str) -> str:
        at, times = self._place(text), self.chance.choice((2, 2, 10, 300))
        part = text[at : at + self.chance.choice((1, 20, 200))]
        return text[:at] + part * times + text[at:]

    def _swap_tags(self, text: str) -> str:
        (a, b), (c, d) = sorted(self._some(_TAG, text) for _ in range(2))
        if c < b:
            return text
        return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]

    def _rename(self, text: str) -> str:
        old = re.findall(r"<([a-z][a-z0-9-]*)", text) or ["mjml"]
        name, new = self.chance.choice(old), self.chance.choice(_ALL_TAGS)
        return re.sub(rf"(</?){name}\b", rf"\g<1>{new}", text)

    def _nest(self, text: str) -> str:
        _, b = self._some(_TAG, text)
        tag = self.chance.choice(_ALL_TAGS)
        deep = self.chance.choice((2, 30, 95, 101, 600, 6_000))
        close = f"</{tag}>" * (deep if self.chance.random() < 0.7 else 0)
        return text[:b] + f"<{tag}>" * deep + close + text[b:]

    def _attribute(self, text: str) -> str:
        _, b = self._some(_TAG, text)
        known = self.chance.choice(list(MJML_TAGS.values())).attributes or {"x": None}
        name = self.chance.choice((*known, "onclick", "xmlns:x", "style", "é", "path"))
        value = self.chance.choice(_VALUES)
        quote = self.chance.choice(('"', '"', "'", ""))
        end = b - (2 if text[:b].endswith("/>") else 1)
        return f"{text[:end]} {name}={quote}{value}{quote}{text[end:]}"

    def _value(self, text: str) -> str:
        a, b = self._some(_ATTRIBUTE, text)
        name = text[a:b].split("=")[0] or " x"
        return f'{text[:a]}{name}="{self.chance.choice(_VALUES)}"{text[b:]}'

    def _splice(self, text: str) -> str:
        other = self.chance.choice(self.texts)
        (_, cut), (start, _) = self._some(_TAG, text), self._some(_TAG, other)
        if self.chance.random() < 0.5:
            return text[:cut] + other[start:]
        return text[:cut] + other[start : start + 2_000] + text[cut:]

    def _truncate(self, text: str) -> str:
        return text[: self._place(text)]

    def _move(self, text: str) -> str:
        a, b = sorted((self._place(text), self._place(text)))
        part, rest = text[a : min(b, a + 2_000)], text[:a] + text[min(b, a + 2_000) :]
        at = self._place(rest)
        return rest[:at] + part + rest[at:]


@cache
def fitting(name: str, kind: Kind) -> list[str]:
    """Values that the checks let through for an attribute, as they are written."""
    numbers = ("0", "1", "16", "600", "9999", "0.001", "33.333")
    guesses = [
        *(f"{number}{unit}" for number in numbers for unit in ("", "px", "%", "em")),
        *(f"{number}px {number}% 0 {number}px" for number in numbers),
        *(f"{number}px dashed #ABC" for number in numbers),
        *(kind.example, *kind.example.split(" or "), *_VALUES),
    ]
    return [
        escape(guess)
        for guess in guesses
        if kind.fits(guess) and (name in VALUES_ALLOWED or "{{" not in guess)
    ]


class Grower:
    """A layout of what the checks allow, wherever they allow it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.left = chance, chance.choice((5, 20, 60, 200))
        self._inside = {
            parent: [tag for tag, one in MJML_TAGS.items() if parent in one.parents]
            for parent in MJML_TAGS
        }

    def layout(self) -> str:
        head = self._tag("mj-head") if self.chance.random() < 0.5 else ""
        return f"<mjml>{head}{self._tag('mj-body')}</mjml>"

    def _tag(self, name: str) -> str:
        self.left -= 1
        one = MJML_TAGS[name]
        inside = ""
        if one.holds == "tags":
            below = [tag for tag in self._inside[name] if tag != "mj-block"]
            while below and self.left > 0 and self.chance.random() < 0.8:
                inside += self._tag(self.chance.choice(below))
        elif one.holds == "words":
            inside = self._words(0)
        elif one.holds == "text":
            inside = self._text()
        elif one.holds == "style":
            inside = self.chance.choice(
                (
                    ".a{color:#333}",
                    "p{margin:0}",
                    "@media (max-width:9px){.a{x:y}}",
                    "}",
                )
            )
        always = ("name",) if name == "mj-class" else ()
        return f"<{name}{self._attributes(one.attributes, *always)}>{inside}</{name}>"

    def _attributes(self, known: dict[str, Kind], *always: str) -> str:
        names = {*always, *self.chance.sample(sorted(known), self._few(len(known)))}
        return "".join(
            f' {name}="{self.chance.choice(fitting(name, known[name]))}"'
            for name in sorted(names)
        )

    def _few(self, most: int) -> int:
        return min(most, self.chance.choice((0, 0, 1, 2, 5, 12)))

    def _words(self, depth: int) -> str:
        out = []
        for _ in range(self._few(12)):
            self.left -= 1
            deep = depth > self.chance.choice((3, 80))
            if self.chance.random() < 0.5 or self.left < 0 or deep:
                out.append(self._text())
                continue
            name = self.chance.choice(list(HTML_TAGS))
            attributes = self._attributes(HTML_TAGS[name])
            if name in {"br", "hr", "img"}:
                out.append(f"<{name}{attributes}>")
            else:
                out.append(f"<{name}{attributes}>{self._words(depth + 1)}</{name}>")
        return "".join(out)

    def _text(self) -> str:
        return self.chance.choice(_WORDS)


def work(place: Path, seed: int, first: int, step: int, last: int) -> dict[str, Any]:
    """Compile inputs first, first + step, ... below last; `place` keeps the number."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    mutator = Mutator(seed, sources(ROOT.parent / "shared" / "data"))
    counts: Counter[str] = Counter()
    slowest = (0.0, -1)
    with place.open("r+b") as file:
        shown = mmap.mmap(file.fileno(), 0)
        for number in range(first, last, step):
            shown[:8] = struct.pack("<q", number)
            text = mutator.make(number)
            # What takes longer dies, and counts like any other death.
            signal.setitimer(signal.ITIMER_PROF, SECONDS_PER_INPUT)
            start = time.thread_time()
            counts[outcome(text)] += 1
            slowest = max(slowest, (time.thread_time() - start, number))
            signal.setitimer(signal.ITIMER_PROF, 0)
    return {"counts": counts, "slowest": slowest}


def outcome(text: str) -> str:
    """How it ended. Anything but a mail or a clear error is a name of its own."""
    try:
        html = compile_layout(text)
    except TemplateError as error:
        problems = error.problems
        if not all(p.message and p.line > 0 and p.column > 0 for p in problems):
            return "unclear error"
        gave_up = any("the compiler gave up" in p.message for p in problems)
        return "caught panic" if gave_up else "refused"
    except BaseException as error:  # noqa: BLE001 - a panic is no Exception
        return f"uncaught {type(error).__name__}: {str(error)[:200]}"
    return "stand-in left" if STAND_IN in html else "compiled"


def _in_a_small_stack(do: Callable[[], Any]) -> Any:
    threading.stack_size(STACK_BYTES)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(do()))
    thread.start()
    thread.join()
    return found[0]


class Lane:
    """One worker after another on one share of the inputs."""

    def __init__(self, place: Path, seed: int, first: int, step: int, last: int):
        self.place, self.seed, self.step, self.last = place, seed, step, last
        place.write_bytes(bytes(8))
        self.deaths: list[tuple[int, int]] = []
        self.counts: Counter[str] = Counter()
        self.slowest: tuple[float, int] = (0.0, -1)
        self.start(first)

    def start(self, first: int) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, __file__, "--worker", str(self.place)),
                *("--seed", str(self.seed), "--first", str(first)),
                *("--step", str(self.step), "--last", str(self.last)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def finish(self) -> None:
        """Until every input was tried, or too many killed it."""
        while True:
            out, _ = self.process.communicate()
            if self.process.returncode == 0:
                said = json.loads(out)
                self.counts.update(said["counts"])
                self.slowest = max(self.slowest, tuple(said["slowest"]))
                return
            (number,) = struct.unpack("<q", self.place.read_bytes()[:8])
            self.deaths.append((number, self.process.returncode))
            if len(self.deaths) >= DEATHS_MAX or number + self.step >= self.last:
                return
            self.start(number + self.step)


def run(inputs: int, *, seed: int, processes: int, first: int = 0) -> dict[str, Any]:
    """Figures of a whole run; `deaths` are [number, exit status]."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        last = first + inputs
        lanes = [
            Lane(Path(folder) / str(n), seed, first + n, processes, last)
            for n in range(min(processes, inputs))
        ]
        threads = [threading.Thread(target=lane.finish) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = sum((lane.counts for lane in lanes), Counter())
    deaths = [death for lane in lanes for death in lane.deaths]
    slowest = max(lane.slowest for lane in lanes)
    good = counts["compiled"] + counts["refused"] + counts["caught panic"]
    return {
        "seed": seed,
        "inputs": inputs,
        **counts,
        "deaths": deaths,
        "slowest_seconds": round(slowest[0], 3),
        "slowest_input": slowest[1],
        "minutes": round((time.monotonic() - began) / 60, 1),
        "sound": good == inputs and not deaths,
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="the first input, as it is")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--last", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        numbers = (asked.first, asked.step, asked.last)
        said = _in_a_small_stack(lambda: work(asked.worker, asked.seed, *numbers))
        sys.stdout.write(json.dumps(said))
        return 0
    if asked.show:
        texts = sources(ROOT.parent / "shared" / "data")
        sys.stdout.write(ascii(Mutator(asked.seed, texts).make(asked.first)) + "\n")
        return 0
    said = run(
        asked.inputs, seed=asked.seed, processes=asked.processes, first=asked.first
    )
    sys.stdout.write(json.dumps(said) + "\n")
    return 0 if said["sound"] else 1


if __name__ == "__main__":
    sys.exit(main())
