from datetime import timedelta

import numpy as np
import pytest

from customers.models import Customer, Interaction
from segmentation.emotion.families import FAMILIES
from segmentation.frames import pack_sums
from segmentation.holds import FRESH, HOLD, held
from segmentation.models import EmotionProfile, EmotionScore
from segmentation.profile.decay import ProfileSums

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return Customer.objects.create(external_id="c1", email="c1@example.com")


def said(customer, at, *, kind="ticket", rating=None, days_ago=1.0):
    return Interaction.objects.create(
        customer=customer,
        occurred_at=at - timedelta(days=days_ago),
        kind=kind,
        key=f"{kind}{days_ago}",
        rating=rating,
    )


def reads_as(interaction, **families):
    shares = [families.get(name, 0.0) for name in FAMILIES]
    EmotionScore.objects.create(
        interaction=interaction,
        customer=interaction.customer,
        occurred_at=interaction.occurred_at,
        kind=interaction.kind,
        families=np.array(shares, dtype="<f4").tobytes(),
        analyzer="test",
    )


@pytest.mark.parametrize(
    ("family", "word"), [("anger", "angry"), ("anxiety", "anxious"), ("sadness", "sad")]
)
def test_a_fresh_unhappy_ticket_holds_and_says_how_it_reads(customer, at, family, word):
    reads_as(said(customer, at), **{family: 0.6, "neutral": 0.4})
    assert held([customer.pk], at=at) == {
        customer.pk: f"a ticket that reads as {word} on 1 March 2026"
    }


def test_three_small_shares_of_unhappiness_add_up(customer, at):
    reads_as(said(customer, at), anger=0.2, anxiety=0.2, sadness=0.15)
    assert customer.pk in held([customer.pk], at=at)


def test_a_happy_ticket_and_a_happy_return_hold_nobody(customer, at):
    reads_as(said(customer, at), joy=0.7, anger=0.3)
    reads_as(said(customer, at, kind="return"), neutral=1.0)
    assert held([customer.pk], at=at) == {}


def test_an_unhappy_review_alone_is_no_open_complaint(customer, at):
    reads_as(said(customer, at, kind="review"), anger=0.9)
    assert held([customer.pk], at=at) == {}


def test_a_text_nobody_read_holds_nobody(customer, at):
    interaction = said(customer, at)
    EmotionScore.objects.create(
        interaction=interaction,
        customer=customer,
        occurred_at=interaction.occurred_at,
        kind="ticket",
        analyzer="test",
    )
    assert held([customer.pk], at=at) == {}


@pytest.mark.parametrize(("rating", "holds"), [(0, True), (2, True), (2.5, False)])
def test_the_two_lowest_marks_hold(customer, at, rating, holds):
    said(customer, at, kind="survey", rating=rating)
    assert (customer.pk in held([customer.pk], at=at)) is holds


def test_a_hold_ends_after_fourteen_days_and_never_comes_from_the_future(customer, at):
    said(customer, at, kind="survey", rating=1)
    assert held([customer.pk], at=at + HOLD - timedelta(days=1, seconds=1))
    assert not held([customer.pk], at=at + HOLD)
    assert not held([customer.pk], at=at - timedelta(days=2))


def unhappy(customer, at, negativity):
    """Twenty fresh texts that read so, in a shop where nobody else is unhappy."""
    sums = ProfileSums.empty(1)
    sums.fast_weight[0] = 20
    sums.fast_families[0, FAMILIES.index("anger")] = negativity * 21.5
    return EmotionProfile.objects.create(
        customer=customer,
        as_of=at,
        last_text_at=at,
        negativity=negativity,
        state=pack_sums(sums, np.array([0]))[0],
    )


@pytest.mark.parametrize(("negativity", "holds"), [(0.45, False), (0.46, True)])
def test_a_profile_over_the_line_holds_while_it_is_fresh(
    customer, at, negativity, holds
):
    unhappy(customer, at, negativity)
    assert (customer.pk in held([customer.pk], at=at + timedelta(days=1))) is holds
    assert held([customer.pk], at=at + FRESH) == {}


def test_a_profile_that_nobody_has_folded_since_fades_all_the_same(customer, at):
    unhappy(customer, at, 0.46)
    # 9.89 of anger in 20 texts, each half of that after 30 days: 4.945 / 11.5 = 0.43;
    # after 10 days, at 0.794: 7.85 / 17.37 = 0.452.
    assert held([customer.pk], at=at + timedelta(days=10))
    assert not held([customer.pk], at=at + timedelta(days=29))


def test_a_complaint_is_named_before_a_rating_and_a_profile(customer, at):
    unhappy(customer, at, 0.9)
    reads_as(said(customer, at, rating=1), anger=1.0)
    assert "reads as angry" in held([customer.pk], at=at)[customer.pk]


def test_four_queries_serve_any_number_of_customers(
    customer, at, django_assert_num_queries
):
    with django_assert_num_queries(4):
        assert held(range(customer.pk, customer.pk + 2000), at=at) == {}
