import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from customers import admin
from customers.models import Consent, Customer
from engagement.models import TrackingEvent

pytestmark = pytest.mark.django_db

FACTS = [
    "admin:customers_interaction_changelist",
    "admin:customers_consent_changelist",
    "admin:engagement_trackingevent_changelist",
]


@pytest.mark.parametrize("listing", FACTS)
@pytest.mark.parametrize("order", ["", "?o=1", "?o=-2.1"])
def test_facts_come_as_they_were_recorded_whatever_is_asked(
    admin_client, db, listing, order
):
    with CaptureQueriesContext(connection) as asked:
        assert admin_client.get(reverse(listing) + order).status_code == 200
    ordered = [
        query["sql"].rpartition("ORDER BY ")[2]
        for query in asked.captured_queries
        if "LIMIT 2000" in query["sql"]
    ]
    assert ordered
    assert all(sql.startswith("1 DESC") for sql in ordered)


def test_the_newest_consent_is_on_top(admin_client, at):
    for name in ("ann", "ben"):
        Consent.objects.create(
            customer=Customer.objects.create(external_id=name, email=f"{name}@x.org"),
            purpose="marketing",
            basis="consent",
            occurred_at=at,
        )
    listed = admin_client.get(reverse(FACTS[1])).content.decode()
    assert listed.index("ben@x.org") < listed.index("ann@x.org")


def test_so_many_pages_of_a_list_are_offered_and_no_more(admin_client, db, monkeypatch):
    monkeypatch.setattr(admin, "PAGES_OFFERED", 2)
    monkeypatch.setattr(admin.CustomerAdmin, "list_per_page", 3)
    for number in range(10):
        Customer.objects.create(external_id=f"c{number}")
    listed = reverse("admin:customers_customer_changelist")
    second = admin_client.get(f"{listed}?p=2")
    assert [one.external_id for one in second.context["cl"].result_list] == [
        "c3",
        "c4",
        "c5",
    ]
    assert second.context["cl"].paginator.num_pages == 2


def test_a_search_offers_fewer_pages_of_those_it_found(admin_client, db, monkeypatch):
    monkeypatch.setattr(admin, "PAGES_SEARCHED", 2)
    monkeypatch.setattr(admin.CustomerAdmin, "list_per_page", 2)
    for number in range(10):
        name = ("ann", "ben")[number % 2]
        Customer.objects.create(external_id=f"{name}{number}")
    listed = reverse("admin:customers_customer_changelist")
    found = admin_client.get(f"{listed}?q=ann").context["cl"]
    assert [one.external_id for one in found.result_list] == ["ann0", "ann2"]
    assert found.paginator.num_pages == 2


@pytest.mark.parametrize(
    ("sorted_up_to", "first"), [(5, ["a0", "a1", "a2"]), (4, ["b0", "a1", "b2"])]
)
def test_customers_are_sorted_by_address_only_where_that_takes_no_time(
    admin_client, db, monkeypatch, sorted_up_to, first
):
    monkeypatch.setattr(admin, "SORTED_UP_TO", sorted_up_to)
    for number, name in enumerate(("b0", "a1", "b2", "a0", "a2")):
        Customer.objects.create(external_id=f"c{number}", email=f"{name}@x.org")
    listed = reverse("admin:customers_customer_changelist")
    page = admin_client.get(f"{listed}?o=2")
    names = [one.email.partition("@")[0] for one in page.context["cl"].result_list]
    assert names[:3] == first


@pytest.mark.parametrize(("asked", "found"), [("opened", 1), ("no such", 2), ("", 2)])
def test_events_are_found_by_what_happened(admin_client, db, at, asked, found):
    for event in ("opened", "clicked"):
        TrackingEvent.objects.create(
            event_type=event, occurred_at=at, dedupe_key=event, provider="x"
        )
    page = admin_client.get(reverse(FACTS[2]), {"event_type": asked})
    assert len(page.context["cl"].result_list) == found
