"""How a process tells whoever supervises it that it gets on, without any database.

Its heartbeats in the database say so to everybody; but a database that is away silences
all of them, and nobody may be killed for that. So a process counts its steps in memory
that it shares with its supervisor, and apart the turns in which the database answered.
"""

import mmap
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.models import EngineNode

TOLD_FOR: Final = timedelta(days=1)
_BEATS, _TURNS, _PATIENCE = range(3)


def _shared() -> memoryview:
    """Three numbers that this process and those it forks see; each is written by one
    process, whole."""
    return memoryview(mmap.mmap(-1, 24)).cast("Q")


@dataclass(slots=True)
class Pulse:
    """Of one process. Whatever is set before the fork it knows, too.

    hangs: how often a process in its place was killed since it hung; hung_at: last.
    """

    hangs: int = 0
    hung_at: datetime | None = None
    _numbers: memoryview = field(default_factory=_shared, repr=False)

    def beat(self) -> None:
        """One more step is done; the next may begin."""
        self._numbers[_BEATS] += 1

    def turned(self) -> None:
        """A whole turn is done, for which the database had to answer."""
        self._numbers[_TURNS] += 1

    def be_patient(self, seconds: float) -> None:
        """One step may take so long by what others do: a provider that answers late."""
        self._numbers[_PATIENCE] = int(seconds) + 1

    @property
    def beats(self) -> int:
        return self._numbers[_BEATS]

    @property
    def turns(self) -> int:
        return self._numbers[_TURNS]

    @property
    def patience_seconds(self) -> float:
        return float(self._numbers[_PATIENCE])

    @property
    def detail(self) -> dict[str, Any]:
        """What its heartbeats in the database say of those before it."""
        if self.hung_at is None:
            return {}
        return {"hangs": self.hangs, "hung_at": self.hung_at.isoformat()}


def what_hung(*, at: datetime) -> list[str]:
    """Which processes were replaced within a day since they hung, a sentence each."""
    nodes = EngineNode.objects.filter(last_seen__gte=at - TOLD_FOR, detail__hangs__gt=0)
    newest: dict[str, tuple[datetime, int]] = {}
    for role, detail in nodes.values_list("role", "detail"):
        told = datetime.fromisoformat(detail["hung_at"]), int(detail["hangs"])
        newest[role] = max(told, newest.get(role, told))
    return [
        f"{role} hung and was replaced, {hangs} time{'s' if hangs != 1 else ''}, last "
        f"at {hung_at:%Y-%m-%d %H:%M} UTC: look at its log, and at disk and memory."
        for role, (hung_at, hangs) in sorted(newest.items())
        if hung_at >= at - TOLD_FOR
    ]
