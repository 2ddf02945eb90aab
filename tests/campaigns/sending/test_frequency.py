from collections import Counter
from datetime import date, timedelta

import pytest
from django.urls import reverse

from campaigns.audience import LEFT_OUT_REASONS, reason_label
from campaigns.merging import move
from campaigns.models import FrequencyCap, FrequencyReservation
from campaigns.sending import ledger
from campaigns.sending.channels import InDoubt, Refused, channel_for
from campaigns.sending.frequency import forget_old, places_of, window_of
from campaigns.sending.protocol import Lane, deliver_next_batch
from customers.merges import Merging
from customers.models import Customer

pytestmark = pytest.mark.django_db

DOUBT = InDoubt("in_doubt", "no answer")


@pytest.fixture
def shop(world, campaign):
    """Six customers, one of them frustrated, one anxious."""
    world.add_customers(6)
    return campaign


def send_again(world, campaign, lane, at):
    send = world.prepared_send(campaign, at=at)
    for now in (at, at + timedelta(minutes=10)):  # a breaker that opened asks again
        while deliver_next_batch(lane, now=now) is not None:
            pass
    ledger.finish_sends(now=at)
    return send


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def test_without_a_cap_nothing_is_reserved(world, shop, lane, at):
    send = send_again(world, shop, lane, at)
    assert states(send) == {"accepted": 6}
    assert not FrequencyReservation.objects.exists()


def test_who_has_had_enough_is_left_out_by_name_and_the_unhappy_sooner(
    world, shop, lane, at
):
    FrequencyCap.objects.create(most=2, days=7)
    first = send_again(world, shop, lane, at)
    second = send_again(world, shop, lane, at + timedelta(days=1))
    third = send_again(world, shop, lane, at + timedelta(days=2))
    assert states(first) == {"accepted": 6}
    assert states(second) == {"accepted": 4, "left_out": 2}
    assert states(third) == {"left_out": 6}
    segments = second.messages.filter(state="left_out").values_list("segment_key")
    assert {key for (key,) in segments} == {"frustrated", "anxious"}
    one = second.messages.filter(state="left_out").first()
    assert one.reason == "capped"
    assert reason_label(one) == "enough mail lately: 1 since 02 March 2026"
    assert "capped" in LEFT_OUT_REASONS


def test_a_new_window_begins_on_monday(world, shop, lane, at):
    FrequencyCap.objects.create(most=2, days=7)
    for day in (0, 1, 7):
        send = send_again(world, shop, lane, at + timedelta(days=day))
    assert states(send) == {"accepted": 6}
    assert window_of(date(2026, 3, 8), 7) == date(2026, 3, 2)
    assert window_of(date(2026, 3, 9), 7) == date(2026, 3, 9)


def test_who_objected_to_profiling_gets_as_many_as_everybody(world, shop, lane, at):
    FrequencyCap.objects.create(most=2, days=7)
    send_again(world, shop, lane, at)
    # After the audience was written: its segment still stands with the message.
    send = world.prepared_send(shop, at=at + timedelta(days=1))
    Customer.objects.update(profiling_objected_at=at + timedelta(days=1))
    while deliver_next_batch(lane, now=at + timedelta(days=1, hours=1)) is not None:
        pass
    assert states(send) == {"accepted": 6}


def test_half_of_a_cap_is_never_nothing():
    cap = FrequencyCap(most=1, days=7)
    assert places_of(cap, "frustrated", objected=False) == 1
    assert places_of(FrequencyCap(most=5, days=7), "anxious", objected=False) == 2
    assert places_of(FrequencyCap(most=5, days=7), "anxious", objected=True) == 5


def test_a_refused_mail_gives_its_place_back_and_one_in_doubt_does_not(
    world, shop, lane, channel, at
):
    FrequencyCap.objects.create(most=1, days=7)
    channel.answers = {
        "person0@example.com": Refused("invalid", "550"),
        "person2@example.com": DOUBT,
    }
    send_again(world, shop, lane, at)
    channel.answers = {}
    send = send_again(world, shop, lane, at + timedelta(hours=2))
    got = send.messages.filter(state="accepted").values_list("address_wire", flat=True)
    assert "person0@example.com" in got
    assert "person2@example.com" not in got


def test_service_mail_is_not_counted_and_comes_all_the_same(world, shop, lane, at):
    FrequencyCap.objects.create(most=1, days=7)
    send_again(world, shop, lane, at)
    shop.template.purpose = "service"
    shop.template.save()
    send = send_again(world, shop, lane, at + timedelta(hours=1))
    assert states(send) == {"accepted": 6}
    assert FrequencyReservation.objects.count() == 6


def test_of_two_who_become_one_all_mails_count(world, shop, lane, at):
    FrequencyCap.objects.create(most=3, days=7)
    send_again(world, shop, lane, at)
    kept, other = Customer.objects.order_by("pk")[:2]
    other.messages.all().delete()
    send_again(world, shop, lane, at + timedelta(hours=1))
    kept.messages.order_by("pk").last().delete()
    move(Merging(kept=kept, other=other, by=None, at=at))
    assert sorted(kept.mail_places.values_list("ordinal", flat=True)) == [1, 2]


def test_windows_long_past_are_forgotten(world, shop, lane, at):
    FrequencyCap.objects.create(most=3, days=7)
    send_again(world, shop, lane, at)
    assert forget_old(at=at + timedelta(days=90)) == 0
    assert forget_old(at=at + timedelta(days=120)) == 6


def test_the_shop_sets_it_on_a_page_and_it_is_kept_who(admin_client):
    admin_client.post(reverse("campaigns:set_cap"), {"most": "3", "days": "7"})
    assert str(FrequencyCap.objects.get()) == "at most 3 in 7 days"
    content = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "admin set: at most 3 in 7 days for each customer." in content
    admin_client.post(reverse("campaigns:set_cap"), {"most": "", "days": "7"})
    assert not FrequencyCap.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_campaigns_that_race_for_the_last_place_one_loses(
    world, campaign, at, at_once
):
    world.add_customers(60)
    FrequencyCap.objects.create(most=1, days=7)
    sends = [
        world.prepared_send(one)
        for one in (campaign, world.add_campaign(campaign.template))
    ]

    def work(now=at):
        lane = Lane("bulk", channel_for("outbox"))
        while deliver_next_batch(lane, now=now) is not None:
            pass

    assert at_once(work, work) == []
    # Whose place another took in that moment is asked anew in the next.
    work(at + timedelta(minutes=1))
    got = Counter()
    for send in sends:
        assert set(states(send)) <= {"accepted", "left_out"}
        got.update(
            send.messages.filter(state="accepted").values_list("customer", flat=True)
        )
    assert len(got) == 60
    assert set(got.values()) == {1}
