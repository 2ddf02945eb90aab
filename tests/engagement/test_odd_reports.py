"""Reports that Anymail would stumble over, or has too little of a word for."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from customers.models import Consent, Suppression
from engagement import inbox
from engagement.bodies import FORM
from engagement.models import DeadLetter, MessageEngagement, TrackingEvent
from tests.engagement.signing import SIGNING_KEYS

pytestmark = pytest.mark.django_db
TO, ANOTHER = "cleo@example.com", "dora@example.com"
TIME = 1_699_000_000
MOMENT = datetime.fromtimestamp(TIME, UTC)
SAID_AT = MOMENT.strftime("%Y-%m-%d %H:%M:%S")


@pytest.fixture
def told(rf, settings, at):
    """Has a report taken in, of whoever; who may call is asked elsewhere."""
    settings.ANYMAIL = settings.ANYMAIL | SIGNING_KEYS

    def do(provider, said):
        body, kind = json.dumps(said), "application/json"
        if provider == "mandrill":
            body, kind = urlencode({"mandrill_events": body}), FORM
        request = rf.generic("POST", "/", body, content_type=kind)
        assert inbox.keep(provider, request, at=at)
        return list(TrackingEvent.objects.order_by("pk"))

    return do


def stopped():
    return {one.address: str(one.reason) for one in Suppression.objects.all()}


def brevo(**more):
    return {"event": "spam", "email": TO, "ts_epoch": TIME * 1000} | more


def mailgun(**more):
    event = {"event": "complained", "timestamp": TIME, "recipient": TO} | more
    return {"signature": {"token": "t", "timestamp": "1"}, "event-data": event}


def mailjet(**more):
    return {"event": "spam", "email": TO, "time": TIME, "MessageID": 3} | more


def mailtrap(**more):
    event = {"event": "spam", "email": TO, "timestamp": TIME, "message_id": "m"}
    return {"events": [event | more]}


def mandrill(**more):
    return [{"event": "spam", "ts": TIME, "_id": "m", "msg": {"email": TO}} | more]


def mailersend(**more):
    email = {"recipient": {"email": TO}, "message": {"id": "m"}}
    data = {"type": "spam_complaint", "id": "e", "email": email} | more
    return {"type": f"activity.{data['type']}", "data": data}


def postal(**more):
    message = {"id": 4, "to": TO, "direction": "outgoing"}
    said = {"event": "MessageSent", "timestamp": TIME, "uuid": "u"}
    return said | {"payload": {"message": message, "status": "Sent"}} | more


def postmark(**more):
    said = {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "Email": TO}
    return said | {"ID": 8, "MessageID": "m"} | more


def resend(kind="email.complained", **more):
    return {"type": kind, "data": {"email_id": "m", "to": [TO]} | more}


def sendgrid(**more):
    return [{"event": "spamreport", "email": TO, "timestamp": TIME} | more]


def sparkpost(**more):
    event = {"type": "spam_complaint", "raw_rcpt_to": TO, "timestamp": str(TIME)}
    return [{"msys": {"message_event": event | more}}]


def unisender(*events):
    name = "transactional_email_status"
    told = [{"event_name": name, "event_data": one} for one in events]
    return {"auth": "x", "events_by_user": [{"user_id": 5, "events": told}]}


def of_unisender(status="spam", **more):
    return {"status": status, "email": TO, "event_time": SAID_AT} | more


def ses(kind, **more):
    message = {"eventType": kind, "mail": {"messageId": "m", "destination": [TO]}}
    said = {"Type": "Notification", "MessageId": kind, "Timestamp": f"{SAID_AT}Z"}
    return said | {"Message": json.dumps(message | more)}


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        # Where Attune's id stands, other programs of the account put theirs, or none.
        ("brevo", brevo(**{"X-Mailin-custom": "till 4"})),
        ("brevo", brevo(**{"X-Mailin-custom": "4"})),
        ("brevo", brevo(**{"X-Mailin-custom": None})),
        ("sendinblue", brevo(**{"X-Mailin-custom": "till 4"})),
        ("mailjet", mailjet(Payload="[4]")),
        ("mailjet", mailjet(Payload=4)),
        ("mailjet", [mailjet(Payload=None)]),
        ("mailgun", mailgun(**{"user-variables": [4]})),
        ("mailtrap", mailtrap(custom_variables=[4])),
        ("mandrill", mandrill(msg={"email": TO, "metadata": ["till"]})),
        ("postmark", postmark(Metadata=None)),
        ("postmark", postmark(Metadata=[])),
        ("resend", resend(headers=[{"name": "X-Metadata", "value": "4"}])),
        ("sparkpost", sparkpost(rcpt_meta="till")),
        ("unisender_go", unisender(of_unisender(metadata=[]))),
        ("unisender_go", unisender(of_unisender(metadata=None))),
        # A field of nothing.
        ("mailgun", mailgun(message=None, **{"client-info": None})),
        ("mailgun", mailgun(message={"headers": None})),
        ("mandrill", mandrill(reject=None)),
        ("resend", resend(headers=None)),
        ("unisender_go", unisender(of_unisender(delivery_info=None))),
        # A field that is missing, or of another type.
        ("mailtrap", {"events": [{"event": "spam", "email": TO}]}),
        ("resend", resend(to=TO)),
        ("sparkpost", sparkpost(raw_rcpt_to=None, rcpt_to=TO)),
        ("sparkpost", [{"msys": {}}, *sparkpost()]),
    ],
)
def test_a_complaint_is_heard_whatever_else_stands_beside_it(told, provider, said):
    assert [event.event_type for event in told(provider, said)] == ["complained"]
    assert stopped() == {TO: "complained"}
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("brevo", brevo(ts_epoch=TIME)),
        ("brevo", brevo(ts_epoch=str(TIME * 1000))),
        ("mailgun", mailgun(timestamp=TIME * 1000)),
        ("mailjet", mailjet(time=str(TIME))),
        ("mailtrap", mailtrap(timestamp=TIME * 1000)),
        ("mailtrap", mailtrap(timestamp=f"{SAID_AT}Z")),
        ("mandrill", mandrill(ts=str(TIME))),
        ("mailersend", mailersend(created_at=SAID_AT)),
        ("postal", postal(timestamp=f"{TIME}.0")),
        ("sendgrid", sendgrid(timestamp=TIME * 1000)),
        ("sparkpost", sparkpost(timestamp=TIME)),
        ("sparkpost", sparkpost(timestamp=f"{SAID_AT}Z")),
    ],
)
def test_a_time_is_understood_as_text_as_a_date_and_in_milliseconds(
    told, settings, provider, said
):
    settings.TIME_ZONE = "Asia/Tokyo"  # and still in UTC where no zone is given
    (event,) = told(provider, said)
    assert event.occurred_at == MOMENT


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("mandrill", mandrill(ts=None)),
        ("mailtrap", mailtrap(timestamp=None)),
        ("mailersend", mailersend(created_at=None)),
        ("postmark", postmark(BouncedAt=None)),
        ("sendgrid", sendgrid(timestamp=None)),
    ],
)
def test_what_bears_no_time_happened_when_it_came(told, at, provider, said):
    (event,) = told(provider, said)
    assert event.occurred_at == at


def of_mailjet(**more):
    return mailjet(event="bounce", **more)


def of_resend(kind, message):
    return resend("email.bounced", bounce={"type": kind, "message": message})


@pytest.mark.parametrize(
    ("provider", "said", "is_dead"),
    [
        ("resend", of_resend("Permanent", "It is on our list of bad ones."), True),
        ("resend", of_resend("Permanent", "We have suppressed sending to it."), True),
        ("resend", of_resend("Permanent", None), True),
        ("resend", of_resend("Transient", "It sent a bounce message."), False),
        ("resend", of_resend("Undetermined", "Nobody knows."), False),
        ("mailersend", mailersend(type="hard_bounced"), True),
        ("mailersend", mailersend(type="soft_bounced"), False),
        ("sparkpost", sparkpost(type="bounce", bounce_class=10), True),
        ("sparkpost", sparkpost(type="bounce", bounce_class=20), False),
        ("sendgrid", sendgrid(event="bounce", type="bounce"), True),
        ("sendgrid", sendgrid(event="bounce", type="expired"), False),
        *(
            (
                "mailjet",
                of_mailjet(hard_bounce=hard, error_related_to=whose, error=error),
                is_dead,
            )
            for hard, whose, error, is_dead in [
                (True, "recipient", "mailbox was closed", True),
                (True, "domain", "", True),
                (True, "system", "system issue", False),
                (True, "spam", "sender blocked", False),
                (True, "recipient", "blacklisted", False),
                (False, "recipient", "mailbox was closed", False),
            ]
        ),
        *(
            (
                "unisender_go",
                unisender(
                    of_unisender(
                        "hard_bounced", delivery_info={"delivery_status": status}
                    )
                ),
                is_dead,
            )
            for status, is_dead in [
                ("err_user_unknown", True),
                ("err_mailbox_full", False),
                ("err_too_large", False),
                ("err_destination_misconfigured", False),
                ("err_spam_rejected", False),
                ("err_nobody_has_heard_of", False),
            ]
        ),
        *(
            (
                "amazon_ses",
                ses(
                    "Bounce",
                    bounce={"bounceType": kind, "bouncedRecipients": [{**who}]},
                ),
                is_dead,
            )
            for kind, who, is_dead in [
                ("Permanent", {"emailAddress": TO}, True),
                ("Permanent", {"emailAddress": f"Cleo C. <{TO}>"}, True),
                ("Transient", {"emailAddress": TO}, False),
            ]
        ),
    ],
)
def test_only_a_dead_address_is_suppressed_after_a_bounce(
    told, provider, said, is_dead
):
    assert [event.event_type for event in told(provider, said)] == ["bounced"]
    assert stopped() == ({TO: "bounced"} if is_dead else {})


@pytest.mark.parametrize(
    ("provider", "said", "reason"),
    [
        (
            "mailgun",
            mailgun(event="failed", severity="permanent", reason=f"suppress-{word}"),
            reason,
        )
        for word, reason in [
            ("complaint", "complained"),
            ("unsubscribe", "unsubscribed"),
            ("bounce", "bounced"),
        ]
    ]
    + [
        ("mailgun", mailgun(event="failed", severity="permanent", reason="old"), None),
        ("mailjet", mailjet(event="blocked", error="spam reporter"), "complained"),
        ("mailjet", mailjet(event="blocked", error="preblocked"), None),
        ("mandrill", mandrill(event="reject", reject={"reason": "spam"}), "complained"),
        (
            "mandrill",
            mandrill(event="reject", reject={"reason": "unsub"}),
            "unsubscribed",
        ),
        ("mandrill", mandrill(event="reject", reject={"reason": "rule"}), None),
        (
            "sendgrid",
            sendgrid(event="dropped", reason="Spam Reporting Address"),
            "complained",
        ),
        (
            "sendgrid",
            sendgrid(event="dropped", reason="Unsubscribed Address"),
            "unsubscribed",
        ),
        ("sendgrid", sendgrid(event="dropped", reason="Spam Content"), None),
        (
            "unisender_go",
            unisender(
                of_unisender(
                    "hard_bounced",
                    delivery_info={"delivery_status": "err_unsubscribed"},
                )
            ),
            "unsubscribed",
        ),
    ],
)
def test_who_had_said_no_to_the_provider_is_mailed_by_no_other_either(
    told, ada, provider, said, reason
):
    (event,) = told(provider, said)
    assert event.event_type in {"bounced", "rejected"}
    assert stopped() == ({TO: reason} if reason else {})
    assert not Consent.objects.filter(basis=Consent.Basis.WITHDRAWN).exists()


@pytest.mark.parametrize(
    ("code", "reason"),
    [("607", "complained"), ("606", "unsubscribed"), ("605", None), ("499", None)],
)
def test_a_form_of_mailgun_says_by_a_code_why_mail_was_kept_back(
    rf, settings, at, code, reason
):
    settings.ANYMAIL = settings.ANYMAIL | SIGNING_KEYS
    said = {"event": "dropped", "recipient": TO, "timestamp": str(TIME), "code": code}
    assert inbox.keep("mailgun", rf.post("/", said), at=at)
    assert TrackingEvent.objects.get().event_type == "rejected"
    assert stopped() == ({TO: reason} if reason else {})


def wants(all_off):
    return {"newTopicPreferences": {"unsubscribeAll": all_off}}


@pytest.mark.parametrize(
    ("provider", "said", "meant"),
    [
        ("amazon_ses", ses("DeliveryDelay", deliveryDelay={}), "deferred"),
        ("amazon_ses", ses("Subscription", subscription=wants(True)), "unsubscribed"),
        ("amazon_ses", ses("Subscription", subscription=wants(False)), "unknown"),
        *(
            (
                "amazon_ses",
                ses(
                    "Complaint",
                    complaint={
                        "complainedRecipients": [{"emailAddress": TO}],
                        "complaintFeedbackType": kind,
                    },
                ),
                meant,
            )
            for kind, meant in [("abuse", "complained"), ("not-spam", "unknown")]
        ),
        ("sparkpost", sparkpost(fbtype="abuse"), "complained"),
        ("sparkpost", sparkpost(fbtype="not-spam"), "unknown"),
        ("brevo", brevo(event="unsubscribed"), "unsubscribed"),
        ("mailersend", mailersend(type="deferred"), "deferred"),
        ("mailersend", mailersend(type="opened_unique"), "opened"),
        ("mailersend", mailersend(type="clicked_unique"), "clicked"),
        ("mailersend", {"type": "sender_identity.verified", "data": {}}, "unknown"),
        (
            "postal",
            postal(event="MessageLoaded", payload={"message": {"id": 4, "to": TO}}),
            "opened",
        ),
    ],
)
def test_words_that_anymail_does_not_know_are_understood(told, provider, said, meant):
    (event,) = told(provider, said)
    assert event.event_type == meant
    no = {"complained", "unsubscribed"}
    assert stopped() == ({TO: meant} if meant in no else {})
    assert "Unknown" not in event.detail.get("description", "") or meant == "unknown"
    assert bool(event.verdict) == (meant in {"opened", "clicked"})


CAME_IN = {"event": "inbound", "msg": {"raw_msg": "From: a@x.y\n\nHello"}}


@pytest.mark.parametrize("first", [True, False])
def test_mail_that_came_in_costs_no_report_of_mandrills_beside_it(told, first):
    said = [CAME_IN, *mandrill()] if first else [*mandrill(), CAME_IN]
    assert [event.event_type for event in told("mandrill", said)] == ["complained"]
    assert stopped() == {TO: "complained"}
    assert DeadLetter.objects.get().place == (0 if first else 1)


def test_mail_that_came_in_alone_is_a_letter_that_says_so(told):
    assert told("mandrill", [CAME_IN]) == []
    assert "mail that came in" in DeadLetter.objects.get().problem


def test_one_malformed_event_of_unisender_costs_none_of_the_others(told):
    said = unisender(
        of_unisender(),
        {"status": "spam", "event_time": SAID_AT},
        of_unisender("unsubscribed", email=ANOTHER),
    )
    assert len(told("unisender_go", said)) == 2
    assert stopped() == {TO: "complained", ANOTHER: "unsubscribed"}
    letter = DeadLetter.objects.get()
    assert (letter.place, letter.problem) == (1, "KeyError: 'email'")


def test_unisenders_reports_of_two_users_in_one_call_are_heard(told):
    said, other = unisender(of_unisender()), unisender(of_unisender(email=ANOTHER))
    said["events_by_user"] += other["events_by_user"]
    assert len(told("unisender_go", said)) == 2
    assert stopped() == dict.fromkeys((TO, ANOTHER), "complained")
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("turned", [False, True])
def test_a_hard_bounce_counts_beside_a_soft_one_of_the_same_moment(
    told, message, turned
):
    message.provider_message_id = "m"
    message.save()
    about = {"email": message.address_wire, "message-id": "m"}
    kinds = ["soft_bounce", "hard_bounce"]
    for kind in reversed(kinds) if turned else kinds:
        told("brevo", brevo(event=kind, **about))
        told("brevo", brevo(event=kind, **about, tag="posted again"))
    assert TrackingEvent.objects.filter(message=message).count() == 2
    assert stopped() == {message.address_wire: "bounced"}


@pytest.mark.parametrize(
    "written",
    ["Cleo@xn--bcher-kva.example", "cleo@BÜCHER.example", "C. <cleo@bücher.example>"],
)
def test_an_address_is_the_same_however_a_provider_writes_it(told, message, written):
    message.address_wire = "cleo@xn--bcher-kva.example"
    message.provider_message_id = "m"
    message.save()
    (event,) = told("postmark", postmark(Email=written))
    assert event.message == message
    assert MessageEngagement.objects.get().message == message
    assert set(stopped()) == {message.address_wire}


def test_a_bounce_of_no_kind_is_left_to_a_person(told):
    assert told("amazon_ses", ses("Bounce", bounce={"bouncedRecipients": []})) == []
    assert DeadLetter.objects.get().problem == "KeyError: 'bounceType'"


def test_a_time_that_nobody_understands_is_left_to_a_person(told):
    assert told("brevo", brevo(ts_epoch="soon")) == []
    assert "soon" in DeadLetter.objects.get().said


def test_milliseconds_are_told_from_seconds(told):
    late = TIME + timedelta(days=365 * 1000).total_seconds()
    (event,) = told("sendgrid", sendgrid(timestamp=late))
    assert event.occurred_at.year > 3000
