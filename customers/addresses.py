"""E-mail addresses: as written, as they go on the wire, and as one mailbox.

The address a customer wrote is kept. Quoted local parts ("a b"@x), comments, address
literals (a@[192.0.2.1]), names without a dot and reserved names are legal on paper and
refused here: nearly every provider refuses them too. Nothing asks the DNS.
"""

import hashlib
import re
import unicodedata
from functools import lru_cache

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from customers.errors import InvalidAddress

# Addresses come again with every interaction of a customer, and hosts with every
# customer: one full check costs 16 µs, a host we know 1 µs.
CACHED_ADDRESSES = 16_384
LOCAL_CHARACTERS, ADDRESS_CHARACTERS = 64, 254  # RFC 5321, 4.5.3.1; RFC 3696, errata

_ORDINARY_LOCAL = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")


@lru_cache(maxsize=CACHED_ADDRESSES)
def address_wire(email: str) -> str:
    """The form that goes on the wire: the domain in ASCII (punycode), lower case.

    Raises InvalidAddress, with the reason, if no mail can be sent there.
    """
    written = email.strip()
    local, _, domain = written.rpartition("@")
    if len(local) <= LOCAL_CHARACTERS and _ORDINARY_LOCAL.fullmatch(local):
        host = _ascii_domain(domain)
        if host and len(local) + len(host) < ADDRESS_CHARACTERS:
            return f"{local}@{host}"
    try:
        checked = _checked(written)
    except EmailNotValidError as problem:
        raise InvalidAddress(
            f"{shown(written)} can't get mail: {_plain(problem)} "
            "Correct the address, or leave it out."
        ) from None
    if checked.ascii_email is None:  # only with SMTPUTF8, which was refused above
        raise InvalidAddress(f"{shown(written)} has no form in ASCII.")
    return checked.ascii_email


def _checked(email: str) -> ValidatedEmail:
    return validate_email(
        email, check_deliverability=False, allow_smtputf8=False, strict=True
    )


@lru_cache(maxsize=CACHED_ADDRESSES)
def _ascii_domain(domain: str) -> str:
    """The domain in punycode; "" if no mail can be sent there."""
    try:
        return _checked(f"x@{domain}").ascii_domain or ""
    except EmailNotValidError:
        return ""


def _plain(problem: EmailNotValidError) -> str:
    sentence = str(problem)
    return sentence[:1].lower() + sentence[1:]


def shown(address: str) -> str:
    """An address as an error names it: never longer than a line."""
    return f"'{address[:60]}…'" if len(address) > 60 else f"'{address}'"


@lru_cache(maxsize=CACHED_ADDRESSES)
def address_key(email: str) -> str:
    """One text per mailbox: case folded, the domain in punycode.

    Never fails, since an address we can't mail may still have to be suppressed.
    Folding the local part is stricter than RFC 5321, which lets Bo@ and bo@ differ: no
    mail host in use does, and a "never mail me" must not depend on a capital letter.
    Folding twice changes nothing.
    """
    written = unicodedata.normalize("NFC", email.strip())
    local, at, domain = written.rpartition("@")
    folded = unicodedata.normalize("NFC", local.casefold())
    return f"{folded}{at}{_folded_domain(domain)}"


def _folded_domain(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    folded = unicodedata.normalize("NFC", domain.casefold())
    return _ascii_domain(domain) or folded


def address_hash(email: str) -> str:
    """SHA-256 of the address key, in hex: names a mailbox once the address is gone."""
    return hash_of_key(address_key(email))


def hash_of_key(key: str) -> str:
    """The same of an address key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
