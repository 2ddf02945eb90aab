"""The steps of a send to everybody: its audience is written, then all of it leaves."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from django.utils import timezone
from measure import take

from campaigns import materialising
from campaigns.models import Batch, Campaign, Message, Send
from campaigns.services import (
    launch_send,
    materialise,
    resume_send,
    schedule_send,
    send_progress,
)
from large_shop.steps import measured

Spawn = Callable[[], "subprocess.Popen[bytes]"]
STATES = Message.State
ENDED = (Send.State.SENT, Send.State.CANCELLED, Send.State.FAILED)
LOOK_SECONDS = 0.2
STANDS_STILL_SECONDS = 600.0


def write_audience() -> dict[str, Any]:
    """The newest campaign's audience; longest_s: the slowest of its ranges, which is
    what others who write have to wait."""
    at = timezone.now()
    campaign = Campaign.objects.earliest("pk")
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    ranges: list[float] = []
    prepare = materialising._write_next

    def timed(*given: Any, **named: Any) -> bool:
        taken = take(lambda: prepare(*given, **named))
        ranges.append(taken.seconds)
        return bool(taken.result)

    materialising._write_next = timed
    found = measured(lambda: materialise(send, at=at))
    send.refresh_from_db()
    states = Counter(send.messages.values_list("state", flat=True).iterator())
    return {
        **found,
        "customers_per_s": round(send.audience_size / found["s"]),
        "longest_s": round(max(ranges), 2),
        "ranges": len(ranges),
        "batches": send.batches.count(),
        "audience": send.audience_size,
        "left_out": states[STATES.LEFT_OUT],
        "waiting": states[STATES.WAITING],
    }


def mail(start: Spawn, *, workers: int, ledger: Path, calls: Path) -> dict[str, Any]:
    """All of it leaves; one worker is killed half way, and another takes over.

    twice: taken by the provider more than once. lost: taken, but neither accepted nor
    in doubt here; or accepted and not taken; or without a message.
    """
    send = Send.objects.latest("pk")
    half = send.messages.filter(state=STATES.WAITING).count() // 2
    crew, began = [_Worker(start()) for _ in range(workers)], time.monotonic()
    killed, resumed, moved = False, 0, began
    before = -1
    try:
        while True:
            time.sleep(LOOK_SECONDS)
            for one in crew:
                one.look()
            done = _lines(ledger)
            if done != before:
                before, moved = done, time.monotonic()
            if not killed and done >= half:
                crew[0].kill()
                _end_lease(crew[0].pid)
                crew.append(_Worker(start()))
                killed = True
            send.refresh_from_db()
            if send.state in ENDED:
                break
            if send.state == Send.State.PAUSED:
                # In a small shop what one kill leaves in doubt is much of it.
                resume_send(send, at=timezone.now())
                resumed += 1
            if time.monotonic() - moved > STANDS_STILL_SECONDS:
                raise SystemExit(f"It stands still: {send.state} {send.state_reason}")
        seconds = time.monotonic() - began
    finally:
        for one in crew:
            one.end()
    return {
        "s": round(seconds, 1),
        "workers": workers,
        "mails_per_s": round(before / seconds),
        "worker_peak_mb": [round(one.peak_mb) for one in crew],
        "worker_cpu_s": [round(one.cpu_seconds, 1) for one in crew],
        "calls": _lines(calls),
        "resumed": resumed,
        **_reconciled(send, ledger),
    }


def wrong_with(found: dict[str, Any]) -> list[str]:
    """What mail() must not find: somebody lost or mailed twice, numbers that differ."""
    wrong = [name for name in ("twice", "lost", "batches_open") if found[name]]
    return wrong + [one for one in ("adds_up", "shown_is_recount") if not found[one]]


def _end_lease(pid: int) -> None:
    """Of the batch that this process held: now, not in eight minutes."""
    Batch.objects.filter(
        owner__contains=f":{pid}/", state__in=("claimed", "handing_over")
    ).update(lease_until=timezone.now())


def _reconciled(send: Send, ledger: Path) -> dict[str, Any]:
    rows = np.array(
        list(send.messages.values_list("public_id", "state").iterator()),
        dtype=[("id", "i8"), ("state", "U14")],
    )
    counted = Counter(rows["state"].tolist())
    taken, times = np.unique(
        np.array(ledger.read_bytes().split(), np.int64), return_counts=True
    )
    accepted = rows["id"][rows["state"] == STATES.ACCEPTED]
    doubtful = rows["id"][rows["state"] == STATES.IN_DOUBT]
    known = np.union1d(accepted, doubtful)
    lost = len(np.setdiff1d(taken, known)) + len(np.setdiff1d(accepted, taken))
    shown = send_progress(send, at=timezone.now())
    buckets = (shown.accepted, shown.in_doubt, shown.not_sent, shown.waiting)
    recount = (
        counted[STATES.ACCEPTED],
        counted[STATES.IN_DOUBT],
        counted[STATES.LEFT_OUT] + counted[STATES.FAILED],
        counted[STATES.WAITING],
    )
    return {
        "audience": send.audience_size,
        "accepted": recount[0],
        "in_doubt": recount[1],
        "left_out": recount[2],
        "waiting": recount[3],
        "taken": len(taken),
        "twice": int((times > 1).sum()),
        "lost": lost + abs(send.audience_size - len(rows)),
        "adds_up": sum(recount[:3]) == send.audience_size,
        "shown_is_recount": buckets == recount,
        "batches_open": Batch.objects.filter(
            send=send, state__in=("waiting", "claimed", "handing_over")
        ).count(),
    }


class _Worker:
    """A sending process, and the most memory and CPU that it was seen with."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process, self.pid = process, process.pid
        self.peak_mb = self.cpu_seconds = 0.0

    def look(self) -> None:
        folder = Path(f"/proc/{self._process.pid}")
        try:
            status = (folder / "status").read_text()
            ran = (folder / "schedstat").read_text().split()[0]
        except OSError:
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1024)
        self.cpu_seconds = max(self.cpu_seconds, int(ran) / 1e9)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
