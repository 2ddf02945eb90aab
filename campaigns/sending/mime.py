"""A variant's mail as bytes: what is the same for all is encoded once. Pure.

Each part is quoted-printable. Static text is encoded when the variant is first used,
a slot when it is filled; every piece begins in column 0, behind a soft line break, so
that no line passes 76 characters wherever a value ends. A line that begins with a dot
has it doubled already (RFC 5321 4.5.2), hence "wire" bytes: ready for DATA.
"""

import hashlib
import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Final

SOFT_BREAK: Final = b"=\r\n"
LINE_CHARACTERS: Final = 76
# Bytes of UTF-8 in one encoded word: base64 makes 60 characters of 45.
WORD_BYTES: Final = 45
_ATEXT_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


def quoted_piece(text: str) -> bytes:
    """Text in quoted-printable that ends in column 0, dots doubled at line starts."""
    # A mark behind the text: b2a_qp lets the very last line be one character longer.
    out = b2a_qp(_lines(text) + b"x", istext=True).replace(b"\n", b"\r\n")[:-1]
    if out and not out.endswith(b"\n"):
        out += SOFT_BREAK
    return _stuffed(out)


def quoted_end(text: str) -> bytes:
    """The same for the last piece of a part, which ends where the text ends."""
    return _stuffed(b2a_qp(_lines(text), istext=True).replace(b"\n", b"\r\n"))


def _lines(text: str) -> bytes:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return plain.encode("utf-8", "replace")


def _stuffed(out: bytes) -> bytes:
    out = out.replace(b"\r\n.", b"\r\n..")
    return b"." + out if out.startswith(b".") else out


class PreparedPart:
    """One text of a variant: static pieces encoded, places for the values between."""

    __slots__ = ("_pieces",)

    def __init__(self, static: Sequence[str]) -> None:
        """static: (n slots + 1,) texts, in order."""
        self._pieces = [quoted_piece(text) for text in static[:-1]]
        self._pieces.append(quoted_end(static[-1]))

    def filled(self, values: Sequence[str]) -> bytes:
        """values: (n slots,). Raises ValueError if there are more or fewer."""
        pieces = self._pieces
        if len(values) != len(pieces) - 1:
            raise ValueError(
                f"A part with {len(pieces) - 1} slots got {len(values)} values."
            )
        parts = [b""] * (2 * len(pieces) - 1)
        parts[::2] = pieces
        parts[1::2] = [quoted_piece(value) for value in values]
        return b"".join(parts)


def boundary_of(fingerprint: str) -> str:
    """A boundary no part can hold: quoted-printable never says "=_"."""
    return f"=_{hashlib.sha256(fingerprint.encode()).hexdigest()[:32]}"


def alternative(text: bytes, html: bytes, boundary: str) -> bytes:
    """The body of multipart/alternative, from two parts already encoded."""
    edge = f"--{boundary}".encode()
    return b"".join(
        (
            edge,
            b'\r\nContent-Type: text/plain; charset="utf-8"\r\n'
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
            text,
            b"\r\n",
            edge,
            b'\r\nContent-Type: text/html; charset="utf-8"\r\n'
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
            html,
            b"\r\n",
            edge,
            b"--\r\n",
        )
    )


def header(name: str, value: str) -> bytes:
    """One header line, folded, with its line end. value: no control characters."""
    if value.isascii() and "=?" not in value:
        return _folded(name, value)
    words, piece = [], b""
    for character in value:
        encoded = character.encode("utf-8", "replace")
        if len(piece) + len(encoded) > WORD_BYTES:
            words.append(piece)
            piece = b""
        piece += encoded
    words.append(piece)
    body = b"\r\n ".join(b"=?utf-8?B?" + b64encode(one) + b"?=" for one in words)
    # The first word must fit beside the header's name.
    first = b"\r\n " if len(name) + 2 + 72 > LINE_CHARACTERS + 2 else b" "
    return name.encode() + b":" + first + body + b"\r\n"


def _folded(name: str, value: str) -> bytes:
    line, lines = f"{name}:", []
    for position, word in enumerate(value.split(" ")):
        too_long = len(line) + 1 + len(word) > LINE_CHARACTERS
        # A line of blanks alone would end the headers: fold only before a real word.
        if too_long and word and (position == 0 or line.strip()):
            lines.append(line)
            line = f" {word}"
        else:
            line += f" {word}"
    lines.append(line)
    return "\r\n".join(lines).encode() + b"\r\n"


def address_header(name: str, display: str, address: str) -> bytes:
    """From or Reply-To: a name, encoded if it must be, and an ASCII address."""
    if not display:
        return header(name, address)
    if _ATEXT_NAME.fullmatch(display) and "=?" not in display:
        return header(name, f"{display} <{address}>")
    if display.isascii() and "=?" not in display:
        quoted = display.replace("\\", "\\\\").replace('"', '\\"')
        return header(name, f'"{quoted}" <{address}>')
    return (
        header(name, display).removesuffix(b"\r\n") + f"\r\n <{address}>\r\n".encode()
    )


def date_header(now: datetime) -> bytes:
    return b"Date: " + format_datetime(now).encode() + b"\r\n"
