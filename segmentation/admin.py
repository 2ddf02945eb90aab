"""Doors: a segment's name and tone; runs as facts."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from customers.admin import FactAdmin
from segmentation.models import Segment, SegmentationRun
from segmentation.tones import TONE_NAMES


class SegmentForm(forms.ModelForm):
    """What a marketer may change of a segment: its name and its tone."""

    tone = forms.ChoiceField(
        choices=[(key, key.capitalize()) for key in TONE_NAMES],
        widget=UnfoldAdminSelectWidget,
        help_text="Whatever the tone, the offer is the same for everyone.",
    )

    class Meta:
        model = Segment
        fields = ["name", "tone"]


@admin.register(Segment)
class SegmentAdmin(ModelAdmin):
    form = SegmentForm
    list_display = ["name", "key", "tone"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SegmentationRun)
class SegmentationRunAdmin(FactAdmin):
    list_display = ["pk", "state", "cut_off", "customers", "published_at"]
    exclude = ["model"]
