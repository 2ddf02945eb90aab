"""What this room adds to the segment's and the customer's page."""

from typing import Any

from django.http import HttpRequest

from campaigns.content.designs import TONES
from campaigns.models import EmailTemplate, Message, Sender
from campaigns.pages import number_in
from campaigns.pages.templates import try_preview
from customers.models import Customer
from customers.panels import CUSTOMER_PAGE, Panel
from segmentation.models import Membership, Segment
from segmentation.naming import sending_tone
from segmentation.panels import SEGMENT_PAGE
from segmentation.places import published_run, surest_members

MEMBERS_OFFERED = 12
MESSAGES_SHOWN = 15
_TONES = {tone.key: tone for tone in TONES}


def install() -> None:
    """Put the panels in; called once when the app starts."""
    SEGMENT_PAGE.add(Panel("tone", "campaigns/panel_tone.html", tone_panel, 10, 5))
    SEGMENT_PAGE.add(Panel("email", "campaigns/panel_email.html", email_panel, 20, 7))
    CUSTOMER_PAGE.add(
        Panel("messages", "campaigns/panel_messages.html", messages_panel, 40)
    )


def tone_panel(request: HttpRequest, segment: Segment) -> dict[str, Any]:
    """The tone to use with these customers, and what to avoid."""
    return {"segment": segment, "tone": _TONES[sending_tone(segment)]}


def email_panel(request: HttpRequest, segment: Segment) -> dict[str, Any]:
    """The email as one of them gets it: ?template= and ?member= choose."""
    surest = surest_members(published_run(), segment).select_related("customer")
    members = list(surest[:MEMBERS_OFFERED])
    templates = list(EmailTemplate.objects.all())
    member = _chosen(request, segment) or (members[0].customer if members else None)
    wanted = request.GET.get("template", "")
    template = next(
        (one for one in templates if str(one.pk) == wanted),
        templates[0] if templates else None,
    )
    rendered, problem = (
        try_preview(template, sending_tone(segment), member) if template else (None, "")
    )
    return {
        "segment": segment,
        "tone": sending_tone(segment),
        "members": [membership.customer for membership in members],
        "member": member,
        "templates": templates,
        "template": template,
        "sender": Sender.objects.first(),
        "rendered": rendered,
        "problem": problem,
    }


def _chosen(request: HttpRequest, segment: Segment) -> Customer | None:
    wanted = number_in(request, "member")
    found = (
        Membership.objects.filter(
            run__state="published", segment=segment, customer_id=wanted
        )
        .select_related("customer")
        .first()
    )
    return found.customer if found else None


def messages_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """What this customer was sent, and what was kept from them, and why."""
    rows = (
        Message.objects.filter(customer=customer)
        .select_related("send__campaign")
        .order_by("-pk")[:MESSAGES_SHOWN]
    )
    return {"messages": rows} if rows else None
