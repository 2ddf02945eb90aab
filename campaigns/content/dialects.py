"""How a provider fills values in: its placeholders, and what it would take for code.

The provider gets a mail's static text once, with a placeholder in each slot, and per
recipient the values that were rendered here; it puts them in as they are. So that it
reads nothing else as code, static text that looks like a placeholder becomes a value
too, the same for everyone, and keys bear a mark that no text holds.

Source: sending.md 1.5; what each provider reads is from its own manual.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from campaigns.content.problems import TemplateError, TemplateProblem

_MARK_CHARACTERS: Final = 6


@dataclass(frozen=True, slots=True)
class Dialect:
    """before, after: what stands around a key; keys are letters and digits.

    code: what in static text the provider might read, and therefore becomes a value.
    """

    before: str
    after: str
    code: re.Pattern[str] | None = None

    def placeholder(self, key: str) -> str:
        return f"{self.before}{key}{self.after}"


DIALECTS: Final = {
    # A percent sign at the end would stand beside that of a placeholder.
    "mailgun": Dialect("%recipient.", "%", re.compile(r"%+[A-Za-z_][\w.:-]*%*|%+\Z")),
    # Tags are found as they are written, up to four times over, values included.
    "sendgrid": Dialect("-", "-"),
}

# They read these in every mail, merged or not, and nothing there takes it away again.
READ_EVERYWHERE: Final = {
    "brevo": re.compile(r"\{[{%#]"),
    "sparkpost": re.compile(r"\{\{"),
    "unisender_go": re.compile(r"\{\{"),
}


@dataclass(frozen=True, slots=True)
class Stencil:
    """A mail's part as a provider gets it, once for everyone.

    text: with a placeholder for each slot and each constant. keys: of the slots, in
    their order.
    """

    text: str
    keys: tuple[str, ...]
    constants: dict[str, str] = field(default_factory=dict)


def stencil(
    static: Sequence[str], dialect: Dialect, *, part: str, mark: str
) -> Stencil:
    """Static text, len(slots) + 1 pieces, spelled for a provider.

    part: a letter that keeps a mail's parts apart. mark: what no text here holds.
    """
    keys = tuple(f"{mark}{part}{number}" for number in range(len(static) - 1))
    constants: dict[str, str] = {}

    def as_value(found: re.Match[str]) -> str:
        key = f"{mark}{part}c{len(constants)}"
        constants[key] = found.group()
        return dialect.placeholder(key)

    pieces = [
        dialect.code.sub(as_value, text) if dialect.code else text for text in static
    ]
    return Stencil(
        "".join(_interleaved(pieces, [dialect.placeholder(key) for key in keys])),
        keys,
        constants,
    )


def _interleaved(pieces: Sequence[str], between: Sequence[str]) -> Iterator[str]:
    yield pieces[0]
    for placeholder, piece in zip(between, pieces[1:], strict=True):
        yield placeholder
        yield piece


def mark_for(digest: str, texts: Sequence[str]) -> str:
    """A mark that none of the texts holds, so that nobody can write a key of ours.

    digest: hexadecimal digits of what is sent; the same mail has the same mark.
    """
    for start in range(len(digest) - _MARK_CHARACTERS):
        mark = f"s{digest[start : start + _MARK_CHARACTERS]}"
        if not any(mark in text for text in texts):
            return mark
    raise TemplateError([TemplateProblem(1, 1, "Every possible mark stands in it.")])


def refuse_code(provider: str, *texts: str) -> None:
    """Raise TemplateError if the provider would read a mail's text as code."""
    code = READ_EVERYWHERE.get(provider)
    if code is None:
        return
    for text in texts:
        if found := code.search(text):
            raise TemplateError(
                [
                    TemplateProblem(
                        1,
                        1,
                        f"It says {found.group()}, which {provider} would read as "
                        "its own code.",
                        "Write it differently.",
                    )
                ]
            )
