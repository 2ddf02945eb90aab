"""Rooms to the right add what they know to a page of a room to their left.

The import arrow may not turn round, so a page offers a table of panels and the app
that knows more puts its panel in when it starts (AppConfig.ready).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString


@dataclass(frozen=True, slots=True)
class Panel:
    """One card of a page: its template and what fills it.

    context(request, subject) returns what the template needs, or None for no card.
    order: cards are shown from small to large. width: columns of twelve.
    """

    key: str
    template: str
    context: Callable[[HttpRequest, Any], Mapping[str, Any] | None]
    order: int
    width: int = 12


@dataclass(frozen=True, slots=True)
class FilledPanel:
    key: str
    template: str
    width: int
    context: Mapping[str, Any]


class PanelTable:
    """The panels of one page, kept in order."""

    def __init__(self) -> None:
        self._panels: dict[str, Panel] = {}

    def add(self, panel: Panel) -> None:
        self._panels[panel.key] = panel

    def fill(self, request: HttpRequest, subject: object) -> list[FilledPanel]:
        filled = []
        for panel in sorted(self._panels.values(), key=lambda panel: panel.order):
            context = panel.context(request, subject)
            if context is not None:
                filled.append(
                    FilledPanel(panel.key, panel.template, panel.width, context)
                )
        return filled


CUSTOMER_PAGE = PanelTable()


@dataclass(slots=True)
class ListExtras:
    """What rooms to the right add to the list of customers.

    columns: functions of a customer, shown as list columns (short_description names
    them). filters: list filters. prepare: querysets in, querysets out, so that a column
    costs one query a page and not one a row.
    """

    columns: list[Callable[[Any], Any]] = field(default_factory=list)
    filters: list[type] = field(default_factory=list)
    prepare: list[Callable[[Any], Any]] = field(default_factory=list)


CUSTOMER_LIST = ListExtras()

# What rooms to the right say beside lines of the timeline: asked once for all the lines
# of a page, answers by an interaction's id.
TIMELINE_NOTES: list[Callable[[Sequence[Any]], Mapping[int, SafeString]]] = []
