"""Doors: the list of reports, one report, its numbers as a file."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from campaigns.audience import LEFT_OUT_REASONS
from campaigns.content.designs import TONES
from campaigns.models import Send
from customers.doors import shown_page
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
        reports=[report(send) for send in sends[:10]],
        older=sends[10:],
    )


@require_safe
def report_page(request: HttpRequest, pk: int) -> HttpResponse:
    """What came of one send, per segment and tone."""
    send = get_object_or_404(Send.objects.select_related("campaign"), pk=pk)
    found = report(send)
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
        crumbs=[
            ("Reports", reverse("engagement_admin:reports")),
            (str(send.campaign), None),
        ],
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
