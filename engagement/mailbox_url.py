"""Where a mailbox lies that mail comes back to. Pure."""

from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

ENCRYPTION: Final = ("required", "offered", "never")
FOLDER: Final = "INBOX"
PORTS: Final = {"imaps": 993, "imap": 143}


class Mailbox(NamedTuple):
    """encryption: of a connection that begins without, as in ATTUNE_SMTP_URL."""

    host: str
    port: int
    user: str
    password: str
    folder: str
    implicit_tls: bool
    encryption: str

    def __str__(self) -> str:
        return f"{self.folder} at {self.host}"


def read_mailbox_url(url: str) -> Mailbox:
    """imaps://user:password@host/INBOX, or imap://… which changes to TLS.

    Raises ValueError, without what it read: a password is in it.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    encryption = query.pop("encryption", ["required"])[0]
    folder = unquote(parts.path.strip("/")) or FOLDER
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    good = (
        parts.scheme in PORTS
        and parts.hostname
        and user
        and password
        and encryption in ENCRYPTION
        and not query
        # Others are written in an alphabet of IMAP's own; nobody calls it so.
        and folder.isascii()
        and (user + password + folder).isprintable()
    )
    if not good or parts.hostname is None:
        raise ValueError("It is no mailbox.")
    return Mailbox(
        host=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        user=user,
        password=password,
        folder=folder,
        implicit_tls=parts.scheme == "imaps",
        encryption=encryption,
    )
