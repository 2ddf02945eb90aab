"""Every event that Anymail can read, as each provider's documents spell it."""

import json
from urllib.parse import urlencode

import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from customers.models import Suppression
from engagement import inbox
from engagement.models import TrackingEvent, WebhookCall
from engagement.services import Event, record_events
from tests.engagement.signing import SIGNING_KEYS

pytestmark = pytest.mark.django_db

SECRETS = {
    **SIGNING_KEYS,
    "SPARKPOST_TRACK_INITIAL_OPEN_AS_OPENED": True,
}
TIME = 1_700_000_000
DAY = "2023-11-14T22:13:20"
FORM = "application/x-www-form-urlencoded"

# The provider's word, Anymail's, and ! where nobody mails that address again.
EVENTS = {
    "brevo": """
        request queued, delivered delivered, hard_bounce bounced!, soft_bounce bounced,
        blocked rejected, spam complained!, complaint complained!,
        invalid_email bounced!, deferred deferred, unique_opened opened, opened opened,
        unique_proxy_open opened, proxy_open opened, click clicked,
        unsubscribe unsubscribed!, error failed, list_addition subscribed""",
    "mailgun": """
        accepted queued, rejected rejected, delivered delivered, failed bounced!,
        failed/temporary deferred, opened opened, clicked clicked,
        unsubscribed unsubscribed!, complained complained!""",
    "mailgun (form)": """
        delivered delivered, dropped rejected, bounced bounced!, complained complained!,
        unsubscribed unsubscribed!, opened opened, clicked clicked""",
    "mailjet": """
        sent delivered, open opened, click clicked, bounce/hard bounced!,
        bounce/soft bounced, bounce/greylisted deferred, blocked rejected,
        spam complained!, unsub unsubscribed!""",
    "mailersend": """
        sent sent, delivered delivered, soft_bounced bounced, hard_bounced bounced!,
        opened opened, clicked clicked, unsubscribed unsubscribed!,
        spam_complaint complained!""",
    "mailtrap": """
        delivery delivered, open opened, click clicked, bounce bounced!,
        soft-bounce deferred, spam complained!, unsubscribe unsubscribed!,
        reject rejected, suspension deferred""",
    "mandrill": """
        send sent, deferral deferred, hard_bounce bounced!, soft_bounce bounced,
        open opened, click clicked, spam complained!, unsub unsubscribed!,
        reject rejected, whitelist unknown, blacklist unknown, delivered delivered""",
    "postal": """
        Sent delivered, SoftFail deferred, HardFail failed, Held queued,
        HardFail/5.1.1 bounced!, HardFail/5.7.1 failed, SoftFail/5.1.1 deferred,
        bounce bounced!, url clicked""",
    "postmark": """
        Delivery delivered, Open opened, Click clicked, SpamComplaint complained!,
        SubscriptionChange unsubscribed!, Bounce/HardBounce bounced!,
        Bounce/Transient deferred, Bounce/Unsubscribe unsubscribed!,
        Bounce/Subscribe subscribed, Bounce/AutoResponder autoresponded,
        Bounce/AddressChange autoresponded, Bounce/DnsError deferred,
        Bounce/SpamNotification complained!, Bounce/OpenRelayTest deferred,
        Bounce/Unknown unknown, Bounce/SoftBounce bounced,
        Bounce/VirusNotification bounced, Bounce/ChallengeVerification autoresponded,
        Bounce/BadEmailAddress rejected, Bounce/SpamComplaint complained!,
        Bounce/ManuallyDeactivated rejected, Bounce/Unconfirmed rejected,
        Bounce/Blocked rejected, Bounce/SMTPApiError failed,
        Bounce/InboundError inbound_failed, Bounce/DMARCPolicy rejected,
        Bounce/TemplateRenderingFailed failed, Bounce/ManualSuppression unsubscribed!
        """,
    "resend": """
        email.sent sent, email.delivered delivered, email.delivery_delayed deferred,
        email.complained complained!, email.bounced/Permanent bounced!,
        email.bounced/Transient bounced, email.opened opened, email.clicked clicked,
        email.failed unknown, email.scheduled unknown""",
    "sendgrid": """
        processed queued, delivered delivered, deferred deferred, bounce bounced!,
        bounce/blocked bounced, dropped rejected, open opened, click clicked,
        spamreport complained!, unsubscribe unsubscribed!,
        group_unsubscribe unsubscribed!, group_resubscribe subscribed""",
    "sparkpost": """
        injection queued, delivery delivered, delay deferred, bounce/10 bounced!,
        bounce/30 bounced!, bounce/22 bounced, bounce/60 autoresponded,
        bounce/80 subscribed, bounce/90 unsubscribed!, bounce/100 autoresponded,
        out_of_band/30 bounced!, spam_complaint complained!, policy_rejection rejected,
        click clicked, open opened, initial_open opened, amp_click clicked,
        amp_open opened, amp_initial_open opened, generation_failure failed,
        generation_rejection rejected, list_unsubscribe unsubscribed!,
        link_unsubscribe unsubscribed!""",
    "unisender_go": """
        sent sent, delivered delivered, opened opened, clicked clicked,
        unsubscribed unsubscribed!, subscribed subscribed, spam complained!,
        soft_bounced deferred, hard_bounced bounced!, hard_bounced/bare bounced!""",
    "amazon_ses": """
        Send sent, Delivery delivered, Bounce/Permanent bounced!,
        Bounce/Transient bounced, Complaint complained!, Reject rejected, Open opened,
        Click clicked, Rendering-Failure failed, Subscription unknown""",
}


def cases(provider):
    """(their word, Anymail's, whether it stops mail to the address)."""
    for pair in EVENTS[provider].split(","):
        word, meant = pair.split()
        yield word, meant.rstrip("!"), meant.endswith("!")


def brevo(word, kind, to, d):
    said = {"event": word, "email": to, "ts_epoch": TIME * 1000, "message-id": "m1"}
    return said | {"X-Mailin-custom": json.dumps({"d": d}), "link": "https://x.y/"}


def mailgun(word, kind, to, d):
    severity = {"severity": kind or "permanent", "reason": "bounce"}
    data = {"event": word, "timestamp": TIME, "recipient": to, "url": "https://x.y/"}
    data |= {"message": {"headers": {"message-id": "m1"}}, "user-variables": {"d": d}}
    signature = {"token": f"t {word}{kind}", "timestamp": str(TIME), "signature": "s"}
    data |= severity if word == "failed" else {}
    return {"signature": signature, "event-data": data}


def mailgun_form(word, kind, to, d):
    said = {"event": word, "timestamp": TIME, "recipient": to, "Message-Id": "<m1>"}
    headers = json.dumps([["X-Mailgun-Variables", json.dumps({"d": d})]])
    said |= {"message-headers": headers, "token": f"t{word}"}
    return said | ({"code": "550"} if word in {"bounced", "dropped"} else {})


def mailjet(word, kind, to, d):
    said = {"event": word, "time": TIME, "email": to, "MessageID": 7}
    error = "greylisted" if kind == "greylisted" else "user unknown"
    said |= {"error": error, "hard_bounce": kind == "hard"} if kind else {}
    return said | {"Payload": json.dumps({"d": d}), "url": "https://x.y/"}


def mailersend(word, kind, to, d):
    morph = {"soft_bounced": "recipient_bounce", "hard_bounced": "recipient_bounce"}
    morph |= {"unsubscribed": "recipient_unsubscribe", word: morph.get(word, word)}
    data = {"type": word, "id": f"e {word}", "created_at": f"{DAY}Z"}
    data |= {"email": {"recipient": {"email": to}, "message": {"id": "m1"}}}
    return {
        "type": f"activity.{word}",
        "data": data | {"morph": {"object": morph[word]}},
    }


def mailtrap(word, kind, to, d):
    event = {"event": word.replace("-", " "), "timestamp": TIME, "email": to}
    event |= {"message_id": "m1", "event_id": f"e {word}", "custom_variables": {"d": d}}
    return {"events": [event]}


def mandrill(word, kind, to, d):
    event = {"event": word, "ts": TIME, "_id": "m1", "msg": {"email": to}}
    event["msg"]["metadata"] = {"d": d}
    return urlencode({"mandrill_events": json.dumps([event])})


def postal(word, kind, to, d):
    about = {word: {"id": 1}} if word in {"bounce", "url"} else {"status": word}
    message = {"original_message" if word == "bounce" else "message": {}}
    message = {next(iter(message)): {"id": "m1", "to": to, "direction": "outgoing"}}
    about |= {"output": f"550 {kind} no"} if kind else {}
    return {"timestamp": TIME, "uuid": f"e {word}", "payload": about | message}


def postmark(word, kind, to, d):
    said = {"RecordType": word, "MessageID": "m1", "Metadata": {"d": d}}
    said |= {"Type": kind, "ID": 4} if word == "Bounce" else {}
    said |= {"Type": "SpamComplaint"} if word == "SpamComplaint" else {}
    who = "Email" if word in {"Bounce", "SpamComplaint"} else "Recipient"
    return said | {who: to, "ReceivedAt": f"{DAY}Z", "SuppressSending": True}


def resend(word, kind, to, d):
    headers = [{"name": "X-Metadata", "value": json.dumps({"d": d})}]
    data = {"email_id": "m1", "to": [to], "headers": headers}
    bounce = {"type": kind, "message": "its bounce message says no such mailbox"}
    data |= {"bounce": bounce} if kind else {}
    return {"type": word, "created_at": f"{DAY}Z", "data": data}


def sendgrid(word, kind, to, d):
    event = {"event": word, "email": to, "timestamp": TIME, "smtp-id": "<m1>"}
    event |= {"sg_event_id": f"e {word}{kind}", "d": d}
    event |= {"type": kind or "bounce"} if word in {"bounce", "dropped"} else {}
    return [event]


def sparkpost(word, kind, to, d):
    event = {"type": word, "timestamp": str(TIME), "raw_rcpt_to": to}
    event |= {
        "transmission_id": "m1",
        "event_id": f"{word}{kind}",
        "rcpt_meta": {"d": d},
    }
    event |= {"bounce_class": kind} if kind else {}
    return [{"msys": {"some_event": event}}]


def unisender_go(word, kind, to, d):
    data = {"status": word, "event_time": "2023-11-14 22:13:20", "email": to}
    status = {"hard_bounced": "err_user_unknown", "soft_bounced": "err_will_retry"}
    data |= {"metadata": {"d": d}, "delivery_info": {}}
    if kind != "bare":
        data["delivery_info"] = {"delivery_status": status.get(word, "ok_read")}
    event = {"event_name": "transactional_email_status", "event_data": data}
    return {"auth": "x", "events_by_user": [{"user_id": 1, "events": [event]}]}


def amazon_ses(word, kind, to, d):
    word = word.replace("-", " ")
    headers = [{"name": "X-Metadata", "value": json.dumps({"d": d})}]
    mail = {"messageId": "m1", "destination": [to], "headers": headers}
    who = [{"emailAddress": to}]
    inner = {
        "Bounce": {"bounceType": kind, "bounceSubType": "x", "bouncedRecipients": who},
        "Complaint": {"complainedRecipients": who},
        "Delivery": {"recipients": [to]},
        "Reject": {"reason": "Bad content"},
        "Rendering Failure": {"errorMessage": "Attribute 'x' is not there"},
    }.get(word, {})
    place = "failure" if word == "Rendering Failure" else word.lower()
    message = json.dumps({"eventType": word, "mail": mail, place: inner})
    said = {"Type": "Notification", "MessageId": "s", "Timestamp": f"{DAY}Z"}
    return said | {"Message": message}


SPELLED = {
    one.__name__: one
    for one in (
        *(brevo, mailgun, mailjet, mailersend, mailtrap, mandrill, postal, postmark),
        *(resend, sendgrid, sparkpost, unisender_go, amazon_ses),
    )
} | {"mailgun (form)": mailgun_form}


def told(provider, word, to, at):
    """One report about message 77, as the provider spells it and as we read it."""
    name, _, kind = word.partition("/")
    said, content_type = SPELLED[provider](name, kind, to, "77"), "application/json"
    if provider == "mandrill":
        content_type = FORM
    elif provider == "mailgun (form)":
        said, content_type = encode_multipart(BOUNDARY, said), MULTIPART_CONTENT
    body = said if isinstance(said, (bytes, str)) else json.dumps(said)
    call = WebhookCall(
        provider=provider.split()[0],
        body=body if isinstance(body, bytes) else body.encode(),
        content_type=content_type,
        headers={"HTTP_SVIX_ID": f"msg {word}"},
        received_at=at,
    )
    [event] = inbox._told(call)
    assert isinstance(event, Event), event
    return event


@pytest.mark.parametrize("provider", EVENTS)
def test_each_event_is_read_as_what_it_is_and_stops_whom_it_must(
    settings, provider, at
):
    settings.ANYMAIL = settings.ANYMAIL | SECRETS
    said = {f"p{n}@example.com": case for n, case in enumerate(cases(provider))}
    events = [told(provider, word, to, at) for to, (word, *_) in said.items()]
    record_events(events, at=at)
    if provider not in {"mailersend", "postal"}:  # they send nothing back
        assert {event.public_id for event in events} == {77}
    read = {event.recipient: event.event_type for event in events}
    assert read == {to: meant for to, (_, meant, _) in said.items()}
    assert TrackingEvent.objects.count() == len(events)
    stopped = Suppression.objects.values_list("address", flat=True)
    assert {*stopped} == {to for to, (*_, stops) in said.items() if stops}


def test_no_event_that_anymail_knows_is_left_out():
    ours = {}
    for provider in EVENTS:
        kinds = ours.setdefault(provider.split()[0], set())
        for word, *_ in cases(provider):
            kinds |= {part.replace("-", " ") for part in word.split("/")}
    for provider, (_, view) in inbox.tracking_views().items():
        known = {*getattr(view, "event_types", ())}
        known |= {*getattr(view, "event_record_types", ())}
        known |= {*getattr(view, "initial_open_event_types", ())}
        known -= {"inbound", "Inbound"}  # mail that came in
        assert known <= ours[provider.replace("sendinblue", "brevo")], provider
