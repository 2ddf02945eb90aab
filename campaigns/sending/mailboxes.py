"""Who keeps a mailbox, by the domain of its address: limits are theirs.

Only domains that are a provider's own; who keeps a company's mail is not looked up.
Source: sending.md 3.5.
"""

from collections.abc import Mapping
from typing import Final

REST: Final = "rest"
LABELS: Final[Mapping[str, str]] = {
    "gmail": "Gmail",
    "microsoft": "Outlook and Hotmail",
    "yahoo": "Yahoo and AOL",
    "apple": "Apple",
    REST: "all other mailboxes",
}
_NAMES: Final = {
    "gmail": "gmail",
    "googlemail": "gmail",
    "outlook": "microsoft",
    "hotmail": "microsoft",
    "live": "microsoft",
    "msn": "microsoft",
    "yahoo": "yahoo",
    "ymail": "yahoo",
    "rocketmail": "yahoo",
    "aol": "yahoo",
    "icloud": "apple",
    "me": "apple",
    "mac": "apple",
}
# These sell mailboxes in many countries: outlook.fr, yahoo.co.uk.
_ANYWHERE: Final = {"outlook", "hotmail", "live", "yahoo", "aol"}


def mailboxes_of(address_wire: str) -> str:
    """The key in LABELS of an address as it goes over the wire."""
    name, _, end = address_wire.rpartition("@")[2].lower().partition(".")
    where_at_home = end == "com" or name in _ANYWHERE
    if not where_at_home or end.count(".") > 1:
        return REST
    return _NAMES.get(name, REST)
