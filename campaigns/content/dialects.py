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
# Letters of a mail's parts, in keys.
SUBJECT, HTML, TEXT = "j", "h", "t"
# Two braces open and close code; one beside a placeholder would make three of them,
# and a backslash before one would take its meaning away.
_BRACES: Final = re.compile(
    r"[\\{}]*(?:\{\{|\}\})[\\{}]*|[\\{]+\Z|\A\}+",
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """before, after: what stands around a key; keys are letters and digits.

    code: what in static text the provider might read, and therefore becomes a value.
    raw: what stands around a key in HTML, where the other pair would be escaped.
    """

    before: str
    after: str
    code: re.Pattern[str] | None = None
    raw: tuple[str, str] | None = None

    def placeholder(self, key: str, *, part: str = "") -> str:
        before, after = self.before, self.after
        if part == HTML and self.raw is not None:
            before, after = self.raw
        return f"{before}{key}{after}"


DIALECTS: Final = {
    # A percent sign at the end would stand beside that of a placeholder.
    "mailgun": Dialect("%recipient.", "%", re.compile(r"%+[A-Za-z_][\w.:-]*%*|%+\Z")),
    # Tags are found as they are written, up to four times over, values included.
    "sendgrid": Dialect("-", "-"),
    # Values in HTML are escaped between two braces, and stay as they are between three.
    "sparkpost": Dialect("{{", "}}", _BRACES, raw=("{{{", "}}}")),
    # Whether values are escaped is told in one place only: calls/amazon_ses.py.
    "amazon_ses": Dialect("{{", "}}", _BRACES),
}

# They read these in every mail, merged or not, and nothing there takes it away again.
READ_EVERYWHERE: Final = {
    "brevo": re.compile(r"\{[{%#]"),
    "unisender_go": re.compile(r"\{\{"),
}
# The same, in addresses and headers, of those whose words can be told as values.
READ_IN_HEADERS: Final = {"sparkpost": re.compile(r"\{\{|\}\}")}


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
        return dialect.placeholder(key, part=part)

    pieces = [
        dialect.code.sub(as_value, text) if dialect.code else text for text in static
    ]
    return Stencil(
        "".join(
            _interleaved(pieces, [dialect.placeholder(key, part=part) for key in keys])
        ),
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
    _refuse(provider, READ_EVERYWHERE.get(provider), texts)


def refuse_code_in_headers(provider: str, *values: str) -> None:
    """Raise TemplateError if it would read an address or a header as code."""
    _refuse(provider, READ_IN_HEADERS.get(provider), values)


def _refuse(provider: str, code: re.Pattern[str] | None, texts: Sequence[str]) -> None:
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
