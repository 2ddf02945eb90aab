"""The rows that code relies on are always there."""

import pytest
from django.core.management import call_command

from segmentation.canonical import CANONICAL
from segmentation.clustering.model import LABELS
from segmentation.models import Segment


def test_every_label_a_model_gives_has_a_canonical_segment():
    assert tuple(key for key, *_ in CANONICAL) == LABELS


@pytest.mark.django_db(transaction=True)
def test_an_emptied_database_has_its_segments_again():
    call_command("flush", interactive=False, verbosity=0)
    assert Segment.objects.count() == len(CANONICAL)


@pytest.mark.django_db
def test_a_migration_keeps_what_a_marketer_renamed():
    Segment.objects.filter(key="anxious").update(name="Worriers", tone="neutral")
    call_command("migrate", verbosity=0)
    assert Segment.objects.get(key="anxious").name == "Worriers"
    assert Segment.objects.count() == len(CANONICAL)
