"""The sample shop: Linden & Loam, invented from the first plant to the last customer.

The texts are written by hand and stand in shop/stories_*.jsonl, one story a customer.
Orders, returns and visits around them come from a seeded generator, so that the file is
the same for the same day and seed. Nothing here is a real person, shop or order.
"""

import csv
import gzip
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

SHOP = Path(__file__).parent / "shop"
SPAN_DAYS = 730
CUSTOMERS = 600
# Stories are written over two years and told in one: words of two years ago weigh so
# little (half of it every 180 days) that half of the shop would be "unknown".
STORY_PACE = 0.5
COLUMNS = (
    "interaction_id customer_id email occurred_at kind channel rating subject text "
    "product amount currency first_name last_name language timezone country consent"
).split()
# Mean orders in two years; one order in eighteen comes back; visits between orders.
ORDERS_A_CUSTOMER, RETURN_SHARE, VISITS_A_CUSTOMER = 4.1, 1 / 18, 1.3
# People who said no to marketing when they ordered.
NO_SHARE = 0.025
MAIL_HOSTS = ("example.com", "example.net", "example.org")


@dataclass(frozen=True, slots=True)
class Person:
    number: int
    first: str
    last: str
    country: str
    language: str
    timezone: str
    texts: tuple[dict[str, Any], ...]

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "customer_id": f"LL-{self.number:04d}",
            "email": f"ll-{self.number:04d}@{MAIL_HOSTS[self.number % 3]}",
            "first_name": self.first,
            "last_name": self.last,
            "language": self.language,
            "timezone": self.timezone,
            "country": self.country,
        }


def people() -> list[Person]:
    """Every customer of the shop: those with stories, then those who never write."""
    found: list[Person] = []
    for path in sorted(SHOP.glob("stories_*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            story = json.loads(line)
            found.append(_person(len(found) + 1, story, tuple(story["texts"])))
    for line in (SHOP / "silent.jsonl").read_text(encoding="utf-8").splitlines():
        if len(found) == CUSTOMERS:
            break
        found.append(_person(len(found) + 1, json.loads(line), ()))
    return found


def _person(
    number: int, story: dict[str, Any], texts: tuple[dict[str, Any], ...]
) -> Person:
    return Person(
        number,
        story["first"],
        story["last"],
        story["country"],
        story["language"],
        story["timezone"],
        texts,
    )


def interactions(*, at: datetime, seed: int = 7) -> Iterator[dict[str, Any]]:
    """The shop's history as rows of a history file; at is the last moment in it.

    Yields dictionaries over COLUMNS, one customer after the other.
    """
    with (SHOP / "catalogue.toml").open("rb") as file:
        products = tomllib.load(file)["products"]
    for person in people():
        # One generator a person: adding a story leaves everybody else as they were.
        random = Random(f"{seed}-{person.number}")
        said_no = random.random() < NO_SHARE
        for row in (*_texts(person, at), *_deeds(person, products, random, at)):
            yield {
                **dict.fromkeys(COLUMNS, ""),
                **person.columns,
                "consent": "no" if said_no else "",
                **row,
            }


def _texts(person: Person, at: datetime) -> Iterator[dict[str, Any]]:
    for position, text in enumerate(person.texts):
        # Spread over the day by position, so that two texts of one day keep order.
        moment = at - timedelta(
            days=STORY_PACE * text["days_ago"],
            minutes=37 * (person.number % 11) - 11 * position,
        )
        yield {
            "interaction_id": f"LL-{person.number:04d}-T{position + 1}",
            "occurred_at": moment.isoformat(timespec="seconds"),
            "kind": text["kind"],
            "channel": text.get("channel") or "",
            "rating": "" if text.get("rating") is None else text["rating"],
            "subject": text.get("subject") or "",
            "text": text["text"],
            "product": text.get("product") or "",
        }


def _deeds(
    person: Person, products: list[dict[str, Any]], random: Random, at: datetime
) -> Iterator[dict[str, Any]]:
    """Orders, returns and visits: a regular rhythm with gaps, no link to feelings."""
    orders = 1 + _poisson(random, ORDERS_A_CUSTOMER - 1)
    for order in range(orders):
        age = random.uniform(1, SPAN_DAYS)
        product = random.choices(products, [item["weight"] for item in products])[0]
        amount = round(product["price"] * random.choice((1, 1, 1, 2, 3)) + 3.95, 2)
        number = f"LL-{person.number:04d}-O{order + 1}"
        bought = {
            "interaction_id": number,
            "occurred_at": _moment(at, age, random),
            "kind": "order",
            "product": product["name"],
            "amount": f"{amount:.2f}",
            "currency": "GBP",
        }
        yield bought
        if age > 20 and random.random() < RETURN_SHARE:
            yield {
                **bought,
                "interaction_id": f"{number}-R",
                "kind": "return",
                "occurred_at": _moment(at, age - random.uniform(4, 18), random),
            }
    for visit in range(_poisson(random, VISITS_A_CUSTOMER)):
        yield {
            "interaction_id": f"LL-{person.number:04d}-V{visit + 1}",
            "occurred_at": _moment(at, random.uniform(1, SPAN_DAYS), random),
            "kind": "visit",
            "channel": "web",
        }


def _moment(at: datetime, age_days: float, random: Random) -> str:
    moment = at - timedelta(days=age_days)
    opened = moment.replace(hour=random.randint(7, 21), minute=random.randint(0, 59))
    return min(opened, at).isoformat(timespec="seconds")


def _poisson(random: Random, mean: float) -> int:
    """Knuth's product of uniforms: enough for means below ten."""
    limit, count, product = pow(2.718281828459045, -mean), 0, random.random()
    while product > limit:
        count += 1
        product *= random.random()
    return count


def write_history(path: Path, *, at: datetime, seed: int = 7) -> int:
    """Write the sample shop as a history file (gzip CSV); returns the rows written."""
    rows = sorted(interactions(at=at, seed=seed), key=lambda row: row["occurred_at"])
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)
