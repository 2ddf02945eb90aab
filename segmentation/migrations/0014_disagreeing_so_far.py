"""Which readings disagree with the stars, of those made before it was a column."""

from typing import Any

from django.db import migrations


def fill(apps: Any, schema_editor: Any) -> None:
    scores = apps.get_model("segmentation", "EmotionScore").objects
    scores.filter(notes__icontains="text and rating disagree").update(disagrees=True)


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0013_reading_mark")]

    # Backwards there is nothing to do: the notes still say it.
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
