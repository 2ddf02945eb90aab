"""How a segment is written to, and what people changed of it, on its page."""

from typing import Any

from django.http import HttpRequest

from segmentation.models import Segment
from segmentation.naming import sending_tone, too_small
from segmentation.places import published_run

EDITS_SHOWN = 20


def sending_panel(request: HttpRequest, segment: Segment) -> dict[str, Any]:
    """Its size against what words of its own need, who lends and borrows, its past."""
    run = published_run()
    sizes = run.quality.get("sizes", {}) if run and run.reportable else {}
    borrowers = Segment.objects.filter(sent_as=segment)
    return {
        "segment": segment,
        "tone": sending_tone(segment),
        "lender": segment.sent_as,
        "lender_size": sizes.get(segment.sent_as.key) if segment.sent_as else None,
        "borrowers": [(one, sizes.get(one.key)) for one in borrowers],
        "small": too_small(segment) if segment.sent_as is None else None,
        "edits": segment.edits.select_related("changed_by")[:EDITS_SHOWN],
        "may_change": request.user.has_perm("segmentation.change_segment"),
    }
