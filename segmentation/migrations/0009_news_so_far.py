"""What was read or corrected since the run in use was fitted: news from now on."""

from typing import Any

from django.db import migrations
from django.db.models import Q


def mark(apps: Any, schema_editor: Any) -> None:
    runs = apps.get_model("segmentation", "SegmentationRun").objects
    scores = apps.get_model("segmentation", "EmotionScore").objects
    news = apps.get_model("segmentation", "News").objects
    in_use = runs.filter(state="published").first()
    if in_use is None:  # the first run reads all there is
        return
    corrections = apps.get_model("segmentation", "Correction").objects.filter(
        Q(corrected_at__gte=in_use.fitted_at) | Q(withdrawn_at__gte=in_use.fitted_at)
    )
    ids = set(
        scores.filter(scored_at__gte=in_use.fitted_at).values_list("customer", flat=True)
    ) | set(corrections.values_list("interaction__customer", flat=True))
    model = news.model
    news.bulk_create((model(customer_id=pk) for pk in sorted(ids)), batch_size=5000)


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0008_news")]
    # Going back drops the table with what was marked.
    operations = [migrations.RunPython(mark, migrations.RunPython.noop)]
