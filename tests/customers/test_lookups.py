import pytest

from customers.models import Customer

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
