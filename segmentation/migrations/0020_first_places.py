"""First places by publication, of before they were kept beside who moved."""

from collections import defaultdict
from typing import Any

from django.db import migrations
from django.db.models import Count


def add_first_places(apps: Any, schema_editor: Any) -> None:
    changes = apps.get_model("segmentation", "SegmentChange").objects
    publications = apps.get_model("segmentation", "Publication").objects
    first = defaultdict(list)
    for publication, segment, n in (
        changes.filter(publication__isnull=False, from_segment=None)
        .values_list("publication", "to_segment")
        .annotate(n=Count("pk"))
        .order_by("publication", "to_segment")
    ):
        first[publication].append([None, segment, n])
    for publication in publications.filter(pk__in=list(first)):
        moved = [pair for pair in publication.pairs if pair[0] is not None]
        publication.pairs = first[publication.pk] + moved
        publication.save(update_fields=["pairs"])


def only_who_moved(apps: Any, schema_editor: Any) -> None:
    for publication in apps.get_model("segmentation", "Publication").objects.all():
        publication.pairs = [pair for pair in publication.pairs if pair[0] is not None]
        publication.save(update_fields=["pairs"])


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0019_compared")]
    operations = [migrations.RunPython(add_first_places, only_who_moved)]
