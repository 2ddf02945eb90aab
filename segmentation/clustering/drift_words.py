"""What a movement may mean and what to do about it; never why it happened. Pure."""

from typing import Final

from segmentation.clustering.drift import PartMoved
from segmentation.emotion.families import FAMILIES

# When a family or segment takes more room than it used to: what may be behind it, what
# to do. Segments share the words of the family they are anchored on.
RISEN: Final[dict[str, tuple[str, str]]] = {
    "anger": (
        "a fault, a late delivery or a price that many noticed",
        "Read the newest cross texts and look for one cause before the next campaign.",
    ),
    "anxiety": (
        "people wait for news of an order, a payment or a change",
        "Tell those who wait what happens next, and keep deadlines out of mails.",
    ),
    "confusion": (
        "a page, a leaflet or a mail that is not clear",
        "Look for what they ask about, and say it in the next mail.",
    ),
    "sadness": (
        "something that was good here is not what it was",
        "Ask one question instead of making an offer.",
    ),
    "excitement": (
        "a new product or an offer that went down well",
        "See what they write about, and show it sooner to the others.",
    ),
    "joy": (
        "something that went well for many",
        "See what they write about, and keep doing it.",
    ),
    "trust": (
        "good service that many noticed",
        "Thank them; it is a good time to ask for a review.",
    ),
    "curiosity": (
        "people compare before they decide, perhaps something new",
        "Answer what they ask first, and offer after it.",
    ),
    "neutral": (
        "more plain matters: orders, addresses, dates",
        "Nothing to do, unless warm texts have become rare.",
    ),
}
_FAMILY_OF: Final = {
    "frustrated": "anger",
    "anxious": "anxiety",
    "disappointed": "sadness",
    "excited": "excitement",
    "trusting": "trust",
    "questioning": "curiosity",
    "neutral": "neutral",
}


def family_moves(parts: list[PartMoved]) -> str:
    """What moved, the largest first: more anger, less plain talk."""
    return ", ".join(
        f"{'more' if part.points > 0 else 'less'} "
        f"{FAMILIES[part.part].replace('neutral', 'plain talk')}"
        for part in parts
    )


def advice(parts: list[PartMoved], names: tuple[str, ...]) -> tuple[str, str] | None:
    """What may be behind the part that grew most, and what to do; None if none grew."""
    for part in parts:
        if part.points > 0:
            name = names[part.part]
            return RISEN[_FAMILY_OF.get(name, name)]
    return None
