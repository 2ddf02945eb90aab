"""Who moved from where to where by the runs that came into use before it was kept."""

from collections import defaultdict
from typing import Any

from django.db import migrations
from django.db.models import Count


def add_up(apps: Any, schema_editor: Any) -> None:
    changes = apps.get_model("segmentation", "SegmentChange").objects
    publications = apps.get_model("segmentation", "Publication").objects
    pairs = defaultdict(list)
    for publication, *pair in (
        changes.filter(publication__isnull=False, from_segment__isnull=False)
        .values_list("publication", "from_segment", "to_segment")
        .annotate(n=Count("pk"))
        .order_by("publication", "from_segment", "to_segment")
    ):
        pairs[publication].append(pair)
    for pk, found in pairs.items():
        publications.filter(pk=pk).update(pairs=found)


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0016_kept_for_home")]
    # Going back drops the column with what was added up.
    operations = [migrations.RunPython(add_up, migrations.RunPython.noop)]
