import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from customers.models import Customer, MergedCustomer

LIST = reverse("admin:customers_customer_changelist")


@pytest.fixture
def two(ada, bo):
    return ada, bo


def page(two):
    return reverse("admin:customers_customer_merge", args=[one.pk for one in two])


def choose(client, *customers):
    ids = [customer.pk for customer in customers]
    asked = {"action": "merge_two", "_selected_action": ids}
    return client.post(LIST, asked, follow=True)


def test_two_of_the_list_stand_side_by_side(admin_client, two):
    answer = choose(admin_client, *two)
    assert answer.redirect_chain[0][0] == page(two)
    shown = answer.content.decode()
    assert "ada@example.com" in shown
    assert "Keep Bo" in shown


def test_one_or_three_are_not_two(admin_client, two, cy):
    for chosen in (two[:1], (*two, cy)):
        assert "Choose two customers" in choose(admin_client, *chosen).content.decode()


def test_the_one_that_is_pressed_is_kept(admin_client, admin_user, two):
    bo = two[1]
    answer = admin_client.post(page(two), {"keep": bo.pk}, follow=True)
    assert "Ada is Bo from now on" in answer.content.decode()
    assert list(Customer.objects.all()) == [bo]
    assert MergedCustomer.objects.get().merged_by == admin_user


@pytest.mark.parametrize("keep", ["9999", "", "9" * 5000, "\x00"])
def test_without_a_word_which_nothing_is_changed(admin_client, two, keep):
    answer = admin_client.post(page(two), {"keep": keep}, follow=True)
    assert "Nothing was changed" in answer.content.decode()
    assert Customer.objects.count() == 2


def test_who_is_gone_has_no_page(admin_client, two):
    where = page(two)
    two[1].delete()
    assert admin_client.get(where).status_code == 404


def test_who_was_merged_is_listed(admin_client, two):
    admin_client.post(page(two), {"keep": two[1].pk})
    listed = admin_client.get(reverse("admin:customers_mergedcustomer_changelist"))
    assert "ada" in listed.content.decode()


def test_without_the_permission_there_is_neither_action_nor_page(client, two):
    user = User.objects.create_user("trainee", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    client.force_login(user)
    assert "merge_two" not in client.get(LIST).content.decode()
    assert client.post(page(two), {"keep": two[0].pk}).status_code == 403
    assert Customer.objects.count() == 2
