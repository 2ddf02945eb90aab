import pytest

from customers.models import Consent, Customer
from customers.querysets import CLOSE, around

pytestmark = pytest.mark.django_db


def with_any(*texts):
    found = Customer.objects.filter(tags__has_any_of=texts)
    return set(found.values_list("external_id", flat=True))


def test_a_customer_with_one_of_the_tags_is_found_once():
    Customer.objects.create(external_id="ada", tags=["vip", "press", "vip"])
    Customer.objects.create(external_id="bo", tags=["press"])
    Customer.objects.create(external_id="di", tags=[])
    assert with_any("vip", "press", "vip") == {"ada", "bo"}
    assert with_any("vip") == {"ada"}
    assert Customer.objects.filter(tags__has_any_of=["vip", "press"]).count() == 2


def test_quotes_brackets_and_jokers_are_letters_like_others():
    odd = ['"', "']", "%", "_", "\\", "$.x", "?", "{0}", "'); DROP TABLE x; --"]
    for tag in odd:
        Customer.objects.create(external_id=tag, tags=[tag])
    for tag in odd:
        assert with_any(tag) == {tag}


def test_no_tag_asked_for_finds_nobody():
    Customer.objects.create(external_id="ada", tags=["vip"])
    assert with_any() == set()


def test_thousands_of_texts_are_one_parameter_and_letters_like_others():
    odd = ['"', "a,b", "{x}", "\\", "%", "NULL", "'); DROP TABLE x; --"]
    for name in odd:
        Customer.objects.create(external_id=name)
    asked = [*odd[1:], *(f"nobody {n}" for n in range(40_000))]
    found = Customer.objects.filter(external_id__one_of=asked)
    assert set(found.values_list("external_id", flat=True)) == set(odd[1:])
    assert not Customer.objects.filter(external_id__one_of=[]).exists()


@pytest.mark.parametrize("apart", [1, 2 * CLOSE])
def test_around_customers_are_all_of_them_and_of_others_only_those_between(apart):
    people = [
        Customer(pk=1000 + apart * n, external_id=f"c{apart * n}") for n in range(6)
    ]
    Customer.objects.bulk_create(people)
    Consent.objects.bulk_create(
        Consent(customer=one, purpose="marketing", basis="consent", source="x",
                occurred_at="2026-03-02T09:00Z")
        for one in people
    )  # fmt: skip
    asked = {people[1].pk, people[2].pk, people[4].pk}
    between = {people[3].pk} if apart == 1 else set()
    found = set(
        Consent.objects.filter(around(asked)).values_list("customer", flat=True)
    )
    assert found == asked | between
    assert not Consent.objects.filter(around(set())).exists()
