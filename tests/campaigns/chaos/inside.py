"""What the invariants look at where a test sends in its own process."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from django.db import connection

from tests.campaigns.chaos.loopback import Taken


@dataclass
class Inside:
    """This process's database, asked as the shops of the harness are.

    shown: instead of what send_progress() says.
    """

    world: ModuleType
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def is_sqlite(self) -> bool:
        return connection.vendor == "sqlite"

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def run(self, *arguments: str) -> Any:
        said = self.world.main(list(arguments))
        if arguments == ("progress",):
            return {send: shown | self.shown for send, shown in said.items()}
        return said


class Outbox:
    """The folder of .eml files of the local outbox; a mail handed over twice lies there
    twice, as <public id>.2.eml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def taken(self) -> list[Taken]:
        found = []
        for path in sorted(self.folder.rglob("*.eml")):
            to = re.search(rb"(?mi)^To:.*?([^\s<>]+@[^\s<>]+)", path.read_bytes())
            assert to is not None, f"{path} is to nobody"
            known = int(path.name.partition(".")[0])
            found.append(Taken(path.stat().st_mtime, known, to[1].decode(), "", ""))
        return found
