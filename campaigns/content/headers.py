"""What stands above a mail: checked, so that no value can become a second header."""

import re
from dataclasses import dataclass

from campaigns.content.links import MessageLinks

SUBJECT_MAX_CHARACTERS = 200
# C0, C1, DEL, the line ends only Unicode knows, and halves of characters.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS = re.compile(r"[^@\s<>\"(),:;\\\[\]]+@([^@\s<>\"(),:;\\\[\]]+)")
_NAMES = {
    "\r": "a carriage return",
    "\n": "a line break",
    "\t": "a tab",
    "\0": "a null character",
    "\u2028": "a line separator",
    "\u2029": "a paragraph separator",
}


class HeaderProblem(ValueError):
    """A value that must not stand in a header."""


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """Who a mail comes from. postal_address may have several lines."""

    shop_name: str
    from_name: str
    from_address: str
    reply_to: str = ""
    postal_address: str = ""

    @property
    def domain(self) -> str:
        """The sender's domain in ASCII, as mail servers write it."""
        match = _ADDRESS.fullmatch(self.from_address.strip())
        if not match:
            raise HeaderProblem(
                "The sender needs an address such as shop@example.com; "
                f"it is {self.from_address!r}."
            )
        return ascii_domain(match[1])

    @property
    def address_problem(self) -> str:
        """Why no mail can come from this address; empty if it can."""
        try:
            return "" if self.domain else "The domain is missing."
        except HeaderProblem as problem:
            return str(problem)

    @property
    def postal_lines(self) -> tuple[str, ...]:
        lines = (line.strip() for line in self.postal_address.splitlines())
        return tuple(line for line in lines if line)


def ascii_domain(domain: str) -> str:
    """`domain` as DNS spells it. Raises HeaderProblem if it cannot be one."""
    try:
        return domain.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        raise HeaderProblem(
            f"{domain!r} is not a domain: write one such as example.com."
        ) from None


def header_safe(value: str, *, name: str, max_length: int = 200) -> str:
    """`value`, if it may stand in the header `name`.

    Raises HeaderProblem at a line break or any other control character, and if there
    are more than max_length characters. Nothing is repaired: a value that tries to be
    two headers is not one we know how to read.
    """
    if match := _FORBIDDEN.search(value):
        what = _NAMES.get(match.group(), f"the control character {match.group()!a}")
        raise HeaderProblem(
            f"{name} holds {what} at character {match.start() + 1}: write it in one "
            "line of plain characters."
        )
    if len(value) > max_length:
        raise HeaderProblem(
            f"{name} has {len(value)} characters, at most {max_length} fit: shorten it."
        )
    return value


def message_id(public_id: int, domain: str) -> str:
    """The Message-ID: one per message, not per attempt, so that doubles show."""
    return f"<d.{public_id}@{domain}>"


def mail_headers(links: MessageLinks, *, domain: str) -> dict[str, str]:
    """The headers of one message; none for a preview, which goes nowhere.

    Source: RFC 2369, RFC 8058 (the two List-Unsubscribe headers only work as a pair),
    RFC 2919, RFC 5322.
    """
    if links.public_id is None:
        return {}
    return {
        "List-Unsubscribe": f"<{links.unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Id": f"<news.{domain}>",
        "Message-ID": message_id(links.public_id, domain),
    }
