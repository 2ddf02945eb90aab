"""The home page: how customers feel, who moved, what needs a person, what is sent."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Message, Send, SendNote
from campaigns.planning import missing_parts, sender_is_running
from campaigns.sending import breaker, instance
from campaigns.sending.pulse import what_hung
from campaigns.under_way import NEED_A_SENDER, UNDER_WAY, how_far
from customers.models import Customer
from engagement.figures import reports_for_page
from engagement.models import DeadLetter, TrackingEvent
from segmentation.clustering.anchors import UNKNOWN
from segmentation.clustering.drift_words import family_moves
from segmentation.drift_watch import drift_of
from segmentation.emotion.families import FAMILIES
from segmentation.models import EmotionScore, SegmentationRun
from segmentation.mood import Mood
from segmentation.mood_keeping import mood_for_page
from segmentation.movement import movement
from segmentation.pictures import spread_labels, stacked_bands
from segmentation.places import published_run
from segmentation.reading_mark import COUNTED, texts_waiting
from segmentation.sensitive_matters import waiting_matters

LABEL_DISTANCE = 6.5
# So long the home page tells of a send that people called spam.
WARNED_FOR = timedelta(days=7)
IT_IS_READ = "How customers sound is being worked out."
# Words for a family in a headline: (more of it, less of it).
IN_A_HEADLINE = {
    "anger": "anger",
    "anxiety": "worry",
    "confusion": "confusion",
    "sadness": "disappointment",
    "excitement": "excitement",
    "joy": "joy",
    "trust": "trust",
    "curiosity": "curiosity",
    "neutral": "matter-of-fact talk",
}


@dataclass(frozen=True, slots=True)
class Need:
    """Something a person should look at."""

    icon: str
    title: str
    words: str
    url: str


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fill Unfold's start page."""
    now = timezone.now()
    mood, to_come = mood_for_page(at=now)
    run = published_run()
    sends = Send.objects.select_related("campaign")
    context.update(
        title="Home",
        finding=IT_IS_READ if to_come else headline(mood),
        customers=Customer.objects.count(),
        unknown=(run.quality.get("sizes", {}).get(UNKNOWN, 0) if run else None),
        run=run,
        mood=mood,
        mood_to_come=to_come,
        stream=_stream(mood) if mood else None,
        # The largest changes first: the picture then says what the headline says.
        changes=_changes(mood),
        movement=movement(run) if run else None,
        needs=_needs(request, run),
        under_way=how_far(sends.filter(state__in=UNDER_WAY)[:5]),
        reports=reports_for_page(sends.filter(state=Send.State.SENT)[:3]),
    )
    return context


def headline(mood: Mood | None) -> str:
    """One sentence with no more in it than the texts support."""
    if mood is None:
        return "Nothing has been read yet."
    span = "a month ago" if mood.span_days == 30 else "three months ago"
    if mood.changes is None:
        return "Too few texts to tell how the mood has moved."
    clear = [
        change for change in mood.changes if change.clear and change.family != "neutral"
    ]
    if not clear:
        return f"No clear change in how customers sound against {span}."
    more = [IN_A_HEADLINE[c.family] for c in clear if c.points > 0]
    less = [IN_A_HEADLINE[c.family] for c in clear if c.points < 0]
    parts = [
        f"{word} {' and '.join(names[:2])}"
        for word, names in (("less", less), ("more", more))
        if names
    ]
    words = f"{' and '.join(parts)} than {span}."
    return words[0].upper() + words[1:]


def _stream(mood: Mood) -> list[dict[str, Any]]:
    bands = stacked_bands(mood.shares.tolist())
    clear = {change.family for change in mood.changes or () if change.clear}
    middles = spread_labels([band.middle for band in bands], least=LABEL_DISTANCE)
    return [
        {
            "family": family,
            "path": band.path,
            "middle": middle,
            "now": float(mood.shares[-1, index]),
            "first": float(mood.shares[0, index]),
            # Nothing changed clearly: then the whole picture is in full colour.
            "pale": bool(clear) and family not in clear,
        }
        for index, (family, band, middle) in enumerate(
            zip(FAMILIES, bands, middles, strict=True)
        )
    ]


def _changes(mood: Mood | None) -> list[dict[str, Any]]:
    if mood is None or mood.changes is None:
        return []
    most = max(max(change.now_high, change.then) for change in mood.changes)

    def place(value: float) -> float:
        return 100 * value / most

    return [
        {
            "change": change,
            "then": place(change.then),
            "now": place(change.now),
            "left": place(min(change.then, change.now)),
            "width": place(abs(change.points)),
            "whisker_left": place(change.now_low),
            "whisker_width": place(change.now_high - change.now_low),
        }
        for change in sorted(mood.changes, key=lambda change: -change.points)
    ]


def _needs(request: HttpRequest, run: SegmentationRun | None) -> list[Need]:
    found = (
        _for_a_person(request),
        _copied(),
        _doubt(),
        *_disliked(),
        _dead_letters(request),
        _sender(),
        *_missing(),
        _provider(request),
        _waiting(),
        _drift(request, run),
        *_texts(),
    )
    return [need for need in found if need]


def _drift(request: HttpRequest, run: SegmentationRun | None) -> Need | None:
    found = drift_of(run) if run else None
    if found is None or not found.moved:
        return None
    if not request.user.has_perm("segmentation.view_segment"):
        return None
    since = found.families.since
    return Need(
        "clock",
        "Something has moved",
        f"Texts read otherwise than usual: {family_moves(found.families.parts)}."
        if since
        else "Segments have grown and shrunk beyond chance.",
        reverse("segmentation:drift"),
    )


def _for_a_person(request: HttpRequest) -> Need | None:
    if not request.user.has_perm("segmentation.view_sensitivematter"):
        return None
    waiting = waiting_matters(at=timezone.now())
    count = waiting.count()
    if not count:
        return None
    urgent = waiting.filter(urgent=True).count()
    words = "A loss, an illness, a life in trouble: no machine answers these."
    return Need(
        "hold",
        f"{count:,} message{'s' if count > 1 else ''} for a person",
        f"{urgent:,} of them to be read now. {words}" if urgent else words,
        reverse("segmentation:to_read"),
    )


def messages_in_doubt() -> QuerySet[Message]:
    return Message.objects.filter(state=Message.State.IN_DOUBT)


def _doubt() -> Need | None:
    doubt = messages_in_doubt()
    count = doubt.count()
    if not count:
        return None
    send = doubt.values_list("send_id", flat=True)[0]
    return Need(
        "doubt",
        f"{count:,} message{'s' if count > 1 else ''} in doubt",
        "Handed over; nobody knows yet if they were taken. They are not sent again by "
        "themselves.",
        reverse("campaigns:send", args=[send]),
    )


def _disliked() -> list[Need]:
    """Sends that more people called spam than mailbox providers take well."""
    since = timezone.now() - WARNED_FOR
    notes = SendNote.objects.filter(warns=True, at__gt=since).order_by("-at")
    return [
        Need(
            "warn",
            f"{note.send.campaign}: called spam",
            note.sentence,
            reverse("campaigns:send", args=[note.send_id]),
        )
        for note in notes.select_related("send__campaign")[:3]
    ]


def _dead_letters(request: HttpRequest) -> Need | None:
    if not request.user.has_perm("engagement.view_deadletter"):
        return None
    count = DeadLetter.objects.all()[: COUNTED + 1].count()
    if not count:
        return None
    return Need(
        "warn",
        f"{_so_many(count)} report{'s' if count > 1 else ''} of the provider not "
        "understood",
        "Everything else that came with them counts. Each is kept with what was wrong.",
        reverse("admin:engagement_deadletter_changelist"),
    )


def _copied() -> Need | None:
    problem = instance.what_stands()
    if not problem:
        return None
    title = "This database is a copy"
    return Need("stop", title, problem, reverse("engagement_admin:doctor"))


def _missing() -> list[Need]:
    title, doctor = "Part of the work is not done", reverse("engagement_admin:doctor")
    at, hung = timezone.now(), "A process hung"
    return [
        *(Need("warn", title, words, doctor) for words in missing_parts(at=at)),
        *(Need("warn", hung, words, doctor) for words in what_hung(at=at)),
    ]


def _sender() -> Need | None:
    due = Send.objects.filter(state__in=NEED_A_SENDER)
    if sender_is_running(at=timezone.now()) or not due.exists():
        return None
    return Need(
        "warn",
        "No sender is running",
        "Scheduled mail waits until run_engine or a worker is started.",
        reverse("admin:campaigns_campaign_changelist"),
    )


def _provider(request: HttpRequest) -> Need | None:
    if not request.user.has_perm("campaigns.view_breaker"):
        return None
    stands = breaker.what_stands(settings.PROVIDER, now=timezone.now())
    if not stands:
        return None
    return Need(
        "pause",
        f"No mail leaves by {settings.PROVIDER}",
        stands[0],
        reverse("campaigns:provider"),
    )


def _waiting() -> Need | None:
    run = SegmentationRun.objects.filter(state="waiting").first()
    if run is None:
        return None
    return Need(
        "segments",
        "A new sorting waits for approval",
        run.waits_because,
        reverse("segmentation:segments"),
    )


def _texts() -> list[Need]:
    needs = []
    disagreeing = EmotionScore.objects.filter(disagrees=True).order_by("-occurred_at")
    disagree = disagreeing[: COUNTED + 1].count()
    if disagree:
        needs.append(
            Need(
                "scale",
                f"{_so_many(disagree)} texts to check",
                "Stars and words disagree; they count less until somebody looks.",
                reverse("segmentation:disagreeing"),
            )
        )
    unread = texts_waiting()
    if unread:
        needs.append(
            Need(
                "clock",
                f"{_so_many(unread)} texts wait to be read",
                "The engine reads them in the background.",
                reverse("segmentation:segments"),
            )
        )
    return needs


def _so_many(count: int) -> str:
    return f"more than {COUNTED:,}" if count > COUNTED else f"{count:,}"


def simulated() -> bool:
    """Any figure on the page may come from a simulation."""
    return TrackingEvent.objects.filter(detail__simulated__isnull=False).exists()
