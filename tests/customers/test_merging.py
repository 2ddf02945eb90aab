from datetime import timedelta

import pytest

from customers.errors import MergeRefused
from customers.merging import merge_customers
from customers.models import Consent, Customer, Interaction, MergedCustomer
from customers.services import (
    check_interactions,
    is_suppressed,
    marketing_basis,
    object_to_profiling,
    record_consent,
    record_interactions,
    suppress,
)
from customers.sources import InteractionRow
from tests.conftest import AT

pytestmark = pytest.mark.django_db


def said(customer_id, *, key="", days_ago=10, **facts):
    return InteractionRow(
        customer_id=customer_id,
        email=f"{customer_id}@example.com",
        occurred_at=AT - timedelta(days=days_ago),
        kind="review",
        key=key,
        **facts,
    )


def record(*rows):
    return record_interactions(rows, source="test.csv", at=AT, basis=None)


@pytest.fixture
def ann():
    record(said("ann", key="a", first_name="Ann"), said("ann", key="both"))
    return Customer.objects.get(external_id="ann")


@pytest.fixture
def anna():
    rows = [said("anna", key="b", first_name="Anna", country="GB", tags=("vip",))]
    record(*rows, said("anna", key="both"))
    return Customer.objects.get(external_id="anna")


def merge(kept, other, by=None):
    merged = merge_customers(kept, other, by=by, at=AT)
    kept.refresh_from_db()
    return merged


def says(customer, basis, *, days_ago, purpose="marketing"):
    at = AT - timedelta(days=days_ago)
    record_consent(customer, purpose=purpose, basis=basis, source="test", at=at)


def test_what_both_said_is_stored_once_and_everything_is_of_the_kept_one(ann, anna):
    merge(ann, anna)
    keys = Interaction.objects.order_by("key").values_list("key", "customer")
    assert list(keys) == [("a", ann.pk), ("b", ann.pk), ("both", ann.pk)]
    assert Customer.objects.get() == ann


def test_what_was_not_known_is_learned_and_nothing_is_replaced(ann, anna):
    merge(ann, anna)
    assert (ann.first_name, ann.country, ann.tags) == ("Ann", "GB", ["vip"])
    assert ann.email == "ann@example.com"


def test_it_is_kept_who_was_merged_by_whom_and_when(ann, anna, admin_user):
    merged = merge(ann, anna, by=admin_user)
    assert (merged.kept, merged.external_id) == (ann, "anna")
    assert (merged.merged_by, merged.merged_at) == (admin_user, AT)


def test_an_import_that_names_the_other_goes_to_the_kept_one(ann, anna):
    merge(ann, anna)
    rows = [said("anna", key="new"), said("anna", key="b"), said("ann", key="a")]
    expected = check_interactions(rows, at=AT)
    report = record(*rows)
    assert (report.stored, report.already_known, report.new_customers) == (1, 2, 0)
    assert (expected.stored, expected.new_customers) == (1, 0)
    assert Customer.objects.get().interactions.count() == 4


def test_who_was_merged_into_one_who_is_merged_is_found_too(ann, anna):
    record(said("anja"))
    merge(anna, Customer.objects.get(external_id="anja"))
    merge(ann, anna)
    record(said("anja", key="new"))
    assert Customer.objects.get() == ann
    assert MergedCustomer.objects.filter(kept=ann).count() == 2


@pytest.mark.parametrize("who", ["kept", "other"])
def test_a_no_of_either_stands_whenever_the_other_said_yes(ann, anna, who):
    refuses, allows = (ann, anna) if who == "kept" else (anna, ann)
    says(refuses, Consent.Basis.WITHDRAWN, days_ago=9)
    says(allows, Consent.Basis.CONSENT, days_ago=1)
    said_before = Consent.objects.count()
    merge(ann, anna)
    assert marketing_basis([ann.pk], at=AT) == {ann.pk: "withdrawn"}
    assert ann.consents.count() == said_before + 1


def test_a_no_that_was_taken_back_does_not_come_again(ann, anna):
    says(anna, Consent.Basis.WITHDRAWN, days_ago=9)
    says(anna, Consent.Basis.CONSENT, days_ago=8)
    merge(ann, anna)
    assert marketing_basis([ann.pk], at=AT) == {ann.pk: "consent"}


@pytest.mark.parametrize("who", ["kept", "other"])
def test_an_objection_of_either_stands(ann, anna, who):
    moment = AT - timedelta(days=3)
    object_to_profiling(ann if who == "kept" else anna, source="test", at=moment)
    merge(ann, anna)
    assert ann.profiling_objected_at == moment


def test_a_persons_own_no_to_mail_is_about_both_addresses(ann, anna):
    suppress(anna.email, reason="unsubscribed", at=AT)
    merge(ann, anna)
    assert is_suppressed("ann@example.com")
    assert is_suppressed("anna@example.com")


def test_a_bounce_of_one_address_says_nothing_of_the_other(ann, anna):
    suppress(anna.email, reason="bounced", at=AT)
    merge(ann, anna)
    assert not is_suppressed("ann@example.com")


def test_nobody_is_merged_with_themselves_or_with_who_is_gone(ann, anna):
    with pytest.raises(MergeRefused, match="choose two"):
        merge(ann, Customer.objects.get(pk=ann.pk))
    gone = Customer.objects.get(pk=anna.pk)
    merge(ann, anna)
    with pytest.raises(MergeRefused, match="is gone"):
        merge_customers(ann, gone, by=None, at=AT)
