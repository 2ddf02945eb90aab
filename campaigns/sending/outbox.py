"""The local outbox: an Anymail backend that keeps each mail as an .eml file.

The file is called after the message's public id. A mail that is handed over a second
time does not replace the first: it lies beside it as "<public id>.2.eml", so that a
replay can be seen.
"""

import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from itertools import islice
from pathlib import Path
from typing import Any, Final

from anymail.backends.base import AnymailBaseBackend, BasePayload
from anymail.exceptions import AnymailAPIError
from anymail.message import AnymailRecipientStatus
from django.conf import settings

_NAME: Final = re.compile(r"[0-9]{1,20}")
COPIES_KEPT: Final = 100


class EmailBackend(AnymailBaseBackend):
    """Takes every mail and keeps it under OUTBOX_DIR/<send id>/<public id>.eml."""

    esp_name = "Outbox"

    def __init__(self, folder: Path | None = None, **kwargs: Any) -> None:
        self.folder = Path(folder or settings.OUTBOX_DIR)
        super().__init__(**kwargs)

    def build_message_payload(
        self, message: Any, defaults: dict[str, Any]
    ) -> "OutboxPayload":
        return OutboxPayload(message, defaults, self)

    def post_to_esp(self, payload: "OutboxPayload", message: Any) -> Path:
        content = message.message().as_bytes(linesep="\r\n")
        folder = self.folder / payload.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return _keep(folder, payload.name, content)
        except OSError as problem:
            raise AnymailAPIError(
                f"The outbox folder can't be written: {problem.strerror}.",
                email_message=message,
                payload=payload,
                backend=self,
            ) from problem

    def parse_recipient_status(
        self, response: Path, payload: "OutboxPayload", message: Any
    ) -> dict[str, AnymailRecipientStatus]:
        status = AnymailRecipientStatus(message_id=response.stem, status="sent")
        return dict.fromkeys(payload.recipients, status)


class OutboxPayload(BasePayload):
    """Only the names matter: the mail itself is what Django renders."""

    def init_payload(self) -> None:
        self.recipients: list[str] = []
        self.folder, self.name = "test", secrets.token_hex(8)

    def set_metadata(self, metadata: dict[str, str]) -> None:
        public_id, send = str(metadata.get("d", "")), str(metadata.get("c", ""))
        if _NAME.fullmatch(public_id) and _NAME.fullmatch(send):
            self.folder, self.name = send, public_id

    def set_to(self, emails: list[Any]) -> None:
        self.recipients += [email.addr_spec for email in emails]

    set_cc = set_bcc = set_to

    def _as_django_renders_it(self, *args: Any) -> None:
        pass

    set_from_email = set_subject = set_reply_to = _as_django_renders_it
    set_extra_headers = set_text_body = set_html_body = _as_django_renders_it
    add_alternative = add_attachment = _as_django_renders_it
    set_track_opens = set_track_clicks = _as_django_renders_it


def _keep(folder: Path, name: str, content: bytes) -> Path:
    """Write a file that is whole or not there, under the first name that is free."""
    draft = folder / f".{secrets.token_hex(8)}.tmp"
    with draft.open("xb") as file:
        file.write(content)
    try:
        for copy in range(1, COPIES_KEPT):
            path = folder / (f"{name}.eml" if copy == 1 else f"{name}.{copy}.eml")
            try:
                os.link(draft, path)
            except FileExistsError:
                continue
            return path
    finally:
        draft.unlink()
    raise FileExistsError(17, f"{name}.eml was handed over {COPIES_KEPT} times")


@dataclass(frozen=True, slots=True)
class KeptMail:
    """One mail of the outbox as the admin lists it."""

    name: str
    send_id: int | None
    public_id: int | None
    kept_at: datetime
    size_bytes: int
    subject: str
    to: str


@dataclass(frozen=True, slots=True)
class OutboxPage:
    mails: tuple[KeptMail, ...]
    page: int
    pages: int
    total: int


def read_outbox(
    *, page: int = 1, size: int = 50, send_id: int | None = None
) -> OutboxPage:
    """One page of the kept mails, newest first; page counts from 1."""
    files = sorted(_files(send_id), key=lambda found: found[0], reverse=True)
    pages = max(1, -(-len(files) // size))
    page = min(max(page, 1), pages)
    wanted = islice(files, (page - 1) * size, page * size)
    mails = tuple(_listed(Path(path)) for _, path in wanted)
    return OutboxPage(mails, page, pages, len(files))


def read_mail(name: str) -> EmailMessage:
    """One kept mail by the name the page gave it. Raises FileNotFoundError."""
    folder, _, file = name.partition("/")
    if not re.fullmatch(r"[0-9a-z]+", folder) or not re.fullmatch(
        r"[0-9a-f]+(\.[0-9]+)?\.eml", file
    ):
        raise FileNotFoundError(name)
    content = (Path(settings.OUTBOX_DIR) / folder / file).read_bytes()
    return message_from_bytes(content, policy=modern)


def _files(send_id: int | None) -> Iterator[tuple[float, str]]:
    root = Path(settings.OUTBOX_DIR)
    folders = [root / str(send_id)] if send_id is not None else _folders(root)
    for folder in folders:
        if folder.is_dir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(".eml"):
                        yield entry.stat().st_mtime, entry.path


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []


def _listed(path: Path) -> KeptMail:
    with path.open("rb") as file:
        head = b"".join(iter(lambda: file.readline().rstrip(b"\r\n") + b"\n", b"\n"))
        stat = os.fstat(file.fileno())
    mail = message_from_bytes(head + b"\n", policy=modern)
    folder, number = path.parent.name, path.name.split(".")[0]
    return KeptMail(
        name=f"{folder}/{path.name}",
        send_id=int(folder) if folder.isdigit() else None,
        public_id=int(number) if folder.isdigit() and number.isdigit() else None,
        kept_at=datetime.fromtimestamp(stat.st_mtime, UTC),
        size_bytes=stat.st_size,
        subject=str(mail.get("Subject", "")),
        to=str(mail.get("To", "")),
    )
