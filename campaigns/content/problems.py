"""What can be wrong with a template, said so that a marketer can put it right."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """One thing to put right.

    line, column: 1-based, within `part`: "layout", "subject", a block's name and so on.
    message: what is wrong; hint: what to write instead.
    """

    line: int
    column: int
    message: str
    hint: str = ""
    part: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}"
        where = f"{self.part}, {place}" if self.part else place
        return f"{where}: {self.message} {self.hint}".rstrip()

    def within(self, part: str) -> "TemplateProblem":
        return self if self.part else replace(self, part=part)


class TemplateError(ValueError):
    """A template that cannot be used, with every problem found."""

    def __init__(self, problems: Iterable[TemplateProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type, tuple[tuple[TemplateProblem, ...]]]:
        return (type(self), (self.problems,))


class UndefinedValue(ValueError):
    """A mail asks for something we do not know about this one person."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} is not known for this customer: give it a default, such as "
            f'{{{{ {name} | default: "…" }}}}.'
        )

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (type(self), (self.name,))


def position(source: str, index: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character of `source`."""
    index = max(0, min(index, len(source)))
    before = source.rfind("\n", 0, index)
    return source.count("\n", 0, index) + 1, index - before


def problem_at(
    source: str, index: int, message: str, hint: str = ""
) -> TemplateProblem:
    line, column = position(source, index)
    return TemplateProblem(line, column, message, hint)
