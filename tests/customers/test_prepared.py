from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Q

from customers.models import Consent, Customer, Interaction
from customers.prepared import Prepared

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def marks(who, after, kind, least):
    return (
        Interaction.objects.filter(who, occurred_at__gt=after, kind=kind)
        .filter(Q(rating__gte=least) | Q(product="pot"))
        .exclude(text="")
        .order_by("-occurred_at")
        .values_list("customer_id", "occurred_at", "rating", "attributes")
    )


@pytest.fixture
def texts(db):
    """Five customers, a review of each, a day apart."""
    people = Customer.objects.bulk_create(
        Customer(external_id=f"c{number}", email=f"c{number}@example.com")
        for number in range(5)
    )
    Interaction.objects.bulk_create(
        Interaction(
            customer=one,
            key=one.external_id,
            occurred_at=AT + timedelta(days=number, microseconds=number),
            kind="review",
            text="It says so.",
            rating=number,
            attributes={"of": number},
            recorded_at=AT,
        )
        for number, one in enumerate(people)
    )
    return [one.pk for one in people]


def test_a_prepared_question_finds_what_the_queryset_finds(texts):
    prepared = Prepared(marks)
    for ids in (texts, texts[2:3], [*texts[1:], 10**9]):
        values = {"after": AT, "kind": "review", "least": 2.0}
        who = Q(customer_id__in=ids)
        assert prepared(who=who, **values) == list(marks(who, **values))
        who = Q(customer_id__gte=ids[0], customer_id__lte=ids[-1])
        assert prepared(who=who, **values) == list(marks(who, **values))
        who = Q(customer_id__one_of=ids)
        assert prepared(who=who, **values) == list(marks(who, **values))
    assert prepared(who=who, after=AT, kind="order", least=2.0) == []
    assert prepared(who=Q(customer_id__one_of=[]), **values) == []


def test_nobody_is_found_among_nobody(texts):
    prepared = Prepared(lambda ids: Customer.objects.filter(pk__in=ids).values_list())
    assert prepared(ids=[]) == []
    assert len(prepared(ids=texts)) == 5


def test_its_sql_is_written_once(texts, django_assert_num_queries):
    asked = []

    def question(ids):
        asked.append(ids)
        return Customer.objects.filter(pk__in=ids).values_list("pk")

    prepared = Prepared(question)
    with django_assert_num_queries(3):
        assert [len(prepared(ids=texts[:n])) for n in (1, 5, 3)] == [1, 5, 3]
    assert len(asked) == 1


@pytest.mark.django_db
def test_a_question_that_looks_at_its_values_is_refused():
    prepared = Prepared(
        lambda at: Consent.objects.filter(occurred_at__gt=at - timedelta(days=1))
    )
    with pytest.raises(AssertionError, match="as it is; not found in it: at"):
        prepared(at=AT)
