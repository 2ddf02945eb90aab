import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from customers import admin
from customers.models import Consent, Customer

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
