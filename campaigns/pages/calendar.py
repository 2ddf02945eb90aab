"""The shop's calendar: days on which no promotion leaves."""

import calendar as weeks
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from campaigns.errors import CampaignsError
from campaigns.models import RestDay
from campaigns.resting import remove_rest_day, set_rest_day, set_weekdays
from customers.doors import shown_page


class WeekdaysForm(forms.Form):
    """Days of every week."""

    weekdays = forms.TypedMultipleChoiceField(
        choices=list(enumerate(weeks.day_name)),
        coerce=int,
        required=False,
        label="Days",
        widget=forms.CheckboxSelectMultiple,
    )


class RestDayForm(forms.Form):
    """One date."""

    day = forms.DateField(label="Date", widget=UnfoldAdminDateWidget)
    name = forms.CharField(
        max_length=120,
        required=False,
        label="What it is",
        widget=UnfoldAdminTextInputWidget,
    )
    yearly = forms.BooleanField(
        required=False, label="Every year", widget=UnfoldBooleanSwitchWidget
    )


@require_safe
def shown(request: HttpRequest) -> HttpResponse:
    return calendar_page(request)


def calendar_page(request: HttpRequest, **forms: Any) -> HttpResponse:
    rows = list(RestDay.objects.all())
    today = timezone.localdate()
    dates = [row for row in rows if row.day is not None]
    weekdays = [row.weekday for row in rows if row.weekday is not None]
    return shown_page(
        request,
        "campaigns/calendar.html",
        title="Calendar",
        rests=[row for row in rows if row.weekday is not None],
        coming=[row for row in dates if row.yearly or cast(Any, row.day) >= today],
        past=[row for row in dates if not row.yearly and cast(Any, row.day) < today],
        **{
            "weekdays_form": WeekdaysForm(initial={"weekdays": weekdays}),
            "day_form": RestDayForm(),
            **forms,
        },
    )


@require_POST
def keep_weekdays(request: HttpRequest) -> HttpResponse:
    """Keep which days of the week are without promotion."""
    form = WeekdaysForm(request.POST)
    if not form.is_valid():
        return calendar_page(request, weekdays_form=form)
    try:
        set_weekdays(
            form.cleaned_data["weekdays"],
            at=timezone.now(),
            by=cast(User, request.user),
        )
        messages.success(request, "Kept.")
    except CampaignsError as problem:
        messages.error(request, str(problem))
    return HttpResponseRedirect(reverse("campaigns:calendar"))


@require_POST
def keep_day(request: HttpRequest) -> HttpResponse:
    """Add a date, or change what it is."""
    form = RestDayForm(request.POST)
    if not form.is_valid():
        return calendar_page(request, day_form=form)
    made = set_rest_day(
        form.cleaned_data["day"],
        name=form.cleaned_data["name"],
        yearly=form.cleaned_data["yearly"],
        at=timezone.now(),
        by=cast(User, request.user),
    )
    messages.success(request, f"No promotion on {made}.")
    return HttpResponseRedirect(reverse("campaigns:calendar"))


@require_POST
def remove_day(request: HttpRequest, pk: int) -> HttpResponse:
    """Promotions leave on this date again."""
    row = get_object_or_404(RestDay, pk=pk, day__isnull=False)
    remove_rest_day(row, at=timezone.now(), by=cast(User, request.user))
    messages.success(request, "The day is gone.")
    return HttpResponseRedirect(reverse("campaigns:calendar"))
