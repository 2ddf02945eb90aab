"""What the DNS says of a domain that mail comes from: DMARC, DKIM, SPF.

Mailbox providers ask all three of whoever writes to many. Where the DNS can't be asked
nothing is said against the domain.
Source: RFC 7208, 6376, 7489; the rules for bulk senders in sending.md 5.1.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, Resolver

State = Literal["well", "look", "broken"]
ANSWER_SECONDS: Final = 3.0
# What providers call their keys where nobody chooses; one of them is enough.
SELECTORS: Final[dict[str, tuple[str, ...]]] = {
    "brevo": ("brevo1", "mail"),
    "mailgun": ("k1", "mx", "smtp", "pic", "mailo", "pdk1"),
    "mailjet": ("mailjet",),
    "resend": ("resend",),
    "sendgrid": ("s1",),
}


class NotAsked(Exception):
    """No answer of the DNS, which is not the same as an answer of none."""


def look_up(
    domain: str, *, selectors: Sequence[str], return_path: str, resolver: Resolver
) -> Iterator[tuple[State, str]]:
    """State and sentence of each thing that counts.

    selectors: names of DKIM keys of which one has to be there. return_path: the domain
    bounces come back to where it is ours, else empty. resolver: whom to ask.
    """
    try:
        yield _dmarc(domain, resolver)
        yield _dkim(domain, selectors, resolver)
        yield _spf(domain, return_path, resolver)
        if return_path:
            yield _way_back(return_path, resolver)
    except NotAsked as problem:
        yield "look", f"The DNS could not be asked about {domain} ({problem})."


def _dmarc(domain: str, resolver: Resolver) -> tuple[State, str]:
    labels = domain.split(".")
    for start in range(max(1, len(labels) - 1)):
        at = ".".join(labels[start:])
        found = _texts(f"_dmarc.{at}", "v=dmarc1", resolver)
        if len(found) > 1:
            return (
                "broken",
                f"{at} has {len(found)} DMARC records: leave one, or none counts.",
            )
        if found:
            policy = _policy(found[0])
            return "well", f"DMARC of {domain} is that of {at}, policy {policy}."
    return (
        "look",
        f"{domain} has no DMARC record, which Gmail, Yahoo and Microsoft ask of who "
        f'writes to many: publish _dmarc.{domain} TXT "v=DMARC1; p=none".',
    )


def _policy(record: str) -> str:
    for part in record.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == "p":
            return value.strip()[:20]
    return "none given"


def _dkim(
    domain: str, selectors: Sequence[str], resolver: Resolver
) -> tuple[State, str]:
    if not selectors:
        return (
            "look",
            f"Whether mail of {domain} is signed was not looked at: set "
            "ATTUNE_DKIM_SELECTOR to the name before ._domainkey in its record.",
        )
    for one in selectors:
        # A key that was taken back is an empty one.
        keys = [
            text
            for text in _texts(f"{one}._domainkey.{domain}", "", resolver)
            if "p=" in text.replace(" ", "") and not _is_empty_key(text)
        ]
        if keys:
            return "well", f"DKIM key {one} of {domain} is published."
    names = ", ".join(f"{one}._domainkey.{domain}" for one in selectors)
    return (
        "look",
        f"No DKIM key of {domain} is published ({names}): see the provider's page in "
        "docs/providers, or set ATTUNE_DKIM_SELECTOR.",
    )


def _is_empty_key(text: str) -> bool:
    parts = [part.strip().replace(" ", "") for part in text.split(";")]
    return any(part == "p=" for part in parts)


def _spf(domain: str, return_path: str, resolver: Resolver) -> tuple[State, str]:
    asked = return_path or domain
    found = _texts(asked, "v=spf1", resolver)
    if len(found) > 1:
        return (
            "broken",
            f"{asked} has {len(found)} SPF records: join them, or none counts.",
        )
    if found:
        return "well", f"{asked} has an SPF record."
    if return_path:
        return (
            "look",
            f"{asked}, which bounces come back to, has no SPF record: publish one that "
            "names the server that sends.",
        )
    # The provider's own return path has its own.
    return "well", f"{asked} has no SPF record of its own; the return path's counts."


def _way_back(domain: str, resolver: Resolver) -> tuple[State, str]:
    if _answers(domain, "MX", resolver):
        return "well", f"Mail to {domain} has a server that takes it."
    return (
        "look",
        f"{domain} has no MX record, so no bounce comes back: publish one that leads "
        "to the server that takes them.",
    )


def _texts(name: str, begins: str, resolver: Resolver) -> list[str]:
    return [
        text
        for text in _answers(name, "TXT", resolver)
        if text.lower().replace(" ", "").startswith(begins)
    ]


def _answers(name: str, kind: str, resolver: Resolver) -> list[str]:
    try:
        found = resolver.resolve(name, kind, lifetime=ANSWER_SECONDS)
    except (NXDOMAIN, NoAnswer):
        return []
    except DNSException as problem:
        raise NotAsked(type(problem).__name__) from None
    if kind == "TXT":
        return [b"".join(one.strings).decode("utf-8", "replace") for one in found]
    return [str(one) for one in found]
