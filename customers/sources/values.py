"""One cell to one value: dates, ratings, amounts, places. Each says what it needed."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# How 03/04/2024 is meant; "" refuses what could be either.
DateOrder = Literal["", "day-first", "month-first"]

YEARS = range(1900, 2200)
RATINGS = (0.0, 10.0)
AMOUNT_DIGITS = 12  # before the point, as the column holds

_DATE = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})"
    r"(?:,?[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)? ?([AaPp][Mm])?)?"
    r" ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_WORDED = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y")
_EPOCH = re.compile(r"\d{10}(?:\d{3})?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+\.\d+|-?\d{1,3}(?:,\d{3}){2,}")
_THOUSANDS_DOTTED = re.compile(r"-?\d{1,3}(?:\.\d{3})+,\d+|-?\d{1,3}(?:\.\d{3}){2,}")
# "1,234" is a thousand to some and a little above one to others.
_EITHER_WAY = re.compile(r"-?[1-9]\d{0,2}[.,]\d{3}")

YES = frozenset(
    "yes y true t 1 on ja oui si sí granted given opted-in opt-in opted_in opt_in "
    "subscribed consented".split()
)
NO = frozenset(
    "no n false f 0 off nein non withdrawn refused denied opted-out opt-out opted_out "
    "opt_out unsubscribed".split()
)
# What exports write where they know nothing.
BLANKS = frozenset({"unspecified", "unknown", "n/a", "null", "none", "-"})
_COUNTRY_NAMES = {
    "uk": "GB",
    "great britain": "GB",
    "united kingdom": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "usa": "US",
    "united states of america": "US",
    "eire": "IE",
    "rsa": "ZA",
    "the netherlands": "NL",
    "holland": "NL",
    "deutschland": "DE",
    "österreich": "AT",
    "schweiz": "CH",
    "españa": "ES",
    "italia": "IT",
    "korea": "KR",
    "south korea": "KR",
    "czechia": "CZ",
    "türkiye": "TR",
    "uae": "AE",
}


class BadValue(ValueError):
    """A cell that is not what its column needs; the text is the reason."""


def moment(text: str, *, zone: tzinfo, dates: DateOrder = "") -> tuple[datetime, bool]:
    """A time, aware, and whether the zone had to be taken from zone.

    ISO 8601 first, then what spreadsheets and shops write: 31.01.2024 10:00,
    1/31/2024 3:05 PM, 31 Jan 2024, mail dates, seconds since 1970.
    Raises BadValue if it is none of these, can be two, or lies outside YEARS.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = _other_moment(text, dates)
    if found.year not in YEARS:
        raise BadValue(f"the year must lie from {YEARS[0]} to {YEARS[-1]}")
    if found.tzinfo is None:
        return found.replace(tzinfo=zone), True
    return found, False


def _other_moment(text: str, dates: DateOrder) -> datetime:
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text[:10]), tz=UTC)
    parts = _DATE.fullmatch(text)
    if parts is not None:
        return _numbered_moment(parts, dates)
    for form in _WORDED:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller knows
        except ValueError:
            continue
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        raise BadValue("not a date: write it as 2024-01-31T10:00:00Z") from None


def _numbered_moment(parts: re.Match[str], dates: DateOrder) -> datetime:
    first, mark, second, third, hour, minute, seconds, half, zone = parts.groups()
    if len(first) == 4:
        year, month, day = int(first), int(second), int(third)
    elif len(third) == 4:
        year = int(third)
        day, month = _day_and_month(int(first), int(second), mark, dates)
    else:
        raise BadValue("the year needs four digits: write 2024-01-31")
    hours = int(hour or 0)
    if half:
        if not 1 <= hours <= 12:
            raise BadValue("an hour with AM or PM goes from 1 to 12")
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    try:
        return datetime(
            year,
            month,
            day,
            hours,
            int(minute or 0),
            int(seconds or 0),
            tzinfo=_offset(zone) if zone else None,
        )
    except ValueError as problem:
        raise BadValue(f"there is no such date: {problem}") from None


def _day_and_month(
    first: int, second: int, mark: str, dates: DateOrder
) -> tuple[int, int]:
    if mark == "." or dates == "day-first" or first > 12:
        return first, second
    if dates == "month-first" or second > 12 or first == second:
        return second, first
    raise BadValue(
        "day or month first? Write 2024-01-31, or say --dates day-first or month-first"
    )


def _offset(zone: str) -> tzinfo:
    if zone in {"Z", "UTC", "GMT"}:
        return UTC
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))


def rating(text: str) -> float:
    """A number from 0 to 10; a decimal comma is read as a point."""
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        raise BadValue("a rating is a number from 0 to 10") from None
    if not RATINGS[0] <= found <= RATINGS[1]:
        raise BadValue("a rating lies from 0 to 10")
    return found


def amount(text: str) -> Decimal:
    """Money with two decimals; thousands may be set apart where it is plain."""
    if _EITHER_WAY.fullmatch(text):
        raise BadValue("thousands or decimals? Write 1234.00 or 1.23")
    number = text
    if _THOUSANDS.fullmatch(text):
        number = text.replace(",", "")
    elif _THOUSANDS_DOTTED.fullmatch(text):
        number = text.replace(".", "").replace(",", ".")
    elif text.count(",") == 1:
        number = text.replace(",", ".")
    try:
        found = Decimal(number)
        if not found.is_finite() or abs(found) >= 10**AMOUNT_DIGITS:
            raise BadValue(f"an amount has at most {AMOUNT_DIGITS} digits")
        return found.quantize(Decimal("0.01"))
    except InvalidOperation:
        raise BadValue(
            "an amount is a number such as 12.50, the currency apart"
        ) from None


def currency(text: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise BadValue("a currency is three letters, such as EUR")
    return text.upper()


@lru_cache(maxsize=1024)
def country(text: str) -> str:
    """Two letters of ISO 3166 from the letters or an English name; "" if not known."""
    codes, names = _countries()
    folded = text.casefold()
    if folded in BLANKS:
        return ""
    found = names.get(folded) or (text.upper() if text.upper() in codes else "")
    if not found:
        raise BadValue("a country is two letters such as GB, or its English name")
    return found


@cache
def _countries() -> tuple[frozenset[str], dict[str, str]]:
    """The codes and names of the time zone database, which Python ships anyway."""
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    pairs = [
        line.split("\t") for line in table.splitlines() if line[:1] not in ("#", "")
    ]
    names = {name.casefold(): code for code, name in pairs}
    return frozenset(code for code, _ in pairs), {**names, **_COUNTRY_NAMES}


@lru_cache(maxsize=1024)
def time_zone(text: str) -> str:
    if text.casefold() in BLANKS:
        return ""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadValue("a time zone is a name such as Europe/London") from None


@lru_cache(maxsize=1024)
def language(text: str) -> str:
    if text.casefold() in BLANKS:
        return ""
    tag = text.replace("_", "-")
    if len(tag) > 20 or not _LANGUAGE.fullmatch(tag):
        raise BadValue("a language is a code such as en or pt-BR")
    head, *rest = tag.split("-")
    regions = (part.upper() if len(part) == 2 else part for part in rest)
    return "-".join([head.lower(), *regions])


def consent(text: str) -> str:
    """ "yes" or "no"; whatever is neither is refused, for it might be a no."""
    folded = text.casefold()
    if folded in YES:
        return "yes"
    if folded in NO:
        return "no"
    raise BadValue("consent is yes or no")


def tags(text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in re.split(r"[;,|]", text))
    return tuple(dict.fromkeys(part for part in parts if part))


def at_most(characters: int) -> Callable[[str], str]:
    """A reader of texts that fit their column."""

    def read(text: str) -> str:
        if len(text) > characters:
            raise BadValue(f"longer than {characters} characters")
        return text

    return read
