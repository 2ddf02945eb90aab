"""When people have opened a mail last, for whoever writes to the engaged first."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Max

from campaigns.engaged import ENGAGED
from customers.querysets import around
from engagement.models import MessageEngagement


def install() -> None:
    """Put it in; called once when the app starts."""
    ENGAGED.append(opened_last)


def opened_last(ids: Collection[int], since: datetime) -> dict[int, datetime]:
    """Customer → the last open by a person since then; a mail client's own opens, and
    a machine's, say nothing of anybody."""
    opened = MessageEngagement.objects.filter(
        around(ids, field="message__customer_id"), opened_by_person_at__gte=since
    )
    by_customer = opened.order_by().values_list("message__customer_id")
    return dict(by_customer.annotate(last=Max("opened_by_person_at")))
