"""Doors: the list of reports, one report, its numbers as a file."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from campaigns.audience import LEFT_OUT_REASONS
from campaigns.content.designs import TONES
from campaigns.models import Send
from customers.doors import shown_page
from engagement.figures import count_send, report_for_page, reports_for_page
from engagement.pictures import gap_picture, rate_picture
from engagement.reporting import Report, ReportRow, as_csv, as_json, report
from segmentation.models import Segment

SENDS_SHOWN = 50
FORMS = {"csv": (as_csv, "text/csv"), "json": (as_json, "application/json")}
TONE_LABELS = {tone.key: tone.label for tone in TONES}
PICTURED = ("opened", "clicked")


@require_safe
def reports(request: HttpRequest) -> HttpResponse:
    """Every send that has begun, newest first."""
    sends = (
        Send.objects.exclude(state=Send.State.SCHEDULED)
        .select_related("campaign")
        .order_by("-scheduled_at")[:SENDS_SHOWN]
    )
    return shown_page(
        request,
        "engagement/reports.html",
        title="Reports",
        reports=reports_for_page(sends[:10]),
        older=sends[10:],
    )


@require_safe
def report_page(request: HttpRequest, pk: int) -> HttpResponse:
    """What came of one send, per segment and tone."""
    send = get_object_or_404(Send.objects.select_related("campaign"), pk=pk)
    found = report_for_page(send)
    crumbs = [
        ("Reports", reverse("engagement_admin:reports")),
        (str(send.campaign), None),
    ]
    if found is None:
        return shown_page(
            request,
            "engagement/not_counted.html",
            title=str(send.campaign),
            crumbs=crumbs,
            send=send,
        )
    most = {
        name: max(
            [row.rate(name).high for row in found.rows if row.rate(name).enough],
            default=1.0,
        )
        for name in PICTURED
    }
    segments = {segment.key: segment for segment in Segment.objects.all()}
    return shown_page(
        request,
        "engagement/report.html",
        title=str(send.campaign),
        crumbs=crumbs,
        report=found,
        finding=finding(found),
        lines=[
            {
                "row": row,
                "segment": segments.get(row.segment_key),
                "tone": TONE_LABELS.get(row.tone, row.tone),
                **{name: rate_picture(row.rate(name), most[name]) for name in PICTURED},
            }
            for row in found.rows
        ],
        comparisons=[
            {
                "segment": segments.get(one.segment_key),
                "comparison": one,
                "picture": gap_picture(one.gap) if one.gap else None,
            }
            for one in found.comparisons
        ],
        left_out=[
            (
                LEFT_OUT_REASONS[reason].label
                if reason in LEFT_OUT_REASONS
                else reason,
                count,
            )
            for reason, count in found.left_out.items()
        ],
    )


@require_POST
def count(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Count a large send now, whoever else does."""
    send = get_object_or_404(Send, pk=pk)
    count_send(send, at=timezone.now())
    return redirect("engagement_admin:report", pk)


def finding(found: Report) -> str:
    """One sentence with no more in it than the numbers support."""
    total: ReportRow = found.total
    if not total.sent:
        return f"Nothing of “{found.send.campaign}” has been accepted yet."
    clear = [one for one in found.comparisons if one.gap and one.gap.detectable]
    better = [one.segment for one in clear if one.gap and one.gap.value > 0]
    worse = [one.segment for one in clear if one.gap and one.gap.value < 0]
    if better:
        return f"The fitting tone did better with {' and '.join(better)}."
    if worse:
        return f"The neutral tone did better with {' and '.join(worse)}."
    clicked = total.rate("clicked")
    words = f"{clicked.events:,} of {total.sent:,} clicked"
    if any(one.gap for one in found.comparisons):
        return f"{words}; between fitting and neutral tone no detectable difference."
    return f"{words}."


@require_safe
def download(request: HttpRequest, pk: int, form: str) -> HttpResponse:
    """Everything shown, as a file."""
    send = get_object_or_404(Send.objects.select_related("campaign"), pk=pk)
    if form not in FORMS:
        raise Http404(f"A report comes as {' or '.join(FORMS)}, not as {form}.")
    write, content_type = FORMS[form]
    answer = HttpResponse(write(report(send)), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="report-{pk}.{form}"'
    return answer
