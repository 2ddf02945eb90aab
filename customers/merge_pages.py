"""Doors: two customers side by side, and which of them to keep."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from customers.doors import shown_page
from customers.errors import MergeRefused
from customers.merging import merge_customers
from customers.models import Customer


@admin.action(description="Merge two customers", permissions=["merge"])
def merge_two(
    customer_admin: Any, request: HttpRequest, chosen: QuerySet[Customer]
) -> HttpResponse | None:
    """From the list to the page that shows both."""
    ids = list(chosen.order_by("pk").values_list("pk", flat=True)[:3])
    if len(ids) != 2:
        messages.error(request, "Choose two customers, no more and no fewer.")
        return None
    return HttpResponseRedirect(reverse("admin:customers_customer_merge", args=ids))


@require_http_methods(["GET", "HEAD", "POST"])
def merge_page(request: HttpRequest, one: int, two: int) -> HttpResponse:
    """Both side by side; a press says which one is kept."""
    found = Customer.objects.in_bulk([one, two])
    if len(found) != 2:
        raise Http404("One of these customers is gone, merged or erased.")
    if request.method == "POST":
        return _merge(request, found)
    return shown_page(
        request,
        "customers/merge.html",
        title="Merge two customers",
        crumbs=[
            ("Customers", reverse("admin:customers_customer_changelist")),
            ("Merge two customers", None),
        ],
        sides=[_side(found[pk]) for pk in (one, two)],
    )


def _merge(request: HttpRequest, found: dict[int, Customer]) -> HttpResponse:
    kept = {str(pk): one for pk, one in found.items()}.get(request.POST.get("keep", ""))
    if kept is None:
        messages.error(request, "Say which of the two is kept. Nothing was changed.")
        return HttpResponseRedirect(request.path)
    (other,) = (customer for pk, customer in found.items() if pk != kept.pk)
    try:
        merge_customers(kept, other, by=request.user, at=timezone.now())
    except MergeRefused as problem:
        messages.error(request, str(problem))
        return HttpResponseRedirect(request.path)
    messages.success(request, f"{other} is {kept} from now on, for imports too.")
    return HttpResponseRedirect(
        reverse("admin:customers_customer_change", args=[kept.pk])
    )


def _side(customer: Customer) -> dict[str, Any]:
    newest = customer.interactions.order_by("-occurred_at").first()
    return {
        "customer": customer,
        "interactions": customer.interactions.count(),
        "last_heard": newest.occurred_at if newest else None,
        "consents": customer.consents.all()[:5],
    }
