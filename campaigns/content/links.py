"""Addresses that are signed, on our own host, and say nothing about anybody.

A token is one byte of version and key id, the message's public id (64 bits), the
purpose (32 bits) and a keyed BLAKE2s code of it all, cut to 80 bits: 23 bytes, 31
characters.
A token made for one purpose is worthless for another, so that a forwarded link counts
at most a click and cannot unsubscribe anybody. Where a click leads stands in our link
table, never in the address.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2s
from typing import Protocol
from urllib.parse import urlsplit

TRACK = 1
MANAGE = 2

TOKEN_CHARACTERS = 31
_VERSION = 1 << 5
_MAC_BYTES = 10
_ID_BYTES = 8
_BODY_BYTES = 1 + _ID_BYTES + 4
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_CHARACTERS}}}")
# Control characters, spaces and the line ends only Unicode knows.
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\<>\"^`{|}]")
DESTINATION_MAX_CHARACTERS = 2_000


@lru_cache(maxsize=64)
def _key(key: str) -> tuple[int, bytes]:
    """A key's id (5 bits) and the 32 bytes that sign, both made from what was set."""
    if len(key) < 16:
        raise ValueError(
            f"A tracking key needs at least 16 characters; one has {len(key)}."
        )
    secret = blake2s(key.encode(), person=b"at-sign").digest()
    return blake2s(key.encode(), person=b"at-id").digest()[0] & 31, secret


def _mac(body: bytes, secret: bytes) -> bytes:
    return blake2s(body, key=secret, digest_size=_MAC_BYTES).digest()


def sign(public_id: int, purpose: int, keys: Sequence[str]) -> bytes:
    """A message (0 <= public_id < 2 ** 64) and one purpose, signed: 23 bytes.

    keys: newest first; the first signs. Raises ValueError if there is none.
    """
    if not keys:
        raise ValueError("There is no tracking key: set ATTUNE_TRACKING_KEYS.")
    key_id, secret = _key(keys[0])
    try:
        identity = public_id.to_bytes(_ID_BYTES, "big")
    except OverflowError:
        raise ValueError(
            f"A public id needs 0 to 2 ** 64 - 1; it is {public_id}."
        ) from None
    body = bytes([_VERSION | key_id]) + identity + purpose.to_bytes(4, "big")
    return body + _mac(body, secret)


def read_signed(raw: bytes, purpose: int, keys: Sequence[str]) -> int | None:
    """The public id in what was signed for this purpose; None if anything is wrong.

    Every key is tried, and codes are compared in constant time.
    """
    body, code = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
    good = False
    for key in keys:
        good |= hmac.compare_digest(_mac(body, _key(key)[1]), code)
    good &= body[0] & ~31 == _VERSION
    good &= body[1 + _ID_BYTES :] == purpose.to_bytes(4, "big")
    return int.from_bytes(body[1 : 1 + _ID_BYTES], "big") if good else None


def sign_token(public_id: int, purpose: int, keys: Sequence[str]) -> str:
    """The token of a message for one purpose, as it stands in an address; see sign."""
    signed = sign(public_id, purpose, keys)
    return urlsafe_b64encode(signed).rstrip(b"=").decode()


def track_token(public_id: int, keys: Sequence[str]) -> str:
    return sign_token(public_id, TRACK, keys)


def manage_token(public_id: int, keys: Sequence[str]) -> str:
    return sign_token(public_id, MANAGE, keys)


def read_token(token: str, purpose: int, keys: Sequence[str]) -> int | None:
    """The public id in a token of this purpose, or None whatever is wrong with it."""
    if not _TOKEN.fullmatch(token):
        return None
    raw = urlsafe_b64decode(token + "=")
    # 31 characters hold two bits more than 23 bytes: only one spelling counts.
    canonical = urlsafe_b64encode(raw).rstrip(b"=").decode() == token
    public_id = read_signed(raw, purpose, keys)
    return public_id if canonical else None


class MessageLinks(Protocol):
    """The addresses in one message."""

    @property
    def public_id(self) -> int | None: ...
    @property
    def pixel(self) -> str: ...
    @property
    def unsubscribe(self) -> str: ...
    @property
    def preferences(self) -> str: ...
    @property
    def web_view(self) -> str: ...
    def click(self, link: int) -> str: ...


class Links:
    """A tracked message: opens and clicks come by our own host."""

    __slots__ = ("_base", "_manage", "_track", "public_id")

    def __init__(self, base_url: str, public_id: int, keys: Sequence[str]) -> None:
        self.public_id: int | None = public_id
        self._base = base_url.rstrip("/")
        self._track = track_token(public_id, keys)
        self._manage = manage_token(public_id, keys)

    @property
    def pixel(self) -> str:
        return f"{self._base}/o/{self._track}.gif"

    def click(self, link: int) -> str:
        return f"{self._base}/c/{self._track}/{link}"

    @property
    def web_view(self) -> str:
        return f"{self._base}/v/{self._track}"

    @property
    def unsubscribe(self) -> str:
        return f"{self._base}/u/{self._manage}"

    @property
    def preferences(self) -> str:
        return f"{self._base}/p/{self._manage}"


class UntrackedLinks(Links):
    """A message to someone who did not agree to be tracked: no pixel, direct links.

    destinations: the variant's link table, in its order.
    """

    __slots__ = ("_destinations",)

    def __init__(
        self,
        base_url: str,
        public_id: int,
        keys: Sequence[str],
        destinations: Sequence[str],
    ) -> None:
        super().__init__(base_url, public_id, keys)
        self._destinations = tuple(destinations)

    @property
    def pixel(self) -> str:
        return ""

    def click(self, link: int) -> str:
        return self._destinations[link]


class WebViewLinks:
    """The mail as a page: its links lead on, and nothing in it is worth stealing.

    The page's own address is a track token. It is forwarded and logged by others, so
    it must not yield the token that unsubscribes.
    """

    __slots__ = ("_mail",)

    public_id: int | None = None
    pixel = ""
    unsubscribe = preferences = web_view = "#"

    def __init__(self, mail: MessageLinks) -> None:
        self._mail = mail

    def click(self, link: int) -> str:
        return self._mail.click(link)


class InertLinks:
    """A preview: nothing in it leads anywhere, nothing in it is counted."""

    __slots__ = ()

    public_id: int | None = None
    pixel = ""
    unsubscribe = preferences = web_view = "#"

    def click(self, link: int) -> str:
        return "#"


def check_destination(url: str) -> str:
    """The address a link may lead to, as it was written.

    Raises ValueError with a sentence unless it is http or https, names a host, holds no
    user name or password and no control character, space or quote.
    """
    if len(url) > DESTINATION_MAX_CHARACTERS:
        raise ValueError(
            f"A link has at most {DESTINATION_MAX_CHARACTERS:,} characters; "
            f"this one has {len(url):,}."
        )
    if match := _NOT_IN_URL.search(url):
        raise ValueError(
            f"A link cannot hold {match.group()!a}: write it as "
            f"%{ord(match.group()) % 256:02X}, or leave it out."
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(
            f"{url!r} is not an address: write https://shop.example/page."
        ) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(
            f"A link starts with https:// and a host, such as "
            f"https://shop.example/page; this one is {url[:80]!r}."
        )
    if "@" in parts.netloc:
        raise ValueError(
            f"A link holds no user name and no password; {host!r} stood behind one."
        )
    return url
