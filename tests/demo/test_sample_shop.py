"""The invented shop: its size, its variety, its sameness from run to run."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from customers.models import IMPORTED_KINDS
from demo.sample_shop import CUSTOMERS, SHOP, SPAN_DAYS, interactions, people
from segmentation.clustering.anchors import SEGMENTS

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# Six words in a row that two texts share are a template, not a coincidence.
WORDS_IN_A_ROW = 6


@pytest.fixture(scope="module")
def rows():
    return list(interactions(at=AT))


@pytest.fixture(scope="module")
def texts():
    return [text["text"] for person in people() for text in person.texts]


def test_the_shop_has_six_hundred_customers_and_about_five_thousand_interactions(rows):
    assert len({row["customer_id"] for row in rows}) == CUSTOMERS
    assert 4_500 <= len(rows) <= 5_500


def test_everything_lies_within_two_years_before_now(rows):
    moments = [datetime.fromisoformat(row["occurred_at"]) for row in rows]
    assert max(moments) <= AT
    assert min(moments) >= AT - timedelta(days=SPAN_DAYS + 1)


def test_the_same_day_and_seed_give_the_same_history(rows):
    assert list(interactions(at=AT)) == rows


def test_an_interaction_is_named_once_and_of_a_kind_that_can_be_imported(rows):
    names = Counter((row["interaction_id"], row["kind"]) for row in rows)
    assert set(names.values()) == {1}
    assert {row["kind"] for row in rows} <= set(IMPORTED_KINDS)


def test_no_two_texts_are_made_of_one_template(texts):
    seen: dict[tuple[str, ...], int] = {}
    shared = []
    for number, text in enumerate(texts):
        words = re.findall(r"[\w']+", text.lower())
        for start in range(len(words) - WORDS_IN_A_ROW + 1):
            run = tuple(words[start : start + WORDS_IN_A_ROW])
            if seen.setdefault(run, number) != number:
                shared.append(" ".join(run))
    assert shared == []


def test_stories_are_told_of_every_segment():
    told = Counter(
        json.loads(line)["archetype"]
        for path in SHOP.glob("stories_*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    assert set(SEGMENTS) <= set(told)
    assert min(told[key] for key in SEGMENTS) >= 50


def test_addresses_can_never_reach_a_person(rows):
    hosts = {row["email"].split("@")[1] for row in rows}
    assert hosts == {"example.com", "example.net", "example.org"}
