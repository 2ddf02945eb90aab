"""Customers, texts, scores, a campaign and a send, as years of trade leave them.

Who feels what comes from the method's generator (A.1); texts lie in the table in the
order they were written, not customer by customer, as they do in life.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.core.management.color import no_style
from django.db import connection
from measure import add_campaign

from large_shop.rows import insert_rows
from segmentation.bulk_rows import as_stored
from tests.segmentation.generator import make_customers

SEED = 11
MADE_AT_ONCE = 20_000
WRITTEN_AT_ONCE = 50_000
YEAR_DAYS = 365.0
KINDS = ("ticket", "review", "survey", "reply", "chat")
RATED = (1, 2)  # reviews and surveys come with one to five stars
OBJECTED, DISAGREEING, MATTERS = 0.001, 0.002, 0.0002
CLICKED = 0.05
MAILS_A_BATCH = 500
# Of tickets; hours until the answer, on average. 9 in 100 come after the promised 48.
ANSWERED, HOURS_TO_ANSWER = 0.9, 20.0
# What is done without a word, times a customer and year.
DEEDS = {"order": 1.0, "click": 0.5, "return": 0.05}
FIRST_NAMES = (
    "Ada Bo Cy Di Eve Finn Grace Hugo Iris Jonas Kim Lena Milo Nora Otto Paula".split()
)
LAST_NAMES = "Ash Birch Cedar Elder Fern Hazel Ivy Juniper Linden Maple Oak".split()
SENTENCES = (
    "Nobody answers and I am furious about it.",
    "I am worried that the parcel is lost for good.",
    "I do not understand what this letter asks of me.",
    "Sadly the blue cup came broken once more.",
    "I can hardly wait to plant them in the spring!",
    "The children laughed all morning, what a joy.",
    "Thank you, I have trusted you for many years.",
    "Does the large pot fit into the small basket?",
    "The order has the number that stands on the bill.",
)


@dataclass(frozen=True, slots=True)
class Written:
    """Texts in the order of their time. customer: ids from 1 on."""

    customer: Any
    moment: Any
    kind: Any
    families: Any
    valence: Any
    rating: Any

    def __len__(self) -> int:
        return len(self.customer)


def fill(customers: int, *, at: datetime) -> dict[str, Any]:
    """Everything up to, not including, the first fit. Returns how many of what."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA cache_size=-2000000")
    random = np.random.default_rng(SEED)
    written, truth = _write_down(customers, random, at=at)
    _customers(customers, random, at=at)
    _texts(written, random, at=at)
    deeds = _deeds(customers, random, after=len(written), at=at)
    _a_send(truth, random, at=at)
    _settle()
    return {"customers": customers, "texts": len(written), "deeds": deeds}


def _write_down(
    customers: int, random: np.random.Generator, *, at: datetime
) -> tuple[Written, Any]:
    who, families, truth = [], [], []
    for first in range(0, customers, MADE_AT_ONCE):
        count = min(MADE_AT_ONCE, customers - first)
        made = make_customers(count, seed=SEED + first)
        who.append((made.texts.customer + first + 1).astype(np.int64))
        families.append(made.texts.families.astype("<f4"))
        truth.append(made.truth)
    customer = np.concatenate(who)
    n = len(customer)
    age = random.uniform(0, YEAR_DAYS, n)
    order = np.argsort(-age, kind="stable")
    now = np.datetime64(at.replace(tzinfo=None), "us")
    moment = now - (age * 86_400e6).astype("timedelta64[us]")
    mixes = np.concatenate(families)[order]
    # Stars go with what was written, more or less.
    pleasant = mixes[:, 4:8].sum(axis=1) - mixes[:, :4].sum(axis=1)
    stars = np.clip(np.rint(3.5 + 3 * pleasant + random.normal(0, 1, n)), 1, 5)
    written = Written(
        customer=customer[order],
        moment=moment[order],
        kind=random.integers(0, len(KINDS), n),
        families=mixes,
        valence=np.clip(pleasant, -1, 1).astype(np.float64),
        rating=stars,
    )
    return written, np.concatenate(truth)


def _customers(count: int, random: np.random.Generator, *, at: datetime) -> None:
    from customers.models import Consent, Customer

    objected = random.random(count) < OBJECTED
    joined = as_stored(np.array([at.replace(tzinfo=None) - timedelta(days=400)], "M8"))[
        0
    ]
    columns = (
        "id external_id email address_wire address_key first_name last_name language "
        "timezone country tags profiling_objected_at added_at"
    ).split()

    def customer(number: int) -> tuple[Any, ...]:
        first = FIRST_NAMES[number % len(FIRST_NAMES)]
        last = LAST_NAMES[number // 7 % len(LAST_NAMES)]
        address = f"{first}.{last}.{number}@example.com".lower()
        return (
            number, f"c{number:07}", address, address, address, first, last, "en",
            "Europe/London", "GB", "[]", joined if objected[number - 1] else None,
            joined,
        )  # fmt: skip

    consent = "customer_id purpose basis source wording occurred_at recorded_at".split()
    for part in _parts(count):
        numbers = range(part.start + 1, part.stop + 1)
        insert_rows(Customer, columns, map(customer, numbers))
        insert_rows(
            Consent,
            consent,
            (
                (one, "marketing", "existing_customer", "bench", "", joined, joined)
                for one in numbers
            ),
        )


def add_news(texts: int, *, at: datetime) -> int:
    """So many texts of the last day, read and marked as scoring does; of how many."""
    from customers.models import Customer, Interaction
    from segmentation.models import ReadingMark
    from segmentation.news import mark

    random = np.random.default_rng(SEED + 1)
    customers = Customer.objects.count()
    made = make_customers(max(100, texts // 3), seed=SEED + 2).texts.families[:texts]
    n = len(made)
    now = np.datetime64(at.replace(tzinfo=None), "us")
    written = Written(
        customer=random.integers(1, customers + 1, n),
        moment=now - np.sort(random.uniform(0, 86_400e6, n))[::-1].astype("m8[us]"),
        kind=random.integers(0, len(KINDS), n),
        families=made.astype("<f4"),
        valence=np.zeros(n),
        rating=np.full(n, 3.0),
    )
    _texts(written, random, at=at, after=Interaction.objects.latest("pk").pk)
    newest = Interaction.objects.latest("pk").pk
    ReadingMark.objects.filter(pk=1).update(reading_at=newest)
    who = np.unique(written.customer).tolist()
    mark(who)
    return len(who)


def _texts(
    written: Written, random: np.random.Generator, *, at: datetime, after: int = 0
) -> None:
    from customers.models import Interaction
    from segmentation.emotion.reading import reading_version
    from segmentation.models import EmotionScore, SensitiveMatter
    from segmentation.profile.events import SOURCE_WEIGHT
    from segmentation.shop_words import brand_words

    version = reading_version(brand_words=brand_words())
    disagrees = random.random(len(written)) < DISAGREEING
    matter = random.random(len(written)) < MATTERS
    now = np.datetime64(at.replace(tzinfo=None), "us")
    waited = random.exponential(HOURS_TO_ANSWER * 3600e6, len(written))
    answer = written.moment + waited.astype("m8[us]")
    answered = (random.random(len(written)) < ANSWERED) & (answer <= now)
    answered &= written.kind == KINDS.index("ticket")
    answer[~answered] = np.datetime64("NaT")
    interaction = (
        "id customer_id occurred_at kind key channel rating subject text product "
        "currency attributes answered_at recorded_at"
    ).split()
    score = (
        "interaction_id customer_id occurred_at kind families valence arousal weight "
        "sentences language not_read notes disagrees corrected analyzer scored_at"
    ).split()
    for part in _parts(len(written)):
        rows = slice(part.start, part.stop)
        ids = range(after + part.start + 1, after + part.stop + 1)
        who, when = written.customer[rows].tolist(), as_stored(written.moment[rows])
        kinds = written.kind[rows].tolist()
        mixes = written.families[rows]
        strongest = mixes.argmax(axis=1).tolist()
        stars = written.rating[rows].tolist()
        valence = written.valence[rows].tolist()
        packed = [mix.tobytes() for mix in mixes]
        rounded = mixes.astype(float).round(4).tolist()
        odd = disagrees[rows].tolist()
        answers = as_stored(answer[rows])
        notes = ['["text and rating disagree"]' if one else "[]" for one in odd]
        insert_rows(
            Interaction,
            interaction,
            (
                (
                    pk, one, moment, KINDS[kind], f"k{pk}", "",
                    star if kind in RATED else None, "",
                    f"{SENTENCES[family]} {SENTENCES[8]}", "Clay pot", "", "{}",
                    answered_at, moment,
                )
                for pk, one, moment, kind, star, family, answered_at in zip(
                    ids, who, when, kinds, stars, strongest, answers, strict=True
                )
            ),
        )  # fmt: skip
        insert_rows(
            EmotionScore,
            score,
            (
                (
                    pk, one, moment, KINDS[kind], mix, value, 0.4,
                    SOURCE_WEIGHT[KINDS[kind]],
                    json.dumps([[SENTENCES[family], shares, 1.0]]), "en", "", note,
                    one_odd, False, version, moment,
                )
                for (
                    pk, one, moment, kind, mix, value, family, shares, note, one_odd,
                ) in zip(
                    ids, who, when, kinds, packed, valence, strongest, rounded, notes,
                    odd, strict=True,
                )
            ),
        )  # fmt: skip
        insert_rows(
            SensitiveMatter,
            "interaction_id customer_id occurred_at urgent found_at".split(),
            (
                (pk, one, moment, False, moment)
                for pk, one, moment, found in zip(
                    ids, who, when, matter[rows].tolist(), strict=True
                )
                if found
            ),
        )


def _deeds(
    customers: int, random: np.random.Generator, *, after: int, at: datetime
) -> int:
    """What was done without a word, after the texts in the table; how many."""
    from customers.models import Interaction

    columns = (
        "id customer_id occurred_at kind key channel subject text product currency "
        "attributes recorded_at"
    ).split()
    now = np.datetime64(at.replace(tzinfo=None), "us")
    for kind, times in DEEDS.items():
        count = round(times * customers)
        age = np.sort(random.uniform(0, YEAR_DAYS * 86_400e6, count))[::-1]
        who = random.integers(1, customers + 1, count)
        when = now - age.astype("m8[us]")
        for part in _parts(count):
            rows = slice(part.start, part.stop)
            insert_rows(
                Interaction,
                columns,
                (
                    (
                        pk, one, moment, kind, f"k{pk}", "", "", "", "Clay pot", "",
                        "{}", moment,
                    )
                    for pk, one, moment in zip(
                        range(after + part.start + 1, after + part.stop + 1),
                        who[rows].tolist(), as_stored(when[rows]), strict=True,
                    )
                ),
            )  # fmt: skip
        after += count
    return sum(round(times * customers) for times in DEEDS.values())


def _a_send(truth: Any, random: np.random.Generator, *, at: datetime) -> None:
    """Two campaigns; one of them went to everybody, and reports came back."""
    from campaigns.models import Batch, Campaign, Message, Send, SendVariant
    from engagement.models import MessageEngagement, TrackingEvent
    from segmentation.clustering.anchors import SEGMENTS
    from segmentation.models import Segment

    campaign = add_campaign()
    Campaign.objects.create(
        name="Only some",
        template=campaign.template,
        sender=campaign.sender,
        segments=["trusting"],
    )
    sent = Send.objects.create(
        campaign=campaign,
        state=Send.State.SENT,
        scheduled_at=at - timedelta(days=20),
        prepared_at=at - timedelta(days=20),
        finished_at=at - timedelta(days=20),
        audience_size=len(truth),
    )
    words = SendVariant.objects.create(send=sent, tone="neutral", compiled={})
    first = Batch.objects.bulk_create(
        Batch(
            send=sent,
            variant=words,
            state=Batch.State.DONE,
            not_before=sent.scheduled_at,
        )
        for _ in range(0, len(truth), MAILS_A_BATCH)
    )[0].pk
    tones = dict(Segment.objects.values_list("key", "tone"))
    left = as_stored(np.array([sent.scheduled_at.replace(tzinfo=None)], "M8"))[0]
    clicked = random.random(len(truth)) < CLICKED
    message = (
        "id send_id customer_id occasion public_id state reason detail address_wire "
        "segment_key tone arm provider_message_id handed_over_at settled_at batch_id"
    ).split()
    event = (
        "message_id event_type occurred_at recorded_at dedupe_key provider verdict "
        "verdict_reasons detail"
    ).split()
    for part in _parts(len(truth)):
        ids = range(part.start + 1, part.stop + 1)
        keys = [SEGMENTS[label] for label in truth[part.start : part.stop]]
        insert_rows(
            Message,
            message,
            (
                (
                    pk, sent.pk, pk, "", pk, "accepted", "", "", f"a{pk}@example.com",
                    key, tones[key], "neutral" if pk % 5 == 0 else "fitting", f"p{pk}",
                    left, left, first + (pk - 1) // MAILS_A_BATCH,
                )
                for pk, key in zip(ids, keys, strict=True)
            ),
        )  # fmt: skip
        insert_rows(
            MessageEngagement,
            "message_id delivered_at clicked_at clicked_by_person_at".split(),
            (
                (pk, left, *(2 * [left] if clicked[pk - 1] else 2 * [None]))
                for pk in ids
            ),
        )
        insert_rows(
            TrackingEvent,
            event,
            (
                (pk, "delivered", left, left, f"d{pk}", "postmark", "", "[]", "{}")
                for pk in ids
            ),
        )


def _parts(count: int) -> Iterator[range]:
    for start in range(0, count, WRITTEN_AT_ONCE):
        yield range(start, min(count, start + WRITTEN_AT_ONCE))


def _settle() -> None:
    """Sequences after rows with ids of ours, figures for the planner, that all texts
    have been read, and the search index as an engine's turns leave it."""
    from campaigns.models import Message
    from customers import searching
    from customers.models import Customer, Interaction
    from segmentation.models import EmotionScore, ReadingMark

    searching.catch_up(until=float("inf"))
    newest = Interaction.objects.latest("pk").pk
    version = EmotionScore.objects.latest("pk").analyzer
    ReadingMark.objects.create(pk=1, read_to=newest, reading_at=newest, version=version)

    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(
            no_style(), [Customer, Interaction, Message]
        ):
            cursor.execute(statement)
        cursor.execute(
            "VACUUM ANALYZE" if connection.vendor == "postgresql" else "PRAGMA optimize"
        )
