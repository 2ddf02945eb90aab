"""What a marketer does, in a real browser, from logging in to reading the report."""

import re
import time

import pytest
from django.conf import settings
from django.utils import timezone

from campaigns.models import EmailTemplate, Message, Send
from campaigns.sending.channels import channel_for
from campaigns.sending.engine import heartbeat, run_once
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.services import launch_send, materialise
from customers.models import Customer, Interaction
from customers.services import record_interactions
from customers.sources import InteractionRow
from demo.simulation import Simulation
from engagement.verdict import CLICK_TOO_SOON_SECONDS
from segmentation.models import EmotionScore, SegmentationRun
from segmentation.scoring import score_interactions

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]


def suffix(screen) -> str:
    width, _, theme = screen
    return theme if theme == "dark" else str(width)


def half_of_it(send) -> None:
    """Launch, write the audience, hand over a few batches: a send under way."""
    send_id = send.pk
    launch_send(send, at=timezone.now())
    materialise(Send.objects.get(pk=send_id), at=timezone.now())
    lane = Lane("bulk", channel_for("outbox"), "the walk")
    for _ in range(send.batches.count() // 2):
        deliver_next_batch(lane, now=timezone.now())
    heartbeat("the walk", "run_engine", at=timezone.now(), since=timezone.now())


def simulate(send, address: str) -> None:
    """What customers do with their mail, by real requests to the live server."""
    mails = sorted(settings.OUTBOX_DIR.rglob("*.eml"))
    time.sleep(CLICK_TOO_SOON_SECONDS + 1)
    simulation = Simulation(
        server=address, webhook_secret=settings.WEBHOOK_SECRET, seed=7
    )
    result = simulation.run(mails, progress=lambda: None)
    assert not result.failed
    assert result.done["click"] > 0


def test_from_log_in_to_the_report(open_page, screen):
    watched = open_page(*screen)
    page, name = watched.page, suffix(screen)
    watched.picture(f"home_{name}")

    watched.go("/admin/segments/")
    watched.picture(f"segments_{name}")
    page.locator("table.cards tbody th a").first.click()
    page.wait_for_load_state("load")
    assert "Emotional signature" in page.content()
    assert page.locator("iframe.look-light").count() == 1
    watched.picture(f"segment_{name}")

    members = page.locator("select[name=member] option")
    if members.count() > 1:
        page.select_option("select[name=member]", index=1)
    page.get_by_role("button", name="Show").click()
    page.wait_for_load_state("load")
    heading = page.locator("#email h2").inner_text()
    assert heading.startswith("The email as ")
    page.get_by_role("button", name="Text only").click()
    text = page.frame_locator("iframe.look-text").locator("pre").inner_text()
    assert "15 % off pots and soil" in " ".join(text.split())

    template = EmailTemplate.objects.get(design="announcement")
    watched.go(f"/admin/campaigns/emailtemplate/{template.pk}/change/")
    watched.picture(f"template_{name}")

    watched.go("/admin/campaigns/campaign/add/")
    page.fill("[name=name]", "New season")
    page.select_option("[name=template]", label="Announcement")
    page.get_by_role("button", name="See who gets it").click()
    page.wait_for_load_state("load")
    assert "Who gets it, and who does not" in page.content()
    watched.picture(f"preflight_{name}")

    page.get_by_role("button", name=re.compile("Schedule")).click()
    page.wait_for_url("**/send/*/")
    watched.picture(f"scheduled_{name}")
    send = Send.objects.get()
    half_of_it(send)
    watched.go(f"/admin/campaigns/send/{send.pk}/")
    page.wait_for_selector("text=/Every message is in exactly one place/")
    watched.picture(f"progress_{name}")
    while send.state != Send.State.SENT:
        run_once(at=timezone.now())
        send.refresh_from_db()
    watched.go(f"/admin/campaigns/send/{send.pk}/")
    accepted = send.messages.filter(state=Message.State.ACCEPTED).count()
    assert f"{accepted:,} of {send.messages.count():,} accepted" in page.content()
    watched.picture(f"sent_{name}")

    simulate(send, watched.address)
    page.reload()
    page.get_by_role("link", name=re.compile("Report$")).last.click()
    page.wait_for_load_state("load")
    assert "Per segment and tone" in page.content()
    assert "simulated" in page.content().lower()
    watched.picture(f"report_{name}")
    watched.go("/admin/campaigns/outbox/")
    page.locator("table.cards tbody th a").first.click()
    page.wait_for_load_state("load")
    assert "List-Unsubscribe" in page.content()
    assert watched.complaints == []


def wrote(text: str) -> Interaction:
    """A customer of the shop writes once more, and the text is read."""
    row = InteractionRow(
        customer_id="walker",
        email="walker@example.com",
        occurred_at=timezone.now(),
        kind="ticket",
        text=text,
    )
    record_interactions([row], source="the walk", at=timezone.now())
    score_interactions()
    return Interaction.objects.get(text=text)


def test_a_text_is_explained_corrected_and_left_alone_in_another_language(
    open_page, screen
):
    watched = open_page(*screen)
    page, name = watched.page, suffix(screen)
    ticket = wrote(
        "The sofa came on the third date you gave me, with a leg missing. I was told "
        "somebody would ring on Monday. It is Thursday and nobody has. Your own office "
        "says it was loaded without the leg, and now you want to charge me a second "
        "delivery. I will not pay for your mistake."
    )
    watched.go(f"/admin/segments/texts/{ticket.pk}/")
    assert "This text reads as anger" in page.content()
    assert page.locator(".words .for").count() > 2
    watched.picture(f"text_{name}")
    page.locator("#correct").get_by_role("button", name="sadness").click()
    page.wait_for_load_state("load")
    assert "A person read this as sadness" in page.content()
    watched.picture(f"corrected_{name}")

    spanish = wrote("Llevo dos semanas esperando y nadie contesta, quiero mi dinero.")
    watched.go(f"/admin/segments/texts/{spanish.pk}/")
    assert "Not read: Spanish" in page.content()
    watched.picture(f"language_{name}")

    watched.go("/admin/segments/model/")
    watched.picture(f"model_{name}")

    watched.go("/admin/segments/words/")
    page.fill("[name=text]", "The Grief Relief arrived on Tuesday, two boxes.")
    page.fill("[name=phrase]", "Grief Relief")
    page.get_by_role("button", name="Try").click()
    page.wait_for_load_state("load")
    watched.picture(f"words_{name}")
    page.get_by_role("button", name="Keep this rule").click()
    page.wait_for_load_state("load")
    assert "1 word reads otherwise here" in page.content()

    wrote("My mother passed away on Sunday, please cancel her standing order.")
    watched.go("/admin/segments/to-read/")
    watched.picture(f"for_a_person_{name}")
    assert "My mother passed away" in page.content()
    assert watched.complaints == []


PAGES = [
    "/admin/",
    "/admin/customers/customer/",
    "/admin/customers/importrun/",
    "/admin/customers/importrun/upload/",
    "/admin/customers/suppression/",
    "/admin/segments/",
    "/admin/segments/unknown/",
    "/admin/segments/mixed/members/",
    "/admin/segments/mixed/changes/",
    "/admin/segments/changes/",
    "/admin/segments/runs/",
    "/admin/segments/groups/",
    "/admin/segments/pins/",
    "/admin/segments/map/",
    "/admin/segments/drift/",
    "/admin/segments/diagnostics/",
    "/admin/segments/model/",
    "/admin/segments/words/",
    "/admin/segments/to-read/",
    "/admin/segments/rules/",
    "/admin/segments/new-rule/",
    "/admin/campaigns/emailtemplate/",
    "/admin/campaigns/campaign/",
    "/admin/campaigns/sender/",
    "/admin/engagement/reports/",
    "/admin/auth/user/",
]


def test_no_page_is_wider_than_its_screen_or_complains(open_page, screen):
    watched = open_page(*screen)
    customer, another = Customer.objects.order_by("pk").values_list("pk", flat=True)[:2]
    template = EmailTemplate.objects.earliest("pk").pk
    text = EmotionScore.objects.exclude(families=b"").earliest("pk").interaction_id
    then, now = SegmentationRun.objects.order_by("pk").values_list("pk", flat=True)
    more = [
        f"/admin/segments/runs/{then}/",
        f"/admin/segments/runs/compare/?then={then}&now={now}",
        f"/admin/segments/texts/{text}/",
        f"/admin/customers/customer/{customer}/change/",
        f"/admin/customers/customer/{customer}/merge/{another}/",
        f"/admin/campaigns/emailtemplate/{template}/change/",
        f"/admin/campaigns/template/{template}/words/lively/",
        f"/admin/campaigns/template/{template}/shared/",
        f"/admin/campaigns/template/{template}/layout/",
    ]
    wide = []
    for path in [*PAGES, *more]:
        watched.go(path)
        watched.picture(f"page{re.sub('[^a-z0-9]+', '_', path)}{suffix(screen)}")
        width = watched.page.evaluate("document.documentElement.scrollWidth")
        if width > screen[0]:
            wide.append((path, width))
    assert watched.complaints == []
    assert wide == []
