"""Free clusters beside a run's segments: asked for by a person, on a sample.

It takes seconds and changes nothing, so no fit waits for it: a worker, the timetable
or the asker's own request does it, and pages read what was kept.
"""

from datetime import datetime
from typing import Any

import numpy as np

from segmentation.clustering.diagnostics import (
    CUSTOMERS,
    CUSTOMERS_NEEDED,
    TEXTS_NEEDED,
    Diagnosis,
    diagnose,
)
from segmentation.clustering.layout import chosen
from segmentation.clustering.model import OtherFormat, SegmentModel
from segmentation.errors import (
    MadeByAnotherVersion,
    SegmentationError,
    TooFewToDiagnose,
)
from segmentation.frames import load_people, load_texts
from segmentation.models import EmotionProfile, RunDiagnosis, SegmentationRun
from segmentation.profile.events import IntArray


def ask_diagnosis(run: SegmentationRun, *, by: Any, at: datetime) -> RunDiagnosis:
    """Write down that somebody wants it; asked again, it is the one there is.

    One that was refused is tried anew, since more may have been written meanwhile.
    """
    asked: Any = {"asked_by": by, "asked_at": at}
    found, _ = RunDiagnosis.objects.get_or_create(run=run, defaults=asked)
    if found.refused:
        RunDiagnosis.objects.filter(pk=found.pk).exclude(refused="").update(
            refused="", done_at=None, **asked
        )
        found.refresh_from_db()
    return found


def carry_out_diagnosis(diagnosis_id: int, *, at: datetime) -> RunDiagnosis:
    """Do what was asked for; twice, or by two at once, is once."""
    asked = RunDiagnosis.objects.select_related("run").get(pk=diagnosis_id)
    if asked.done_at is not None:
        return asked
    figures, refused = {}, ""
    try:
        figures = diagnose_run(asked.run).to_json()
    except SegmentationError as problem:
        refused = str(problem)
    RunDiagnosis.objects.filter(pk=asked.pk, done_at=None).update(
        figures=figures, refused=refused, done_at=at
    )
    asked.refresh_from_db()
    return asked


def carry_out_open_diagnoses(*, at: datetime) -> None:
    """What a broker lost, or a worker left when it died, is done now."""
    for pk in list(
        RunDiagnosis.objects.filter(done_at=None)
        .order_by("pk")
        .values_list("pk", flat=True)
    ):
        carry_out_diagnosis(pk, at=at)


def diagnose_run(run: SegmentationRun) -> Diagnosis:
    """Measure it, as of the run's cut-off; nothing is kept.

    Raises TooFewToDiagnose, or MadeByAnotherVersion.
    """
    people = load_people(_sample())
    texts = load_texts(people, at=run.cut_off)
    wrote = np.bincount(texts.customer, minlength=len(people.ids))
    enough = np.flatnonzero(wrote >= TEXTS_NEEDED)
    if len(enough) < CUSTOMERS_NEEDED:
        raise TooFewToDiagnose(
            f"{len(enough)} customers wrote {TEXTS_NEEDED} texts or more; "
            f"{CUSTOMERS_NEEDED} are needed to look for clusters among them."
        )
    try:
        model = SegmentModel.from_json(run.model)
    except OtherFormat as problem:
        raise MadeByAnotherVersion(
            f"An earlier version of the programme made {run}: look again after the "
            "next sorting."
        ) from problem
    return diagnose(texts.of(enough), model, seed=model.seed)


def _sample() -> list[int]:
    """Customers with three texts and more, those with the lowest hash of their id."""
    found = EmotionProfile.objects.filter(
        texts__gte=TEXTS_NEEDED, customer__profiling_objected_at__isnull=True
    ).order_by("customer_id")
    ids: IntArray = np.array(found.values_list("customer_id", flat=True), np.int64)
    rows = chosen(ids, np.zeros(len(ids), np.int64), at_most=CUSTOMERS)
    return [int(one) for one in ids[rows]]
