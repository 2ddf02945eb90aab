"""Where interactions come from: one file each, and its line in this table."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from customers.sources import history_file
from customers.sources.rows import InteractionRow, RefusedRow, content_key

Rows = Callable[..., Iterator[InteractionRow | RefusedRow]]

SOURCES: Mapping[str, Rows] = MappingProxyType({"history_file": history_file.rows})

__all__ = ["SOURCES", "InteractionRow", "RefusedRow", "content_key"]
