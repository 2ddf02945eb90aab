"""Who gets it first while a domain warms up; how it is set, shown and foretold."""

import itertools
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaigns.engaged import ENGAGED, LAST_RANK, ranks
from campaigns.models import (
    Batch,
    Message,
    ProviderNote,
    RateLimit,
    Send,
    SenderDomainWarmUp,
)
from campaigns.planning import preflight
from campaigns.sending import canary, claims, warming
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import launch_send, materialise, schedule_send
from campaigns.warmup_models import DEFAULT_CAPS, domain_of, rising_caps
from customers.models import Interaction
from engagement.examining import examine
from engagement.models import MessageEngagement
from engagement.opens import opened_last

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def warm_up(admin_user, at):
    made = SenderDomainWarmUp(domain="shop.example", caps=[4, 8, 100])
    warming.keep(made, at=at, by=admin_user)
    return made


@pytest.fixture
def people(world, campaign, at):
    """Twelve in three tones; of the last four one each clicked, replied, ordered 100
    days ago, and visited."""
    campaign.neutral_share = 0.0
    campaign.save()
    people = world.add_customers(12)
    for one, kind, days in (
        (people[8], "click", 10),
        (people[9], "reply", 60),
        (people[10], "order", 100),
        (people[11], "visit", 1),
    ):
        Interaction.objects.create(
            customer=one, kind=kind, occurred_at=at - days * DAY, key=kind
        )
    return people


def sent_to(channel):
    return [int(one.removeprefix("person").partition("@")[0]) for one in channel.ledger]


@pytest.mark.parametrize(
    ("days", "rank"), [(0, 1), (30, 1), (31, 2), (90, 2), (180, 3), (181, 4)]
)
def test_the_rank_says_how_long_ago_somebody_was_engaged(people, at, days, rank):
    Interaction.objects.filter(kind="click").update(occurred_at=at - days * DAY)
    found = ranks([people[8].pk, people[0].pk], at=at, wanted=True)
    assert found == {people[8].pk: rank, people[0].pk: LAST_RANK}


def test_who_opened_a_mail_was_engaged_and_a_proxy_was_not(
    people, world, campaign, at, warm_up
):
    send = world.prepared_send(campaign)
    first, second = send.messages.filter(customer__in=[people[0], people[1]]).order_by(
        "customer"
    )
    MessageEngagement.objects.create(message=first, opened_by_person_at=at - DAY)
    MessageEngagement.objects.create(message=second, opened_at=at - DAY)
    assert opened_last in ENGAGED
    ids = [people[0].pk, people[1].pk]
    assert ranks(ids, at=at, wanted=True) == {ids[0]: 1, ids[1]: LAST_RANK}


def test_the_engaged_get_it_first_and_the_others_in_their_turn(
    people, world, campaign, lane, channel, warm_up, at, invariants
):
    send = world.prepared_send(campaign)
    assert send.engaged_first
    for day in range(3):
        SenderDomainWarmUp.objects.update(day=day + 1)
        while deliver_next_batch(lane, now=at + day * DAY):
            pass
    order = sent_to(channel)
    assert order[:3] == [8, 9, 10]
    assert sorted(order) == list(range(12))
    assert invariants(channel).taken == 12


def test_the_order_holds_on_the_day_after_too(
    people, world, campaign, lane, channel, warm_up, at
):
    Interaction.objects.filter(kind__in=["click", "reply"]).delete()
    SenderDomainWarmUp.objects.update(caps=[1, 2, 3])
    order = people[4]
    Interaction.objects.create(
        customer=order, kind="order", occurred_at=at - DAY, key="again"
    )
    world.prepared_send(campaign)
    for day in range(2):
        while deliver_next_batch(lane, now=at + day * DAY):
            pass
    assert sent_to(channel) == [4, 10]


def test_a_batch_holds_one_tone_and_one_rank(people, world, campaign, warm_up):
    send = world.prepared_send(campaign)
    for batch in send.batches.all():
        messages = batch.messages.all()
        assert {one.tone for one in messages} == {batch.variant.tone}
        theirs = [one.customer_id for one in messages]
        found = ranks(theirs, at=send.scheduled_at, wanted=True)
        assert set(found.values()) == {batch.rank}
    assert set(send.batches.values_list("rank", flat=True)) == {1, 2, 3, 4}


def test_an_audience_that_is_taken_up_again_ranks_as_it_began(
    people, world, campaign, warm_up, at, monkeypatch
):
    monkeypatch.setattr("campaigns.materialising.CUSTOMERS_A_CHUNK", 5)
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    assert not materialise(send, at=at, until=0.0)
    # Switched off meanwhile: what has begun goes on as it began.
    SenderDomainWarmUp.objects.update(on=False)
    assert materialise(Send.objects.get(), at=at)
    ranked = dict(
        Message.objects.filter(batch__rank__lt=LAST_RANK).values_list(
            "customer__external_id", "batch__rank"
        )
    )
    assert ranked == {"c8": 1, "c9": 2, "c10": 3}
    assert Message.objects.count() == 12


def test_the_claim_of_a_ranked_send_goes_by_rank_before_the_clock(
    people, world, campaign, warm_up, at
):
    send = world.prepared_send(campaign)
    Batch.objects.filter(rank=4).update(not_before=at - DAY)
    taken = []
    while found := claims.claim(
        "bulk", now=at, lease=DAY, send_id=send.pk, engaged_first=True
    ):
        taken.append(Batch.objects.get(pk=found.batch_id).rank)
    assert taken == sorted(taken)
    assert len(taken) == send.batches.count()


def test_the_first_few_of_a_large_send_are_the_most_engaged(
    people, world, campaign, warm_up, monkeypatch, settings
):
    settings.CANARY = 2
    monkeypatch.setattr(canary, "FROM", 5)
    send = world.prepared_send(campaign)
    [few] = Batch.objects.filter(send=send, paused=False)
    assert few.rank == 1


def test_nobody_s_feelings_are_asked_for_the_order(people):
    with CaptureQueriesContext(connection) as asked:
        ranks([one.pk for one in people], at=timezone.now(), wanted=True)
    words = " ".join(one["sql"] for one in asked.captured_queries)
    assert len(asked) == 2
    assert "segmentation_" not in words


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ([], "at least one day"),
        ("50", "at least one day"),
        ([50, "100"], "Day 2: 100 is no whole number"),
        ([50, 100.5], "Day 2: 100.5 is no whole number"),
        ([True], "Day 1: True is no whole number"),
        ([0], "Day 1: 0 is not from 1"),
        ([50, 50], "Day 2 allows 50, and the day before 50"),
        ([50, 20], "each day has to allow more"),
        ([2**31], "not from 1 to 2,147,483,647"),
        (list(range(1, 122)), "121 days; 120 is the most"),
    ],
)
def test_a_table_that_does_not_rise_is_refused_with_its_day(caps, words):
    with pytest.raises(ValidationError, match=words):
        rising_caps(caps)


def test_the_table_there_is_never_more_than_doubles():
    rising_caps(list(DEFAULT_CAPS))
    pairs = itertools.pairwise(DEFAULT_CAPS)
    assert all(later <= 2 * sooner for sooner, later in pairs)


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("Hello@Shop.Example", "shop.example"),
        ("hello@bücher.example", "xn--bcher-kva.example"),
        ("", ""),
    ],
)
def test_a_domain_is_told_by_its_name_on_the_wire(address, domain):
    assert domain_of(address) == domain


ADD = "admin:campaigns_senderdomainwarmup_add"


def test_a_warm_up_is_begun_in_the_admin_with_who_did(admin_client):
    page = admin_client.get(reverse(ADD)).content.decode()
    assert "50, 100, 200, 400" in page
    form = {"domain": "@Shop.Example", "on": "on", "day": "1", "caps": "50 100\n200"}
    admin_client.post(reverse(ADD), form)
    made = SenderDomainWarmUp.objects.get()
    assert (made.domain, made.caps, made.day) == ("shop.example", [50, 100, 200], 1)
    assert made.started_on is not None
    assert RateLimit.objects.get().warm_up == made
    note = ProviderNote.objects.get()
    assert note.sentence == (
        "admin set: at most 50 a day from shop.example, on day 1 of its warm-up."
    )
    change = reverse("admin:campaigns_senderdomainwarmup_change", args=[made.pk])
    assert "50, 100, 200" in admin_client.get(change).content.decode()
    admin_client.post(change, form | {"day": "2"})
    assert SenderDomainWarmUp.objects.get().day == 2
    assert RateLimit.objects.count() == 1
    delete = reverse("admin:campaigns_senderdomainwarmup_delete", args=[made.pk])
    admin_client.post(delete, {"post": "yes"})
    assert not RateLimit.objects.exists()
    assert "removed the warm-up" in ProviderNote.objects.latest("pk").sentence


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"caps": "50, 1,000"}, "Write 1000, not"),
        ({"caps": "100, 50"}, "each day has to allow more"),
        ({"caps": "many"}, "“many” is no whole number above 0"),
        ({"caps": " , "}, "at least one day"),
        ({"domain": "no domain"}, "is no domain that mail comes from"),
        ({"day": "0"}, "The first day is day 1"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_written(admin_client, wrong, words):
    form = {"domain": "shop.example", "on": "on", "day": "1", "caps": "50, 100"}
    answer = admin_client.post(reverse(ADD), form | wrong).content.decode()
    assert words in answer
    assert not SenderDomainWarmUp.objects.exists()


def test_the_provider_s_page_shows_day_cap_use_gates_and_why_it_stays(
    admin_client, warm_up, at
):
    warm_up.refresh_from_db()
    warm_up.last_day = {
        "date": "2026-03-01", "cap": 4, "mails": 1, "bounced": 0, "complained": 0,
        "because": "Of 4 only 1 were used on 2026-03-01.",
    }  # fmt: skip
    warm_up.judged_on = at.date()
    warm_up.save()
    page = admin_client.get(reverse("campaigns:provider")).content.decode()
    for words in (
        "At most 4 a day from shop.example, on day 1 of its warm-up",
        "0 used today, 4 left",
        "Day 1 of 3",
        "then 8 a day",
        "1 of 4 mails left, 0 came back, 0 called it spam",
        "Of 4 only 1 were used on 2026-03-01.",
    ):
        assert words in page
    SenderDomainWarmUp.objects.update(day=4)
    page = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "Shop.example has warmed up" in page


def test_a_campaign_is_told_how_long_the_warm_up_takes(people, campaign, warm_up, at):
    [words] = [one for one in preflight(campaign, at=at).warnings if "warms up" in one]
    assert words.startswith("It takes until 2026-03-03 at the earliest")
    assert "at most 4 a day from shop.example" in words


def test_a_domain_without_history_that_sends_much_is_told_of(
    people, world, campaign, at, settings, monkeypatch, admin_user
):
    monkeypatch.setattr(warming, "BEGINS_WITH_MOST", 12)

    def told():
        settings.PROVIDER = "smtp"
        settings.SMTP_URL = "smtp://127.0.0.1:9"
        words = preflight(campaign, at=at).warnings
        found = [*examine(at=at)]
        settings.PROVIDER = "outbox"
        return (
            any("Nothing was sent from shop.example before" in one for one in words),
            any("12 mails at once" in one.words for one in found),
        )

    first = world.prepared_send(campaign)
    assert told() == (True, True)
    SenderDomainWarmUp.objects.create(domain="shop.example", started_on=at.date())
    assert told() == (False, False)
    SenderDomainWarmUp.objects.all().delete()
    Send.objects.filter(pk=first.pk).update(state="sent")
    assert told() == (False, False)


def test_everybody_is_ranked_by_their_own_deeds(people, at):
    found = ranks([one.pk for one in people], at=at, wanted=True)
    assert [found[one.pk] for one in people] == [4] * 8 + [1, 2, 3, 4]
    assert ranks([people[0].pk], at=at, wanted=False) == {}
