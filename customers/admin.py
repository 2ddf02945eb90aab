"""Doors: customers as facts, suppressions, imports. Every app's facts use FactAdmin."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.paginator import Page, Paginator
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from customers import searching
from customers.doors import admin_page
from customers.errors import CustomersError
from customers.merge_pages import merge_page, merge_two
from customers.models import (
    Consent,
    Customer,
    ImportRun,
    Interaction,
    MergedCustomer,
    Suppression,
)
from customers.panels import CUSTOMER_LIST, CUSTOMER_PAGE, TIMELINE_NOTES
from customers.querysets import CustomerQuerySet
from customers.services import (
    allow_profiling,
    object_to_profiling,
    record_interactions,
    suppress,
)
from customers.sources.history_file import rows
from customers.templatetags.attune import day, moment

TIMELINE_PAGE = 40
PAGES_OFFERED = 40
# Of a search: each page more is tens of thousands of customers looked at for a word
# that many have.
PAGES_SEARCHED = 20
# A list of more customers is in the order they joined: PostgreSQL sorts a million in
# 0.15 s, SQLite in up to 1.9.
SORTED_UP_TO = 100_000
# A bigger file is for import_interactions, which shows its progress.
UPLOAD_MEGABYTES = 50
MAY_MERGE = "customers.change_customer"


class UncountedPaginator(Paginator):
    """Pages without counting a million rows first; who wants more of them searches."""

    pages_offered: int
    # Where a page's rows come from: a list of keys needs no filter a second time.
    rows: QuerySet[Any]

    @cached_property
    def keys(self) -> list[Any]:
        limit = self.per_page * self.pages_offered
        found = cast(QuerySet[Any], self.object_list)
        return list(found.values_list("pk", flat=True)[:limit])

    @cached_property
    def count(self) -> int:
        return len(self.keys)

    def page(self, number: int | str) -> Page:
        """By its keys: no search is made twice, and no rows are skipped."""
        number = self.validate_number(number)
        keys = self.keys[(number - 1) * self.per_page : number * self.per_page]
        found = {row.pk: row for row in self.rows.filter(pk__in=keys)}
        return Page([found[key] for key in keys if key in found], number, self)


class FactAdmin(ModelAdmin):
    """Facts are shown, not edited: what happened is not ours to change."""

    show_full_result_count = False
    list_per_page = 50
    list_select_related: ClassVar[list[str]] = []
    list_fullwidth = True
    actions: Sequence[str] | None = None

    def get_changelist(self, request: HttpRequest, **named: Any) -> Any:
        return Keyed

    def get_paginator(
        self, request: HttpRequest, queryset: QuerySet[Any], *given: Any, **named: Any
    ) -> Paginator:
        paginator = UncountedPaginator(queryset, *given, **named)
        paginator.rows = self.get_queryset(request)
        if self.list_select_related:
            paginator.rows = paginator.rows.select_related(*self.list_select_related)
        searched = request.GET.get(SEARCH_VAR)
        paginator.pages_offered = PAGES_SEARCHED if searched else PAGES_OFFERED
        return paginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Keyed(ChangeList):
    """Also a list of one page is asked for once: by its keys."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            self.result_list = self.paginator.page(1).object_list


class AsRecorded(Keyed):
    """What was recorded last comes first, whatever the address bar asks: by any other
    order millions of rows are sorted for a page of fifty."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return ["-pk"]


class AsJoined(Keyed):
    """The order that was asked for where there is one to ask for."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        if self.sortable_by:
            return list(super().get_ordering(request, queryset))
        return ["pk"]


class LogAdmin(FactAdmin):
    """Facts that come by the million."""

    ordering = ["-pk"]
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **named: Any) -> Any:
        return AsRecorded


@admin.register(Customer)
class CustomerAdmin(FactAdmin):
    search_fields = searching.FIELDS  # what a search looks in; the page asks for some
    search_help_text = "Name, address or customer id"
    # The glyphs that columns of rooms to the right refer to.
    list_before_template = "attune/symbols.html"  # type: ignore[assignment]
    actions = [merge_two]  # type: ignore[list-item]

    def has_merge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_MERGE)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return ["name", "email", *CUSTOMER_LIST.columns, "last_heard", "country"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*CUSTOMER_LIST.filters]

    def get_sortable_by(self, request: HttpRequest) -> Any:
        beyond = Customer.objects.order_by("pk").values("pk")[SORTED_UP_TO:]
        return () if beyond[:1] else super().get_sortable_by(request)

    def get_changelist(self, request: HttpRequest, **named: Any) -> Any:
        return AsJoined

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        found: QuerySet[Customer] = super().get_queryset(request)
        match = request.resolver_match
        if match and (match.url_name or "").endswith("list"):
            # A subquery is asked for the rows of one page only; a join for all.
            newest = Interaction.objects.filter(customer=OuterRef("pk"))
            found = found.annotate(
                last_heard_at=Subquery(newest.values("occurred_at")[:1])
            )
            for prepare in CUSTOMER_LIST.prepare:
                found = prepare(found)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        searched = searching.Search.on_page(request, search_term)
        return searched.among(cast(CustomerQuerySet, queryset)), False

    @admin.display(description="Customer")
    def name(self, customer: Customer) -> str:
        return str(customer)

    @admin.display(description="Last heard of")
    def last_heard(self, customer: Customer) -> str:
        return day(getattr(customer, "last_heard_at", None))

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<int:pk>/profiling/",
                self.admin_site.admin_view(self.profiling_view),
                name="customers_customer_profiling",
            ),
            admin_page(
                "<int:one>/merge/<int:two>/",
                merge_page,
                "customers_customer_merge",
                MAY_MERGE,
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        if customer is None:
            raise Http404(f"There is no customer {object_id}.")
        timeline = customer.interactions.order_by("-occurred_at", "-pk")
        lines = list(timeline[:TIMELINE_PAGE])
        notes = [note(lines) for note in TIMELINE_NOTES]
        return TemplateResponse(
            request,
            "customers/customer.html",
            {
                **self.admin_site.each_context(request),
                "title": str(customer),
                "crumbs": [
                    ("Customers", reverse("admin:customers_customer_changelist")),
                    (str(customer), None),
                ],
                "customer": customer,
                "timeline": [
                    (line, [known[line.pk] for known in notes if line.pk in known])
                    for line in lines
                ],
                "more": max(0, timeline.count() - TIMELINE_PAGE),
                "consents": customer.consents.all()[:10],
                "panels": CUSTOMER_PAGE.fill(request, customer),
            },
        )

    def profiling_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """A customer's objection to being profiled, or its end, told to the shop."""
        customer = self.get_object(request, str(pk))
        if customer is None:
            raise Http404(f"There is no customer {pk}.")
        if request.method == "POST":
            source = f"told to {request.user.get_username()}"
            now = timezone.now()
            if customer.profiling_objected_at is None:
                object_to_profiling(customer, source=source, at=now)
                messages.success(
                    request, "Nothing is read any more; what was read is deleted."
                )
            else:
                allow_profiling(customer, source=source, at=now)
                messages.success(request, "New texts are read again.")
        return HttpResponseRedirect(
            reverse("admin:customers_customer_change", args=[pk])
        )


@admin.register(MergedCustomer)
class MergedCustomerAdmin(FactAdmin):
    list_display = ["external_id", "kept", "merged_by", "when"]
    list_select_related = ["kept", "merged_by"]
    search_fields = ["external_id"]

    @admin.display(description="When", ordering="merged_at")
    def when(self, merged: MergedCustomer) -> str:
        return moment(merged.merged_at)


@admin.register(Interaction)
class InteractionAdmin(LogAdmin):
    list_display = ["moment", "kind", "customer", "subject", "product", "rating"]
    list_filter = ["kind"]
    list_select_related = ["customer"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="When", ordering="occurred_at")
    def moment(self, interaction: Interaction) -> str:
        return moment(interaction.occurred_at)


@admin.register(Consent)
class ConsentAdmin(LogAdmin):
    list_display = ["customer", "purpose", "basis", "source", "occurred_at"]
    list_filter = ["purpose", "basis"]
    list_select_related = ["customer"]


class SuppressionForm(forms.ModelForm):
    """An address to be left alone, with the reason."""

    class Meta:
        model = Suppression
        fields = ["address", "reason"]


@admin.register(Suppression)
class SuppressionAdmin(FactAdmin):
    form = SuppressionForm
    list_display = ["address", "reason", "source", "since"]
    list_filter = ["reason"]
    search_fields = ["address"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return True

    @admin.display(description="Since", ordering="suppressed_at")
    def since(self, suppression: Suppression) -> str:
        return moment(suppression.suppressed_at)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        kept = suppress(
            obj.address,
            reason=obj.reason,
            source=f"added by {request.user.get_username()}",
            at=timezone.now(),
        )
        obj.pk = kept.pk


class HistoryUploadForm(forms.Form):
    """A history file from the marketer's own disk."""

    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text="CSV, also .gz. Needed: customer_id, email, occurred_at, kind.",
    )
    timezone = forms.CharField(
        initial="UTC",
        widget=forms.TextInput(attrs={"class": "field"}),
        help_text="For times in the file that name no zone, e.g. Europe/London.",
    )
    basis = forms.ChoiceField(
        choices=[
            (
                Consent.Basis.EXISTING_CUSTOMER.value,
                "They are our customers and may be mailed about similar things",
            ),
            (Consent.Basis.CONSENT.value, "They asked for our mail"),
            ("none", "Nothing is known: do not mail them"),
        ],
        widget=UnfoldAdminSelectWidget,
        label="May they be mailed?",
        help_text="Where the file has a consent column, the file decides.",
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > UPLOAD_MEGABYTES * 1024 * 1024:
            raise forms.ValidationError(
                f"{file.name} has {file.size // 1024 // 1024} MB; a page takes "
                f"{UPLOAD_MEGABYTES}. Use the command import_interactions."
            )
        return file


@admin.register(ImportRun)
class ImportRunAdmin(FactAdmin):
    list_display = [
        "file_name",
        "when",
        "rows_read",
        "stored",
        "already_known",
        "refused",
        "new_customers",
    ]
    change_list_template = "customers/import_list.html"

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "upload/",
                self.admin_site.admin_view(self.upload_view),
                name="customers_importrun_upload",
            ),
            *super().get_urls(),
        ]

    @admin.display(description="When", ordering="started_at")
    def when(self, run: ImportRun) -> str:
        return moment(run.started_at)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        if run is None:
            raise Http404(f"There is no import {object_id}.")
        return TemplateResponse(
            request,
            "customers/import.html",
            {
                **self.admin_site.each_context(request),
                "title": str(run),
                "crumbs": [
                    ("Imports", reverse("admin:customers_importrun_changelist")),
                    (run.file_name, None),
                ],
                "run": run,
            },
        )

    def upload_view(self, request: HttpRequest) -> HttpResponseBase:
        form = HistoryUploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            basis = form.cleaned_data["basis"]
            file = form.cleaned_data["file"]
            try:
                result = record_interactions(
                    rows(file, timezone=form.cleaned_data["timezone"]),
                    source=file.name,
                    at=timezone.now(),
                    basis=None if basis == "none" else basis,
                )
            except CustomersError as problem:
                form.add_error("file", str(problem))
            else:
                messages.success(
                    request,
                    f"{result.read:,} rows read, {result.stored:,} stored, "
                    f"{len(result.refused):,} refused.",
                )
                run = ImportRun.objects.order_by("-pk").first()
                return HttpResponseRedirect(
                    reverse("admin:customers_importrun_change", args=[run.pk])
                    if run
                    else reverse("admin:customers_importrun_changelist")
                )
        return TemplateResponse(
            request,
            "customers/upload.html",
            {
                **self.admin_site.each_context(request),
                "title": "Import a history",
                "crumbs": [
                    ("Imports", reverse("admin:customers_importrun_changelist")),
                    ("Import a history", None),
                ],
                "form": form,
            },
        )
