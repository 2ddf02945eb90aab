"""What a rule may ask about a customer: one entry a fact, with its words.

A send keeps its rules as data for as long as it is under way. So an entry never goes
and never changes its meaning; a better one gets a key of its own.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from customers.addresses import address_key
from segmentation.clustering.anchors import MIXED, SEGMENTS, UNKNOWN
from segmentation.emotion.families import FAMILIES

TEXT_CHARACTERS_MOST: Final = 200
DAYS_MOST: Final = 3_650
COUNT_MOST: Final = 1_000_000

CHOICE: Final = "choice"  # some of a fixed list
WORDS: Final = "words"  # texts that a person writes
WHOLE: Final = "whole"  # a whole number
NUMBER: Final = "number"  # a number with decimals
MONEY: Final = "money"  # an amount and its currency
DAYS: Final = "days"  # how many days back

ANY_OF: Final = "any_of"
NONE_OF: Final = "none_of"
AT_LEAST: Final = "at_least"
AT_MOST: Final = "at_most"
EXACTLY: Final = "exactly"
WITHIN: Final = "within"
NOT_WITHIN: Final = "not_within"

OP_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        ANY_OF: "any of",
        NONE_OF: "none of",
        AT_LEAST: "at least",
        AT_MOST: "at most",
        EXACTLY: "exactly",
        WITHIN: "in the last",
        NOT_WITHIN: "not in the last",
    }
)

# Lower-case two or three letters, then subtags: BCP 47 as our imports write it.
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_DOMAIN = re.compile(r"[^\s@]+\.[^\s@]+")
_UNWRITABLE = ("Cc", "Cs")  # control characters; halves of a character


def plain_text(value: str) -> str:
    """The text as it is; "" if it can't be one: empty, too long, not storable."""
    if not value.strip() or len(value) > TEXT_CHARACTERS_MOST:
        return ""
    bad = any(unicodedata.category(one) in _UNWRITABLE for one in value)
    return "" if bad else value


def slug(value: str) -> str:
    return value if len(value) <= 100 and _SLUG.fullmatch(value) else ""


def country(value: str) -> str:
    return value.upper() if _COUNTRY.fullmatch(value) else ""


def language(value: str) -> str:
    """Lower case: languages are compared without regard to capitals."""
    known = len(value) <= 20 and _LANGUAGE.fullmatch(value)
    return value.lower() if known else ""


def domain(value: str) -> str:
    """As the domains of address keys are written: lower case, in punycode."""
    if not plain_text(value) or not _DOMAIN.fullmatch(value):
        return ""
    return address_key(f"x@{value}").rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Field:
    """One fact. clauses: what follows "customers who", with {value}, for each operator.

    feeling: inferred from what a customer wrote; false for whoever objected to that.
    """

    key: str
    label: str
    about: str
    kind: str
    clauses: Mapping[str, str]
    feeling: bool = False
    choices: tuple[str, ...] = ()
    # What each text of a list must be, in words, and what makes it one ("" refuses).
    needs: str = ""
    normal: Callable[[str], str] = field(default=plain_text)
    unit: str = ""
    least: float = 0
    most: float = 0

    @property
    def ops(self) -> tuple[str, ...]:
        return tuple(self.clauses)


FEELINGS, ORDERS, CONTACT, PERSON = "Feelings", "Orders", "Contact", "Person"


def _count(key: str, label: str, about: str, unit: str, verb: str = "have") -> Field:
    return Field(
        key,
        label,
        about,
        WHOLE,
        {
            AT_LEAST: f"{verb} at least {{value}}",
            AT_MOST: f"{verb} at most {{value}}",
            EXACTLY: f"{verb} exactly {{value}}",
        },
        unit=unit,
        most=COUNT_MOST,
    )


def _reading(
    key: str, label: str, what: str, *, least: float, most: float, unit: str = ""
) -> Field:
    return Field(
        key,
        label,
        FEELINGS,
        NUMBER,
        {
            AT_LEAST: f"have {what.format('at least {value}')}",
            AT_MOST: f"have {what.format('at most {value}')}",
        },
        feeling=True,
        least=least,
        most=most,
        unit=unit,
    )


def _days(key: str, label: str, about: str, did: str, did_not: str) -> Field:
    return Field(
        key,
        label,
        about,
        DAYS,
        {
            WITHIN: f"{did} in the last {{value}}",
            NOT_WITHIN: f"{did_not} in the last {{value}}",
        },
        unit="day",
        least=1,
        most=DAYS_MOST,
    )


FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        one.key: one
        for one in (
            Field(
                "segment",
                "Segment",
                FEELINGS,
                CHOICE,
                {
                    ANY_OF: "are in {value}",
                    NONE_OF: "are in another segment than {value}",
                },
                feeling=True,
                choices=(*SEGMENTS, MIXED, UNKNOWN),
            ),
            Field(
                "family",
                "Strongest emotion",
                FEELINGS,
                CHOICE,
                {
                    ANY_OF: "wrote texts that read most as {value}",
                    NONE_OF: "wrote texts that read most as something else than "
                    "{value}",
                },
                feeling=True,
                choices=FAMILIES,
            ),
            Field(
                "group",
                "Group that was proposed",
                FEELINGS,
                WORDS,
                {
                    ANY_OF: "are in the group {value}",
                    NONE_OF: "are not in the group {value}",
                },
                feeling=True,
                needs="the key of a group that a person accepted",
                normal=slug,
            ),
            _reading(
                "evidence",
                "Evidence",
                "{} of evidence",
                least=0,
                most=COUNT_MOST,
                unit="texts’ worth",
            ),
            Field(
                "texts",
                "Texts read",
                FEELINGS,
                WHOLE,
                {
                    AT_LEAST: "have at least {value} read",
                    AT_MOST: "have at most {value} read",
                    EXACTLY: "have exactly {value} read",
                },
                feeling=True,
                unit="text",
                most=COUNT_MOST,
            ),
            _reading(
                "valence",
                "Pleasantness (valence)",
                "a valence of {}",
                least=-1,
                most=1,
            ),
            _reading(
                "negativity",
                "Recent negativity",
                "a negativity of {}",
                least=0,
                most=1,
            ),
            _count("orders", "Orders", ORDERS, "order"),
            Field(
                "spent",
                "Spent on orders",
                ORDERS,
                MONEY,
                {
                    AT_LEAST: "spent at least {value} on orders",
                    AT_MOST: "spent at most {value} on orders",
                },
                most=1_000_000_000,
            ),
            _days("last_order", "Last order", ORDERS, "ordered", "did not order"),
            _count("returns", "Returns", ORDERS, "return"),
            _days("last_visit", "Last visit", CONTACT, "visited", "did not visit"),
            _days(
                "last_click",
                "Last click in a mail",
                CONTACT,
                "clicked in a mail",
                "did not click in a mail",
            ),
            _days("last_text", "Last text", CONTACT, "wrote to us", "did not write"),
            _days(
                "last_seen",
                "Last sign of any kind",
                CONTACT,
                "said or did something",
                "did not say or do anything",
            ),
            Field(
                "known",
                "Known to us",
                PERSON,
                DAYS,
                {
                    WITHIN: "became known to us in the last {value}",
                    NOT_WITHIN: "did not become known to us in the last {value}",
                },
                unit="day",
                least=1,
                most=DAYS_MOST,
            ),
            Field(
                "country",
                "Country",
                PERSON,
                WORDS,
                {ANY_OF: "live in {value}", NONE_OF: "do not live in {value}"},
                needs="a country of two letters, such as GB",
                normal=country,
            ),
            Field(
                "language",
                "Language",
                PERSON,
                WORDS,
                {
                    ANY_OF: "have the language {value}",
                    NONE_OF: "do not have the language {value}",
                },
                needs="a language such as en, with all its regions, or pt-BR",
                normal=language,
            ),
            Field(
                "tags",
                "Tags",
                PERSON,
                WORDS,
                {
                    ANY_OF: "have the tag {value}",
                    NONE_OF: "do not have the tag {value}",
                },
                needs=f"a text of 1 to {TEXT_CHARACTERS_MOST} characters that can be "
                "written",
            ),
            Field(
                "domain",
                "Domain of the address",
                PERSON,
                WORDS,
                {
                    ANY_OF: "have an address at {value}",
                    NONE_OF: "do not have an address at {value}",
                },
                needs="a domain such as example.com",
                normal=domain,
            ),
        )
    }
)
