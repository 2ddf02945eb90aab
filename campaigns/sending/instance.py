"""A copy of a database must not send: the original may be mailing the same people.

The database keeps the id of the deployment it belongs to, the deployment keeps its own
beside it: in the file `instance` of its data folder, or in ATTUNE_INSTANCE where
several machines share one database. Whoever first sends makes both. The file also
holds its own number on the disk, so that a copy of the whole folder is known for one.
Source: sending.md 3.4, "clone guard".
"""

import logging
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from django.conf import settings
from django.db import transaction

from campaigns.errors import AnotherInstance, CannotAdopt
from campaigns.models import Adoption, Instance, Send
from campaigns.sending import ledger

log = logging.getLogger(__name__)

FILE: Final = "instance"
# There is one row.
_ROW: Final = 1


class Ours(NamedTuple):
    """key: "" where this deployment has none yet. copied: the file came from another
    folder, so that the key is somebody else's."""

    key: str
    copied: bool = False

    def __str__(self) -> str:
        if not self.key:
            return "has no id of its own yet"
        return f"is a copy of {self.key}'s folder" if self.copied else f"is {self.key}"


def ours() -> Ours:
    """What this deployment knows itself by."""
    if settings.INSTANCE:
        return Ours(settings.INSTANCE)
    path = _path()
    try:
        key, _, number = path.read_text().strip().partition(" ")
        return Ours(key, copied=number != str(path.stat().st_ino))
    except FileNotFoundError:
        return Ours("")


def what_stands() -> str:
    """Why nothing may be sent from here, as a sentence; "" where it may. Only reads."""
    kept = _kept()
    return _problem(kept) if kept else ""


def _kept() -> Instance | None:
    return Instance.objects.filter(pk=_ROW).first()


def _problem(kept: Instance) -> str:
    here = ours()
    if here.key == kept.key and not here.copied:
        return ""
    return (
        f"Nothing is sent from here: the database belongs to the instance {kept.key}, "
        f"and this deployment {here}. It looks like a copy, and the original may be "
        "mailing the same people. If no other sends any more, run `manage.py "
        "adopt_instance`; if several machines share this database, set "
        f"ATTUNE_INSTANCE={kept.key} on each of them."
    )


def guard() -> None:
    """Raises AnotherInstance where nothing may be sent from here."""
    problem = what_stands()
    if problem:
        raise AnotherInstance(problem)


def begin(*, at: datetime) -> None:
    """Whoever sends asks here first; the first of all makes the database ours.

    Raises AnotherInstance.
    """
    kept = _kept()
    if kept is None:
        # Of two who begin at once one writes it; the other is measured by it.
        kept, _ = Instance.objects.get_or_create(
            pk=_ROW, defaults={"key": _own_key(), "made_at": at}
        )
    problem = _problem(kept)
    if problem:
        raise AnotherInstance(problem)


def adopt(*, at: datetime, by: str) -> Adoption:
    """Make the database this deployment's, because a person says that no other sends.

    What was under way stops: the other may have gone on with it since the copy was
    made. Raises CannotAdopt where it is ours already.
    """
    with transaction.atomic():
        kept = Instance.objects.select_for_update().filter(pk=_ROW).first()
        key = _own_key()
        if kept is not None and kept.key == key:
            raise CannotAdopt(
                f"The database belongs to this deployment already ({key}): there is "
                "nothing to adopt."
            )
        Instance.objects.update_or_create(pk=_ROW, defaults={"key": key, "made_at": at})
        was = kept.key if kept else ""
        under_way = Send.objects.filter(state__in=ledger.CAN_PAUSE).order_by("pk")
        stopped = list(under_way.values_list("pk", flat=True))
        for send_id in stopped:
            ledger.pause_for(
                send_id,
                f"This database came from the instance {was or 'of nobody'}: what it "
                "mailed after the copy was made is not known here. Resume it only if "
                "nobody was mailed there since; else cancel it.",
                at=at,
            )
        log.warning("adopted by %s: was %s, is %s", by, was, key)
        return Adoption.objects.create(
            at=at, by=by[:120], was=was, now=key, stopped=stopped
        )


def _own_key() -> str:
    """This deployment's key, made where there is none, or only a copied one."""
    here = ours()
    if here.copied:
        _path().unlink(missing_ok=True)
    if here.key and not here.copied:
        return here.key
    _make_file()
    return ours().key


def _make_file() -> None:
    """Appears whole or not at all; where another process was first, theirs stays."""
    folder = Path(settings.DATA_DIR)
    draft = folder / f".{FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        draft.touch(mode=0o600)
        draft.write_text(f"{secrets.token_hex(6)} {draft.stat().st_ino}\n")
        try:
            os.link(draft, _path())
        except FileExistsError:
            pass
        except OSError:  # a disk without hard links
            draft.replace(_path())
    finally:
        draft.unlink(missing_ok=True)


def _path() -> Path:
    return Path(settings.DATA_DIR) / FILE
