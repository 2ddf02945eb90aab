"""Provider reports are received first and taken in afterwards, each event by itself.

The raw body is kept once, in the transaction before the answer; a provider that sends
it again changes nothing. Events are then taken in by whoever gets to it: the request
itself for half a second where no broker is, else a worker; an engine or the timetable
does what was left. One event that cannot be understood, or breaks something, becomes a
dead letter, and the others count. Source: sending.md 1.7 and 4.5.
"""

import hashlib
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from anymail import urls as anymail_urls
from anymail.signals import AnymailTrackingEvent
from anymail.webhooks.base import AnymailCoreWebhookView
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.db import transaction
from django.http import HttpRequest
from django.urls import URLPattern

from campaigns.errors import DATABASE_AWAY
from campaigns.services import something_is_handed_over
from engagement.bodies import mended, pieces
from engagement.bounce_mail import (
    BOUNCE_MAIL,
    KEPT_BYTES,
    event_of_mail,
    message_meant,
)
from engagement.models import DeadLetter, WebhookCall
from engagement.provider_events import PUBLIC_ID, as_text, event_of
from engagement.services import Event, heed_address, record_events, without_message

log = logging.getLogger(__name__)

# Events of one transaction: other writers are let in between.
TOGETHER: Final = 100
# What a provider has to wait for where no worker does it.
SECONDS_AT_ONCE: Final = 0.5
# A report may overtake what the provider said when it took the mail.
ASKED_AGAIN_AFTER: Final = timedelta(seconds=30)
PLACED_WITHIN: Final = timedelta(minutes=10)
# Bodies name addresses: they go when nobody can need them any more.
KEPT_FOR: Final = timedelta(days=30)
SAID_MOST: Final = 10_000
# So long nobody tries a call again with which something unforeseen went wrong.
TROUBLED_FOR: Final = timedelta(minutes=10)
# The place of a call that could not be taken apart.
WHOLE: Final = -1
MAIL_THAT_CAME_IN: Final = (
    "It is mail that came in. This address takes reports on mail that went out; have "
    "the provider's inbound route lead elsewhere."
)
_SECRET_HEADERS: Final = {"HTTP_AUTHORIZATION", "HTTP_COOKIE"}
_TRACKING: Final = "_tracking_webhook"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be understood, as it was said, and why."""

    said: str
    problem: str
    # The whole call, and not one event of it.
    whole: bool = False


def tracking_views() -> dict[str, tuple[URLPattern, type[AnymailCoreWebhookView]]]:
    """What Anymail has for reports on mail sent, by the provider's name in paths."""
    return {
        one.name.removesuffix(_TRACKING): (one, one.callback.view_class)  # type: ignore[attr-defined]
        for one in anymail_urls.urlpatterns
        if isinstance(one, URLPattern) and one.name and one.name.endswith(_TRACKING)
    }


def keep(provider: str, request: HttpRequest, *, at: datetime, token: str = "") -> bool:
    """Keep what a provider posted, once, and have it taken in.

    token: what the provider signed in the body's stead, for one body only. Returns
    False, and keeps nothing, if it came with another body before.
    """
    body = request.body
    identity = f"token {token}".encode() if token else body
    call, created = WebhookCall.objects.get_or_create(
        provider=provider,
        sha256=hashlib.sha256(identity).hexdigest(),
        defaults={
            "body": body,
            "content_type": request.META.get("CONTENT_TYPE", "")[:200],
            "headers": _headers(request),
            "received_at": at,
            "not_before": at,
        },
    )
    if not created and bytes(call.body) != body:
        return False
    if call.done_at is None:
        begin(call, at=at)
    return True


def keep_mail(raw: bytes, *, recipient: str, at: datetime) -> bool:
    """Keep a mail that came back, once, for an engine or a worker to take in.

    raw: the mail, or its beginning. recipient: whom the mail system delivered it to, if
    it says so. Returns whether it is about a message of ours; else nothing is kept.
    """
    public_id = message_meant(raw, recipient=recipient, keys=settings.TRACKING_KEYS)
    if public_id is None:
        return False
    body = raw[:KEPT_BYTES]
    call, _ = WebhookCall.objects.get_or_create(
        provider=BOUNCE_MAIL,
        # One text may come back of two messages.
        sha256=hashlib.sha256(b"%d\0%s" % (public_id, body)).hexdigest(),
        defaults={
            "body": body,
            "content_type": "message/rfc822",
            "headers": {PUBLIC_ID: str(public_id)},
            "received_at": at,
            "not_before": at,
        },
    )
    if call.done_at is None and settings.BROKER_URL:
        begin(call, at=at)
    return True


def begin(call: WebhookCall, *, at: datetime) -> None:
    """Have it taken in: by a worker, or here for as long as a provider may wait."""
    if settings.BROKER_URL:
        # Here and not above: without a broker no page needs Celery.
        from engagement import tasks

        tasks.wake(tasks.take_in, call.pk)
        return
    try:
        take_in(call.pk, at=at, until=monotonic() + SECONDS_AT_ONCE)
    except Exception:
        # It is kept: the provider has done its part.
        log.exception("webhook call %s was left to the engine", call.pk)


def take_in_open(*, at: datetime, until: float = float("inf")) -> int:
    """What a broker lost, a worker left when it died, or waits for its message.

    until: begin no further call after this time.monotonic(), after one at least. What
    goes wrong with one call keeps no other one waiting. Returns how many were begun.
    """
    waiting = WebhookCall.objects.filter(done_at=None, not_before__lte=at)
    taken = 0
    for pk in list(waiting.order_by("not_before").values_list("pk", flat=True)[:1000]):
        if taken and monotonic() >= until:
            break
        taken += 1
        try:
            take_in(pk, at=at, until=until)
        except DATABASE_AWAY:
            raise
        except Exception:
            log.exception("webhook call %s waits: this was not foreseen", pk)
            WebhookCall.objects.filter(pk=pk).update(not_before=at + TROUBLED_FOR)
    return taken


def take_in(call_id: int, *, at: datetime, until: float = float("inf")) -> bool:
    """Take in the events of one call; twice, or by two at once, is once.

    until: stop at this time.monotonic(), after one transaction at least. Returns
    whether nothing is left of it.
    """
    call = WebhookCall.objects.get(pk=call_id)
    if call.done_at is not None:
        return True
    told = list(_told(call))
    put_off = set[int]()
    while True:
        with transaction.atomic():
            call = WebhookCall.objects.select_for_update().get(pk=call_id)
            if call.done_at is not None:
                return True
            left = list(range(len(told))) if call.left is None else call.left
            here = [place for place in left if place not in put_off][:TOGETHER]
            # Another version of the programme may have counted more.
            known = {place: told[place] for place in here if place < len(told)}
            late = _take(call, known, at=at)
            put_off.update(late)
            # Who waits for a message goes to the end: the others are not kept waiting.
            call.left = [one for one in left if one not in here] + sorted(late)
            if not call.left:
                call.done_at = at
            elif put_off.issuperset(call.left):
                call.not_before = at + ASKED_AGAIN_AFTER
            call.save(update_fields=["left", "done_at", "not_before"])
        if not call.left or put_off.issuperset(call.left):
            return not call.left
        if monotonic() >= until:
            return False


def told_since(
    provider: str, *, since: datetime, after: int = 0
) -> Iterator[tuple[int, Event]]:
    """What a provider has posted from then on and was understood, each with its call.

    after: of later calls only; taken in or not, and of our messages or of none.
    """
    calls = WebhookCall.objects.filter(provider=provider, received_at__gte=since)
    for call in calls.filter(pk__gt=after).order_by("pk").iterator(chunk_size=100):
        for one in _told(call):
            if isinstance(one, Event):
                yield call.pk, one


def try_again(letter: DeadLetter, *, at: datetime) -> None:
    """A person has seen to what was wrong: take this report in once more."""
    with transaction.atomic():
        call = WebhookCall.objects.select_for_update().get(pk=letter.call_id)
        if not DeadLetter.objects.filter(pk=letter.pk).delete()[0]:
            return
        if letter.place == WHOLE:
            call.left = None
        elif call.left is not None:
            call.left = [letter.place, *call.left]
        call.done_at, call.not_before = None, at
        call.save(update_fields=["left", "done_at", "not_before"])
    begin(call, at=at)


def forget_old_calls(*, at: datetime) -> int:
    """Delete what was taken in long ago; whatever a person has to look at stays."""
    old = WebhookCall.objects.filter(done_at__lt=at - KEPT_FOR, dead_letters=None)
    pks = list(old.order_by("done_at").values_list("pk", flat=True)[:1000])
    return WebhookCall.objects.filter(pk__in=pks).delete()[0]


def _take(
    call: WebhookCall, told: Mapping[int, Event | Unreadable], *, at: datetime
) -> set[int]:
    """Store these events; returns those whose message is not known yet, by place."""
    late = set[int]()
    for place, one in told.items():
        if isinstance(one, Unreadable):
            where = WHOLE if one.whole else place
            _bury(call, where, one.said, one.problem, at=at)
    events = {place: one for place, one in told.items() if isinstance(one, Event)}
    try:
        with transaction.atomic():
            if at - call.received_at < PLACED_WITHIN and something_is_handed_over():
                late = {
                    place
                    for place, event in events.items()
                    if event.provider_message_id and without_message(event)
                }
            ready = [event for place, event in events.items() if place not in late]
            record_events(ready, at=at)
            for place in late:
                heed_address(events[place], at=at)
    except DATABASE_AWAY:
        raise
    except Exception:
        log.exception("webhook call %s: its events are taken one by one", call.pk)
        _one_by_one(call, events, late, at=at)
    return late


def _one_by_one(
    call: WebhookCall, events: Mapping[int, Event], late: set[int], *, at: datetime
) -> None:
    for place, event in events.items():
        try:
            with transaction.atomic():
                if place in late:
                    heed_address(event, at=at)
                else:
                    record_events([event], at=at)
        except DATABASE_AWAY:
            raise
        except Exception as problem:  # noqa: BLE001  told in the letter
            late.discard(place)
            _bury(call, place, repr(event), _in_words(problem), at=at)


def _bury(
    call: WebhookCall, place: int, said: str, problem: str, *, at: datetime
) -> None:
    DeadLetter.objects.update_or_create(
        call=call,
        place=place,
        defaults={
            "said": as_text(said)[:SAID_MOST],
            "problem": as_text(problem)[:SAID_MOST],
            "failed_at": at,
        },
    )


def _told(call: WebhookCall) -> Iterator[Event | Unreadable]:
    """The events of a call, in its order; always the same, whoever reads it."""
    body = bytes(call.body)
    if call.provider == BOUNCE_MAIL:
        yield _told_by_mail(call, body)
        return
    try:
        # Once another provider is in use, what this one needs may be set no more.
        _, view_class = tracking_views()[call.provider]
        provider = view_class().esp_name.lower()
    except Exception as problem:  # noqa: BLE001  told in the letter
        yield Unreadable(_text(body), _in_words(problem), whole=True)
        return

    def read(body: bytes) -> list[Event | Unreadable]:
        # A view of its own: Mandrill's takes nothing but mail that came in, once it
        # has read one. What is said in a letter is what the provider said.
        at, kind = call.received_at, call.content_type
        request = _request(call, mended(call.provider, body, kind, at=at))
        return [
            event_of(event, provider=provider, at=at)
            if isinstance(event, AnymailTrackingEvent)
            else Unreadable(_text(body), MAIL_THAT_CAME_IN)
            for event in view_class().parse_events(request)
        ]

    try:
        yield from read(body)
    except Exception as problem:  # noqa: BLE001  told in the letter
        alone = list(pieces(body, call.content_type))
        if len(alone) < 2:
            yield Unreadable(_text(body), _in_words(problem), whole=True)
            return
        for piece in alone:
            try:
                events = read(piece)
            except Exception as trouble:  # noqa: BLE001  told in the letter
                events = [Unreadable(_text(piece), _in_words(trouble))]
            yield from events


def _told_by_mail(call: WebhookCall, body: bytes) -> Event | Unreadable:
    try:
        return event_of_mail(call)
    except Exception as problem:  # noqa: BLE001  told in the letter
        return Unreadable(_text(body), _in_words(problem), whole=True)


def _request(call: WebhookCall, body: bytes) -> WSGIRequest:
    """What the provider posted, once more, as Anymail reads it."""
    return WSGIRequest(
        {
            **call.headers,
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "SERVER_NAME": "webhook",
            "SERVER_PORT": "443",
            "CONTENT_TYPE": call.content_type,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
    )


def _headers(request: HttpRequest) -> dict[str, str]:
    return {
        name: str(value)[:1000]
        for name, value in request.META.items()
        if name.startswith("HTTP_") and name not in _SECRET_HEADERS
    }


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _in_words(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}"
