"""The address a mail comes back to: it names the message, and is signed. Pure.

Every message has a return path of its own (VERP), so that a bounce tells which message
it is of, whatever the mail system that wrote it leaves out. The token is that of
links.py for one more purpose, in base32: relays may fold the case of a local part.
"""

import re
from base64 import b32decode, b32encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from campaigns.content.links import read_signed, sign
from customers.addresses import LOCAL_CHARACTERS, address_wire

RETURN = 3
# 23 bytes are 184 bits: 37 characters of 5 bits.
TOKEN_CHARACTERS: Final = 37
DELIMITER: Final = "+"
_PADDING: Final = "=" * 3
# Whatever stands before it: an address may have been moved since the mail left.
_LOCAL: Final = re.compile(rf"(?:.*[^a-z2-7])?([a-z2-7]{{{TOKEN_CHARACTERS}}})")


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """Where bounces arrive: local+TOKEN@domain, or TOKEN@domain without a local."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    def of(self, public_id: int, keys: Sequence[str]) -> str:
        """The envelope sender of a message. keys: newest first; the first signs."""
        before = f"{self.local}{DELIMITER}" if self.local else ""
        return f"{before}{return_token(public_id, keys)}@{self.domain}"


def read_return_path(written: str) -> ReturnPath:
    """bounces@mail.example.com, or @bounces.example.com for a whole domain.

    Raises ValueError, also for a local part that leaves no room for a token.
    """
    local, _, domain = written.strip().rpartition("@")
    # InvalidAddress is a ValueError.
    wire = address_wire(f"{local or 'x'}@{domain}")
    most = LOCAL_CHARACTERS - TOKEN_CHARACTERS - len(DELIMITER)
    if len(local) > most or DELIMITER in local:
        raise ValueError(f"A local part has {most} characters at most, and no plus.")
    wire_local, _, wire_domain = wire.rpartition("@")
    return ReturnPath(wire_local if local else "", wire_domain)


def return_token(public_id: int, keys: Sequence[str]) -> str:
    signed = sign(public_id, RETURN, keys)
    return b32encode(signed).decode().rstrip("=").lower()


def message_of(address: str, keys: Sequence[str]) -> int | None:
    """The public id in a return path, in any case; None whatever is wrong with it."""
    found = _LOCAL.fullmatch(address.rpartition("@")[0].lower())
    if found is None:
        return None
    token = found.group(1)
    raw = b32decode(token.upper() + _PADDING)
    # 37 characters hold a bit more than 23 bytes: only one spelling counts.
    canonical = b32encode(raw).decode().rstrip("=").lower() == token
    public_id = read_signed(raw, RETURN, keys)
    return public_id if canonical else None
