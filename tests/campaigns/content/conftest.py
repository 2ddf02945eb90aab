"""A shop, one email of it, and somebody to get it."""

from pathlib import Path

import pytest

from campaigns.content.designs import Design, SharedBlocks, Words, load_designs
from campaigns.content.headers import SenderFacts
from campaigns.content.links import Links
from campaigns.content.render import CompiledVariant, RecipientContext, compile_variant

DESIGNS_DIR = Path(__file__).parents[3] / "templates" / "emails"
KEYS = ["a key of the first spring of this shop"]


@pytest.fixture
def sender() -> SenderFacts:
    return SenderFacts(
        shop_name="Linden & Loam",
        from_name="Mara",
        from_address="mara@lindenandloam.example",
        postal_address="8 Sample Lane\nNorthport NP1 2AB",
    )


@pytest.fixture
def shared() -> SharedBlocks:
    return SharedBlocks(
        offer="**15 % off pots** with the code ROOTS, until 31 December.",
        terms="Returns are free for 30 days.",
        button_label="See the pots",
        button_url="https://lindenandloam.example/pots",
        footer_reason="You get this because you ordered from us.",
    )


@pytest.fixture
def words() -> Words:
    return Words(
        subject='A bigger pot, {{ customer.first_name | default: "friend" }}?',
        preheader="Winter is a good time for roots",
        blocks={
            "headline": "Fresh pots & fresh soil",
            "opening": 'Hello {{ customer.first_name | default: "there" }},\n\n'
            "winter is a quiet time for roots.",
            "details": "1. Choose a pot two fingers wider.\n2. Order it.\n3. Repot.",
            "closing": "Questions? Reply to this mail.\n\nTomas",
        },
    )


@pytest.fixture(scope="session")
def designs() -> dict[str, Design]:
    return load_designs(DESIGNS_DIR)


@pytest.fixture
def layout(designs: dict[str, Design]) -> str:
    return designs["announcement"].layout


@pytest.fixture
def variant(
    layout: str, shared: SharedBlocks, words: Words, sender: SenderFacts
) -> CompiledVariant:
    return compile_variant(layout, shared, words, sender=sender)


@pytest.fixture
def ines() -> RecipientContext:
    links = Links("https://mail.example.com", 77, KEYS)
    return RecipientContext({"customer": {"first_name": "Ines"}}, links)
