import re

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Campaign, EmailTemplate, Message, Send
from campaigns.sending.engine import run_once
from campaigns.services import starter_template
from segmentation.services import refresh_segments


@pytest.fixture
def marketer(admin_client):
    return admin_client


@pytest.fixture
def template(sender):
    return starter_template("announcement")


@pytest.fixture
def people(ada, bo, cy, di, at):
    refresh_segments(at=at)
    return [ada, bo, cy, di]


@pytest.fixture
def campaign(template, sender, people):
    return Campaign.objects.create(name="Spring", template=template, sender=sender)


@pytest.fixture
def outbox(settings, tmp_path):
    settings.OUTBOX_DIR = tmp_path
    return tmp_path


def page_of(template: EmailTemplate) -> str:
    return reverse("admin:campaigns_emailtemplate_change", args=[template.pk])


def words_page(template: EmailTemplate, tone: str) -> str:
    return reverse("campaigns:words", args=[template.pk, tone])


def words(**changed) -> dict[str, str]:
    return {
        "subject": "New plants",
        "preheader": "From this week",
        "headline": "New plants",
        "opening": "Hello,",
        "details": "Fourteen plants.",
        "closing": "Mara",
        **changed,
    }


@pytest.mark.parametrize(
    "name",
    [
        "admin:campaigns_emailtemplate_changelist",
        "admin:campaigns_campaign_changelist",
        "admin:campaigns_campaign_add",
        "admin:campaigns_emailtemplate_add",
        "campaigns:outbox",
        "engagement_admin:reports",
        "segmentation:segments",
        "admin:index",
        "admin:customers_customer_changelist",
        "admin:customers_importrun_changelist",
        "admin:engagement_trackingevent_changelist",
    ],
)
def test_every_list_opens_with_and_without_rows(marketer, name, request):
    assert marketer.get(reverse(name)).status_code == 200
    request.getfixturevalue("campaign")
    assert marketer.get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", ["campaigns:outbox", "segmentation:segments"])
def test_a_stranger_is_sent_to_the_log_in(client, db, name):
    answer = client.get(reverse(name))
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


def test_a_template_is_made_from_a_design_with_all_its_tones(marketer, db):
    answer = marketer.post(
        reverse("admin:campaigns_emailtemplate_add"),
        {"design": "loyalty", "name": "Thanks"},
    )
    made = EmailTemplate.objects.get()
    assert answer["Location"] == page_of(made)
    assert made.variants.count() == 8


def test_tones_stand_side_by_side_with_one_offer(marketer, template, people):
    html = marketer.get(page_of(template)).content.decode()
    assert html.count("the same in every tone") == 1
    assert html.count('class="look-light" sandbox') == 2


def test_new_words_are_kept(marketer, template):
    marketer.post(words_page(template, "lively"), words(headline="Out now"))
    assert template.variants.get(tone="lively").blocks["headline"] == "Out now"


def test_a_slip_in_the_words_is_shown_with_its_line_and_changes_nothing(
    marketer, template
):
    before = template.variants.get(tone="lively").blocks
    answer = marketer.post(
        words_page(template, "lively"), words(opening="Hello {{ customer.first_name")
    )
    assert answer.status_code == 200
    assert re.search(r"line \d+, column \d+", answer.content.decode())
    assert template.variants.get(tone="lively").blocks == before


@pytest.mark.parametrize(
    "layout",
    [
        "",
        "<mjml>",
        "<mjml><mj-body><p>éw>",
        "<mjml><mj-body><mj-nonsense/></mj-body></mjml>",
        "<b>" * 5_000,
    ],
)
def test_a_broken_layout_is_refused_and_the_kept_one_stays(marketer, template, layout):
    address = reverse("campaigns:layout", args=[template.pk])
    answer = marketer.post(address, {"layout": layout})
    before = template.layout
    template.refresh_from_db()
    assert answer.status_code == 200
    assert template.layout == before


def test_what_is_offered_changes_in_every_tone_at_once(marketer, template, people):
    address = reverse("campaigns:shared", args=[template.pk])
    marketer.post(
        address,
        {
            "name": template.name,
            "purpose": "promotion",
            "offer": "A bag of soil",
            "terms": "",
            "button_label": "Look",
            "button_url": "https://lindenandloam.example/soil",
            "footer_reason": "You ordered.",
        },
    )
    for tone in ("neutral", "lively", "reassuring"):
        preview = marketer.get(reverse("campaigns:preview", args=[template.pk, tone]))
        assert "A bag of soil" in preview.content.decode()


def test_a_preview_runs_nothing_and_fetches_nothing(marketer, template, people):
    answer = marketer.get(reverse("campaigns:preview", args=[template.pk, "lively"]))
    policy = answer["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:")
    assert "<script" not in answer.content.decode()


def test_no_feeling_segment_or_tone_is_named_in_the_mail_itself(
    marketer, template, people
):
    html = marketer.get(
        reverse("campaigns:preview", args=[template.pk, "reassuring"])
    ).content.decode()
    names = re.findall(r'(?:class|id|alt|href|src)="([^"]*)"', html)
    inner = ("anxi", "reassur", "frustrat", "segment", "tone", "emotion")
    assert not [name for name in names if any(word in name.lower() for word in inner)]


def test_neutral_can_not_be_removed_and_others_can(marketer, template):
    for tone in ("neutral", "lively"):
        marketer.post(reverse("campaigns:remove_tone", args=[template.pk, tone]))
    assert template.variants.filter(tone="neutral").exists()
    assert not template.variants.filter(tone="lively").exists()


def test_a_test_mail_goes_to_the_address_asked_for(
    marketer, template, people, outbox, settings
):
    marketer.post(
        reverse("campaigns:test_mail", args=[template.pk]),
        {"to": "mara@lindenandloam.example", "tone": "lively"},
    )
    kept = list(outbox.rglob("*.eml"))
    assert len(kept) == 1
    assert b"mara@lindenandloam.example" in kept[0].read_bytes()


def test_a_test_mail_of_every_tone_that_is_written(marketer, template, people, outbox):
    page = marketer.post(
        reverse("campaigns:test_mail", args=[template.pk]),
        {"to": "mara@lindenandloam.example", "tone": "every"},
        follow=True,
    ).content.decode()
    written = template.variants.count()
    assert f"{written} test mails are on their way" in page
    assert len(list(outbox.rglob("*.eml"))) == written > 1


def test_the_preflight_names_who_is_left_out(marketer, campaign, cy):
    page = marketer.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
    assert page.status_code == 200
    names = marketer.get(
        reverse("campaigns:left_out_now", args=[campaign.pk, "suppressed"])
    )
    assert names.status_code == 200


def test_without_a_postal_address_nothing_can_be_scheduled(marketer, campaign, sender):
    sender.postal_address = ""
    sender.save()
    page = marketer.get(
        reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    ).content.decode()
    assert "can’t be sent yet" in page
    marketer.post(reverse("campaigns:schedule", args=[campaign.pk]))
    assert not Send.objects.exists()


def test_a_time_that_has_passed_is_refused(marketer, campaign):
    answer = marketer.post(
        reverse("campaigns:schedule", args=[campaign.pk]),
        {"when_0": "2020-01-01", "when_1": "10:00:00"},
    )
    assert "This time has passed" in answer.content.decode()
    assert not Send.objects.exists()


def test_a_campaign_is_planned_scheduled_watched_and_read(marketer, campaign, outbox):
    answer = marketer.post(reverse("campaigns:schedule", args=[campaign.pk]))
    send = Send.objects.get()
    assert answer["Location"] == reverse("campaigns:send", args=[send.pk])
    for _ in range(5):
        run_once(at=timezone.now())
    send.refresh_from_db()
    assert send.state == Send.State.SENT
    pages = [
        reverse("campaigns:send", args=[send.pk]),
        reverse("campaigns:live", args=[send.pk]),
        reverse("campaigns:names", args=[send.pk, "accepted"]),
        reverse("campaigns:names", args=[send.pk, "not_sent"]),
        reverse("engagement_admin:report", args=[send.pk]),
        reverse("engagement_admin:download", args=[send.pk, "csv"]),
        reverse("engagement_admin:download", args=[send.pk, "json"]),
        reverse("campaigns:outbox"),
    ]
    for page in pages:
        assert marketer.get(page).status_code == 200, page


def test_the_people_in_a_bucket_are_listed_page_by_page_each_once(
    marketer, world, campaign, at, monkeypatch
):
    people = world.add_customers(17)
    send = world.prepared_send(campaign)
    monkeypatch.setattr("campaigns.pages.sends.NAMES_A_PAGE", 5)
    page, listed = "", []
    while page is not None:
        shown = marketer.get(
            reverse("campaigns:names", args=[send.pk, "waiting"]) + page
        ).content.decode()
        listed += re.findall(r"/customers/customer/(\d+)/", shown)
        further = re.search(r'href="(\?after=\d+)"', shown)
        page = further and further[1]
    theirs = {str(one.pk) for one in people}
    assert [pk for pk in listed if pk in theirs] == sorted(theirs, key=int)


@pytest.mark.parametrize("segment", ["trusting", "mixed", "unknown", "anxious"])
def test_every_segment_has_a_page(marketer, campaign, segment):
    page = marketer.get(reverse("segmentation:segment", args=[segment]))
    assert page.status_code == 200
    members = marketer.get(reverse("segmentation:members", args=[segment]))
    assert members.status_code == 200


def test_a_customers_page_shows_what_was_said_and_why(marketer, campaign, cy):
    page = marketer.get(
        reverse("admin:customers_customer_change", args=[cy.pk])
    ).content.decode()
    assert "third broken kettle" in page
    assert "What recent messages read as" in page


def test_pause_resume_and_cancel_are_posts_that_say_what_they_did(marketer, campaign):
    marketer.post(reverse("campaigns:schedule", args=[campaign.pk]))
    send = Send.objects.get()
    for action, state in (
        ("pause", "paused"),
        ("resume", "scheduled"),
        ("cancel", "cancelled"),
    ):
        address = reverse("campaigns:act", args=[send.pk, action])
        assert marketer.get(address).status_code == 405
        marketer.post(address)
        send.refresh_from_db()
        assert send.state == state
    again = marketer.post(
        reverse("campaigns:act", args=[send.pk, "pause"]), follow=True
    )
    assert "can&#x27;t be paused" in again.content.decode()


def test_a_message_in_doubt_is_settled_by_a_person(marketer, campaign, ada, at):
    send = Send.objects.create(campaign=campaign, scheduled_at=at, state="sending")
    message = Message.objects.create(
        send=send,
        customer=ada,
        state="in_doubt",
        address_wire="ada@example.com",
        segment_key="trusting",
        tone="neutral",
        handed_over_at=at,
    )
    page = marketer.get(reverse("campaigns:send", args=[send.pk])).content.decode()
    assert "In doubt, by name" in page
    marketer.post(reverse("campaigns:settle", args=[message.pk, "accepted"]))
    message.refresh_from_db()
    assert message.state == "accepted"


@pytest.mark.parametrize(
    "path",
    [
        "/admin/campaigns/outbox/1/no-such.eml/",
        "/admin/campaigns/outbox/../../etc/passwd/",
        "/admin/campaigns/template/99/words/lively/",
        "/admin/campaigns/send/99/",
        "/admin/segments/no-such/",
        "/admin/engagement/reports/99/",
    ],
)
def test_what_is_not_there_is_a_404_and_never_a_500(marketer, db, path):
    assert marketer.get(path).status_code == 404


def test_a_template_without_neutral_words_says_so_and_breaks_no_page(
    marketer, template, people
):
    template.variants.filter(tone="neutral").delete()
    pages = [
        page_of(template),
        reverse("campaigns:shared", args=[template.pk]),
        reverse("campaigns:layout", args=[template.pk]),
        reverse("campaigns:preview", args=[template.pk, "neutral"]),
        reverse("segmentation:segment", args=["mixed"]),
    ]
    for path in pages:
        assert marketer.get(path).status_code == 200, path
    layout = reverse("campaigns:layout", args=[template.pk])
    assert marketer.post(layout, {"layout": template.layout}).status_code == 302
    test = reverse("campaigns:test_mail", args=[template.pk])
    answer = marketer.post(test, {"to": "me@example.com", "tone": "neutral"})
    assert answer.status_code == 302


@pytest.mark.parametrize("rubbish", ["9" * 5000, "9" * 30, "x", "-1", "%00", "²"])
def test_rubbish_in_an_address_breaks_no_page(marketer, template, people, rubbish):
    run = reverse("segmentation:segment", args=["mixed"])
    preview = reverse("campaigns:preview", args=[template.pk, "neutral"])
    for path in (
        f"{reverse('campaigns:outbox')}?page={rubbish}",
        f"{preview}?customer={rubbish}",
        f"{run}?member={rubbish}&template={rubbish}",
        f"{reverse('segmentation:members', args=['mixed'])}?after={rubbish}",
    ):
        assert marketer.get(path).status_code in (200, 404), path


def test_the_second_press_of_the_button_finds_the_first_ones_send(marketer, campaign):
    path = reverse("campaigns:schedule", args=[campaign.pk])
    for _ in range(2):
        assert marketer.post(path, {"newest_known": "0"}).status_code == 302
    assert Send.objects.count() == 1
