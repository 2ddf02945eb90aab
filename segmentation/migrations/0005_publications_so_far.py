"""Runs that were in use before there was a history: the engine writes it from them."""

from typing import Any

from django.db import migrations


def record(apps: Any, schema_editor: Any) -> None:
    runs = apps.get_model("segmentation", "SegmentationRun").objects
    publications = apps.get_model("segmentation", "Publication").objects
    before = None
    for run in runs.filter(published_at__isnull=False).order_by("published_at", "pk"):
        publications.create(
            run=run,
            replaces=before,
            kind="approved" if run.approved_by_id else "by_itself",
            published_at=run.published_at,
            published_by=run.approved_by,
        )
        before = run


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0004_segment_history")]
    # Going back drops the tables with what was recorded.
    operations = [migrations.RunPython(record, migrations.RunPython.noop)]
