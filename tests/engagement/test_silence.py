from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from scipy.stats import nbinom

from campaigns.models import Campaign, Message, Send
from engagement.models import MessageEngagement
from engagement.panels import habit_of
from engagement.silence import Habit


@pytest.mark.parametrize("usual", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("before", [(0, 0), (1, 9), (5, 20), (40, 300)])
@pytest.mark.parametrize("lately", [(0, 1), (0, 8), (1, 25), (7, 60)])
def test_the_chance_is_that_of_the_negative_binomial(usual, before, lately):
    habit = Habit(*before, *lately, days=90, usual=usual)
    rate = 1 / usual + before[1]
    expected = nbinom.cdf(lately[0], 1 + before[0], rate / (rate + lately[1]))
    assert habit.chance == pytest.approx(expected, rel=1e-9)


def test_five_of_twenty_and_then_none_of_twenty_five_is_no_chance():
    # (30 / 55)^6 = .026; of twelve mails it is (30 / 42)^6 = .13.
    assert Habit(5, 20, 0, 25, days=90, usual=0.1).gone_quiet
    assert not Habit(5, 20, 0, 12, days=90, usual=0.1).gone_quiet


@pytest.mark.parametrize(
    "habit",
    [
        Habit(0, 200, 0, 60, days=90, usual=0.1),  # never clicked
        Habit(50, 60, 0, 7, days=90, usual=0.1),  # few mails
        Habit(50, 60, 0, 20, days=59, usual=0.1),  # few weeks
        Habit(50, 60, 0, 20, days=90, usual=0.0),  # nobody clicks
    ],
)
def test_of_whom_too_little_is_known_nothing_is_said(habit):
    assert not habit.gone_quiet


def test_a_shop_without_a_usual_rate_has_no_chance():
    with pytest.raises(ValueError, match="above 0"):
        _ = Habit(1, 1, 0, 1, days=90, usual=0.0).chance


@pytest.mark.django_db
def test_the_page_says_who_has_gone_quiet_by_clicks_of_people(
    admin_client, ada, bo, sender, send
):
    now = timezone.now()

    def mail(customer, days_ago, *, clicked_by="", state="sent"):
        campaign = Campaign.objects.create(
            name="x", template=send.campaign.template, sender=sender
        )
        of = Send.objects.create(campaign=campaign, scheduled_at=now, state=state)
        one = Message.objects.create(
            send=of,
            customer=customer,
            state="accepted",
            address_wire=customer.email,
            handed_over_at=now - timedelta(days=days_ago),
        )
        MessageEngagement.objects.create(
            message=one,
            opened_at=now,
            clicked_at=now if clicked_by else None,
            clicked_by_person_at=now if clicked_by == "a person" else None,
        )

    for week in range(12):
        mail(ada, 95 + week, clicked_by="a person")
        mail(bo, 95 + week, clicked_by="a machine")
    for day in range(10):
        for customer in (ada, bo):
            mail(customer, 1 + 8 * day, clicked_by="a machine")
    # Nobody had time to click what is under way.
    for _ in range(3):
        mail(bo, 0, state="sending")
    found = habit_of(ada, at=now)
    assert (found.clicks_before, found.mails_before) == (12, 12)
    assert (found.clicks_lately, found.mails_lately) == (0, 10)
    assert round(found.days) == 73
    assert found.usual == pytest.approx(12 / 44)
    address = reverse("admin:customers_customer_change", args=[ada.pk])
    text = admin_client.get(address).content.decode()
    assert "Gone quiet." in text
    assert "0 of the last 10 mails in 73 days were clicked" in text
    address = reverse("admin:customers_customer_change", args=[bo.pk])
    assert "Gone quiet." not in admin_client.get(address).content.decode()
