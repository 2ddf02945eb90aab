"""Every page of lists and of single things, as a signed-in marketer's browser asks."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from measure import Taken, take

from customers.admin import PAGES_OFFERED
from customers.models import Customer
from segmentation.models import (
    EmergentGroup,
    Membership,
    RuleSegment,
    Segment,
    SegmentationRun,
)

SEED = 5
LEAST = 3
PEOPLE_A_PAGE = 50
NAMES = ["Grace", "Oak", "Bo Maple", "ada", "Li"]
Address = Callable[[], str]


def look(*, requests: int, seconds: float) -> dict[str, Any]:
    """Each page so many times, another object each time, after one look to warm up.

    A page that has taken so many seconds in all is left, after three requests at least.
    Returns {page: [p50 ms, p95 ms, p95 ms of this process's CPU, queries, requests]},
    the slowest first.
    """
    client = _signed_in()
    figures = {}
    for name, address in _pages().items():
        with CaptureQueriesContext(connection) as queries:
            _get(client, address())
        asked = len(queries)
        taken: list[Taken] = []
        while len(taken) < requests and (
            len(taken) < LEAST or sum(one.seconds for one in taken) < seconds
        ):
            url = address()
            taken.append(take(lambda url=url: _get(client, url)))
        wall = [1000 * one.seconds for one in taken]
        cpu = [1000 * one.cpu_seconds for one in taken]
        p50, p95 = np.percentile(wall, (50, 95)).round(1).tolist()
        p95_cpu = float(np.percentile(cpu, 95).round(1))
        figures[name] = [p50, p95, p95_cpu, asked, len(taken)]
    return dict(sorted(figures.items(), key=lambda item: -item[1][1]))


def _signed_in() -> Client:
    from django.contrib.auth.models import User

    client = Client(SERVER_NAME="127.0.0.1")
    user = User.objects.filter(is_superuser=True).first()
    client.force_login(user or User.objects.create_superuser("bench"))
    return client


def _get(client: Client, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 200, f"{url}: {answer.status_code}"
    assert answer.content


def _pages() -> dict[str, Address]:
    return {**dict(_of_customers()), **dict(_of_segments()), **dict(_of_mail())}


def _of_customers() -> Iterator[tuple[str, Address]]:
    chance = random.Random(SEED)
    total = Customer.objects.count()

    def anybody() -> int:
        return chance.randint(1, total)

    people = reverse("admin:customers_customer_changelist")
    keys = list(Segment.objects.values_list("key", flat=True))
    yield "home", lambda: reverse("admin:index")
    yield "customers", lambda: people
    last = min(total // PEOPLE_A_PAGE, PAGES_OFFERED)
    yield "customers, a later page", lambda: f"{people}?p={chance.randint(2, last)}"
    yield "customers of a segment", lambda: f"{people}?segment={chance.choice(keys)}"
    yield "customers by id", lambda: f"{people}?q=c{anybody():07}"
    yield "customers by part of an address", lambda: f"{people}?q=.{anybody()}@exam"
    yield (
        "customers by name",
        lambda: f"{people}?q={chance.choice(NAMES)}",
    )
    yield (
        "customers of a segment by name",
        lambda: f"{people}?segment={chance.choice(keys)}&q={chance.choice(NAMES)}",
    )
    yield "customers by address, sorted", lambda: f"{people}?q=example&o=2"
    yield "customers by what nobody is called", lambda: f"{people}?q=zq{anybody()}"
    yield "customer", _detail("customers_customer", anybody)
    yield "interactions", lambda: reverse("admin:customers_interaction_changelist")
    yield "interaction", _detail("customers_interaction", anybody)
    yield "consents", lambda: reverse("admin:customers_consent_changelist")
    yield "consent", _detail("customers_consent", anybody)
    yield "never mailed", lambda: reverse("admin:customers_suppression_changelist")
    yield "imports", lambda: reverse("admin:customers_importrun_changelist")


def _of_segments() -> Iterator[tuple[str, Address]]:
    chance = random.Random(SEED)
    run = SegmentationRun.objects.get(state="published")
    sizes = run.quality["sizes"]
    keys = [key for key, size in sizes.items() if size]
    total = Customer.objects.count()

    def of_a_segment(page: str) -> Address:
        return lambda: reverse(f"segmentation:{page}", args=[chance.choice(keys)])

    def later_members() -> str:
        place = (
            Membership.objects.filter(run=run, pk__gte=_some_place(chance, run))
            .select_related("segment")
            .order_by("pk")
            .first()
        )
        assert place is not None
        url = reverse("segmentation:members", args=[place.segment.key])
        return f"{url}?after={place.probability!r}_{place.pk}"

    for name in (
        "segments changes runs groups pins words to_read model rules new_rule "
        "disagreeing map drift"
    ).split():
        yield name, lambda name=name: reverse(f"segmentation:{name}")
    yield "segment", of_a_segment("segment")
    yield "members", of_a_segment("members")
    yield "members, a later page", later_members
    yield "segment_changes", of_a_segment("segment_changes")
    yield (
        "text",
        lambda: reverse("segmentation:text", args=[chance.randint(1, total)]),
    )
    runs = list(SegmentationRun.objects.order_by("pk").values_list("pk", flat=True))
    yield "run", lambda: reverse("segmentation:run", args=[chance.choice(runs)])
    yield (
        "compare",
        lambda: f"{reverse('segmentation:compare')}?then={runs[0]}&now={runs[-1]}",
    )
    for group in EmergentGroup.objects.all()[:1]:
        url = reverse("segmentation:group", args=[group.pk])
        yield "group", lambda url=url: url
    for rule in RuleSegment.objects.all()[:1]:
        url = reverse("segmentation:rule", args=[rule.key])
        yield "rule", lambda url=url: url
    for model, ids in (
        ("segment", list(Segment.objects.values_list("pk", flat=True))),
        ("segmentationrun", runs),
    ):
        listing = reverse(f"admin:segmentation_{model}_changelist")
        yield f"{model} facts", lambda listing=listing: listing
        yield (
            f"{model} fact",
            _detail(f"segmentation_{model}", lambda ids=ids: chance.choice(ids)),
        )


def _some_place(chance: random.Random, run: SegmentationRun) -> int:
    first = run.memberships.order_by("customer").values_list("pk", flat=True)[0]
    return chance.randint(first, first + run.customers - 1)


def _of_mail() -> Iterator[tuple[str, Address]]:
    from campaigns.models import Campaign, EmailTemplate, Send, Sender

    chance = random.Random(SEED)
    total = Customer.objects.count()
    for model, name in (
        (EmailTemplate, "emailtemplate"),
        (Campaign, "campaign"),
        (Sender, "sender"),
    ):
        ids = list(model.objects.values_list("pk", flat=True))
        listing = reverse(f"admin:campaigns_{name}_changelist")
        yield f"{name}s", lambda listing=listing: listing
        yield (
            name,
            _detail(f"campaigns_{name}", lambda ids=ids: chance.choice(ids)),
        )
    send = Send.objects.latest("pk")
    yield "send", lambda: reverse("campaigns:send", args=[send.pk])
    yield (
        "names of a send",
        lambda: (
            reverse("campaigns:names", args=[send.pk, "accepted"])
            + f"?after={chance.randint(0, total)}"
        ),
    )
    yield "outbox", lambda: reverse("campaigns:outbox")
    yield "reports", lambda: reverse("engagement_admin:reports")
    yield "report", lambda: reverse("engagement_admin:report", args=[send.pk])
    yield "events", lambda: reverse("admin:engagement_trackingevent_changelist")
    yield (
        "event",
        _detail("engagement_trackingevent", lambda: chance.randint(1, total)),
    )


def _detail(model: str, choose: Callable[[], int]) -> Address:
    return lambda: reverse(f"admin:{model}_change", args=[choose()])
