"""A sent message to Ada, without a sending engine: engagement starts where it left."""

import importlib.util
from datetime import timedelta
from pathlib import Path

import pytest

from campaigns.models import Campaign, Message, Send, SendVariant
from campaigns.services import compile_template, starter_template
from customers.addresses import address_wire


@pytest.fixture(scope="session")
def mails():
    """Mails that come back, loaded by path: tests are not a package."""
    path = Path(__file__).with_name("mails.py")
    spec = importlib.util.spec_from_file_location("engagement_mails", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _opens_are_stored_at_once(settings):
    settings.OPENS_FLUSH_MS = 0


@pytest.fixture
def send(sender, at):
    template = starter_template("announcement")
    campaign = Campaign.objects.create(name="Spring", template=template, sender=sender)
    made = Send.objects.create(
        campaign=campaign,
        scheduled_at=at,
        started_at=at,
        state=Send.State.SENT,
        frozen={"sender": {"shop_name": sender.shop_name}},
        content_hash="spring",
    )
    for tone in ("neutral", "grateful"):
        SendVariant.objects.create(
            send=made,
            tone=tone,
            compiled=compile_template(template, tone, sender=sender).to_json(),
        )
    return made


@pytest.fixture
def message_to(send, at):
    def make(customer, *, state="accepted", segment="trusting", tone="grateful"):
        return Message.objects.create(
            send=send,
            customer=customer,
            state=state,
            address_wire=address_wire(customer.email),
            segment_key=segment,
            tone=tone,
            arm="neutral" if tone == "neutral" else "fitting",
            handed_over_at=at - timedelta(hours=1),
        )

    return make


@pytest.fixture
def message(message_to, ada):
    return message_to(ada)
