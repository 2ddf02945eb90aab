"""Doors: templates, campaigns, senders; Django's users in Unfold's clothes."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from campaigns.forms import CampaignForm, StarterForm
from campaigns.models import (
    Campaign,
    EmailTemplate,
    Seed,
    Sender,
    SenderDomainWarmUp,
)
from campaigns.pages.counts import begin_count
from campaigns.pages.sends import campaign_page
from campaigns.pages.templates import template_page
from campaigns.seed_models import SEEDS_MOST
from campaigns.sending import warming
from campaigns.services import starter_template
from campaigns.warmup_forms import WarmUpForm
from customers.doors import shown_page
from customers.templatetags.attune import moment

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


class SeedInline(TabularInline):
    """Mailboxes of the shop's own that get a copy of each tone."""

    model = Seed
    fields = ["address"]
    extra = 1
    hide_title = True
    max_num = SEEDS_MOST
    verbose_name_plural = "Seeds: mailboxes of your own that get a copy of each tone"


@admin.register(Sender)
class SenderAdmin(ModelAdmin):
    list_display = ["shop_name", "from_name", "from_address"]
    inlines = [SeedInline]


@admin.register(SenderDomainWarmUp)
class SenderDomainWarmUpAdmin(ModelAdmin):
    form = WarmUpForm
    list_display = ["domain", "on", "day", "allowed"]
    readonly_fields = ["started_on"]
    fields = ["domain", "on", "day", "caps", "started_on"]
    # Each ending is noted with who did; a list's action would pass it by.
    actions = None

    @admin.display(description="Mails today")
    def allowed(self, warm_up: SenderDomainWarmUp) -> str:
        return "as campaigns send" if warm_up.cap is None else f"{warm_up.cap:,}"

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        warming.keep(obj, at=timezone.now(), by=cast(User, request.user))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        warming.remove(obj, at=timezone.now(), by=cast(User, request.user))


@admin.register(EmailTemplate)
class EmailTemplateAdmin(ModelAdmin):
    list_display = ["name", "purpose", "tones", "changed"]
    search_fields = ["name"]
    list_per_page = 50
    list_fullwidth = True

    @admin.display(description="Tones")
    def tones(self, template: EmailTemplate) -> str:
        count = template.variants.count()
        return f"{count} tone{'' if count == 1 else 's'}"

    @admin.display(description="Changed", ordering="changed_at")
    def changed(self, template: EmailTemplate) -> str:
        return moment(template.changed_at)

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = StarterForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            made = starter_template(
                form.cleaned_data["design"], name=form.cleaned_data["name"]
            )
            return HttpResponseRedirect(
                reverse("admin:campaigns_emailtemplate_change", args=[made.pk])
            )
        return shown_page(
            request,
            "campaigns/form.html",
            title="A new template, from a design with all its tones.",
            crumbs=[
                ("Templates", reverse("admin:campaigns_emailtemplate_changelist")),
                ("New", None),
            ],
            form=form,
            button="Make the template",
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        template = self.get_object(request, object_id)
        if template is None:
            raise Http404(f"There is no template {object_id}.")
        return template_page(request, template)


@admin.register(Campaign)
class CampaignAdmin(ModelAdmin):
    list_display = ["name", "template", "state", "when"]
    search_fields = ["name"]
    list_select_related = ["template"]
    list_per_page = 50
    list_fullwidth = True

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("sends")

    @admin.display(description="State")
    def state(self, campaign: Campaign) -> str:
        newest = next(iter(campaign.sends.all()), None)
        return newest.state_in_words if newest else "planned"

    @admin.display(description="Last send")
    def when(self, campaign: Campaign) -> str:
        newest = next(iter(campaign.sends.all()), None)
        return moment(newest.scheduled_at) if newest else "–"

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = CampaignForm(
            request.POST or None,
            initial={
                "segments": request.GET.getlist("segments"),
                "audience_rule": request.GET.get("audience_rule", ""),
                "sender": Sender.objects.first(),
                "neutral_share": 0.2,
            },
        )
        if request.method == "POST" and form.is_valid():
            campaign = form.save(commit=False)
            campaign.segments = form.cleaned_data["segments"]
            campaign.created_by = request.user
            campaign.save()
            begin_count(request, campaign)
            return self._to_campaign(campaign)
        return self._form_page(request, form, "A new campaign.", "See who gets it")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        campaign = self.get_object(request, object_id)
        if campaign is None:
            raise Http404(f"There is no campaign {object_id}.")
        if "edit" not in request.GET:
            return campaign_page(request, campaign)
        if not self.has_change_permission(request):
            raise PermissionDenied
        form = CampaignForm(request.POST or None, instance=campaign)
        if request.method == "POST" and form.is_valid():
            changed = form.save(commit=False)
            changed.segments = form.cleaned_data["segments"]
            changed.save()
            messages.success(request, "Kept. Sends under way keep their own words.")
            begin_count(request, campaign)
            return self._to_campaign(campaign)
        return self._form_page(request, form, f"Change {campaign}.", "Keep it")

    def _form_page(
        self, request: HttpRequest, form: CampaignForm, title: str, button: str
    ) -> HttpResponse:
        return shown_page(
            request,
            "campaigns/form.html",
            title=title,
            crumbs=[
                ("Campaigns", reverse("admin:campaigns_campaign_changelist")),
                (title.strip("."), None),
            ],
            form=form,
            button=button,
        )

    def _to_campaign(self, campaign: Campaign) -> HttpResponseRedirect:
        return HttpResponseRedirect(
            reverse("admin:campaigns_campaign_change", args=[campaign.pk])
        )
