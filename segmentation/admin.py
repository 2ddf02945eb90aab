"""Doors: a segment's name, its tone and whose tone it borrows; runs as facts."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from customers.admin import FactAdmin
from customers.templatetags.attune import number
from segmentation.errors import DecisionRefused
from segmentation.models import Segment, SegmentationRun
from segmentation.naming import change_segment, check_change
from segmentation.places import published_run
from segmentation.tones import TONE_NAMES


class LenderField(forms.ModelChoiceField):
    """A segment whose tone another one borrows, with its size and its tone."""

    def label_from_instance(self, obj: Any) -> str:
        run = published_run()
        sizes = run.quality.get("sizes", {}) if run and run.reportable else {}
        size = f"{number(sizes[obj.key])} customers, " if obj.key in sizes else ""
        return f"{obj.name} ({size}{obj.tone})"


class SegmentForm(forms.ModelForm):
    """What a marketer may change of a segment: its name, its tone, whose it borrows."""

    tone = forms.ChoiceField(
        choices=[(key, key.capitalize()) for key in TONE_NAMES],
        widget=UnfoldAdminSelectWidget,
        help_text="Whatever the tone, the offer is the same for everyone.",
    )
    sent_as = LenderField(
        queryset=Segment.objects.all(),
        required=False,
        label="Written to like",
        empty_label="Nobody else: in its own tone",
        widget=UnfoldAdminSelectWidget,
        help_text="For a segment too small for words of its own. Its customers get "
        "that segment's tone; reports still count them here, and holds stay as they "
        "are.",
    )

    class Meta:
        model = Segment
        fields = ["name", "tone", "sent_as"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast(forms.ModelChoiceField, self.fields["sent_as"])
        field.queryset = Segment.objects.exclude(pk=self.instance.pk)

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                check_change(
                    self.instance,
                    name=found["name"],
                    tone=found["tone"],
                    sent_as=found["sent_as"],
                )
            except DecisionRefused as problem:
                raise ValidationError(str(problem)) from problem
        return found


@admin.register(Segment)
class SegmentAdmin(ModelAdmin):
    form = SegmentForm
    list_display = ["name", "key", "tone"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: Any
    ) -> None:
        """By the service alone, which keeps who changed what."""
        change_segment(
            obj,
            name=form.cleaned_data["name"],
            tone=form.cleaned_data["tone"],
            sent_as=form.cleaned_data["sent_as"],
            by=request.user,
            at=timezone.now(),
        )


@admin.register(SegmentationRun)
class SegmentationRunAdmin(FactAdmin):
    list_display = ["pk", "state", "cut_off", "customers", "published_at"]
    exclude = ["model"]
