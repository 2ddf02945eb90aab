"""What a marketer does, in a real browser, from logging in to reading the report."""

import re

import pytest
from django.utils import timezone

from campaigns.models import EmailTemplate, Message, Send
from campaigns.sending.engine import run_once
from customers.models import Customer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]


def suffix(screen) -> str:
    width, _, theme = screen
    return theme if theme == "dark" else str(width)


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
    while send.state != Send.State.SENT:
        run_once(at=timezone.now())
        send.refresh_from_db()
    page.wait_for_selector("text=/Every message is in exactly one place/")
    watched.go(f"/admin/campaigns/send/{send.pk}/")
    accepted = send.messages.filter(state=Message.State.ACCEPTED).count()
    assert f"{accepted:,} of {send.messages.count():,} accepted" in page.content()
    watched.picture(f"progress_{name}")

    page.get_by_role("link", name=re.compile("Report$")).last.click()
    page.wait_for_load_state("load")
    assert "Per segment and tone" in page.content()
    watched.picture(f"report_{name}")
    watched.go("/admin/campaigns/outbox/")
    page.locator("table.cards tbody th a").first.click()
    page.wait_for_load_state("load")
    assert "List-Unsubscribe" in page.content()
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
    "/admin/campaigns/emailtemplate/",
    "/admin/campaigns/campaign/",
    "/admin/campaigns/sender/",
    "/admin/engagement/reports/",
    "/admin/auth/user/",
]


def test_no_page_is_wider_than_its_screen_or_complains(open_page, screen):
    watched = open_page(*screen)
    customer = Customer.objects.earliest("pk").pk
    template = EmailTemplate.objects.earliest("pk").pk
    more = [
        f"/admin/customers/customer/{customer}/change/",
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
