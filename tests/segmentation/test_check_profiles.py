from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from segmentation.models import EmotionProfile, EmotionScore, News
from segmentation.services import refresh_segments


@pytest.fixture
def sorted_two(shop, at):
    people = shop.add(2)
    for person in people:
        shop.read(person, at)
    refresh_segments(at=at)
    return people


def forget_a_text(customer):
    """As if it had been deleted past every door."""
    EmotionScore.objects.filter(customer=customer).delete()


def test_where_nothing_differs_it_says_so(sorted_two, capsys):
    call_command("check_profiles")
    assert "Customers: 2. Profiles that differ: 0" in capsys.readouterr().out


def test_a_profile_that_differs_is_an_error(sorted_two):
    forget_a_text(sorted_two[1])
    with pytest.raises(CommandError, match="differ from their texts: 1"):
        call_command("check_profiles")
    assert EmotionProfile.objects.count() == 2


def test_what_differs_can_be_mended(sorted_two, capsys):
    forget_a_text(sorted_two[1])
    call_command("check_profiles", "--mend")
    assert "1 mended" in capsys.readouterr().out
    assert EmotionProfile.objects.get().customer == sorted_two[0]


def test_what_still_waits_to_be_folded_is_no_difference(sorted_two, shop, at, capsys):
    shop.read(sorted_two[0], at)
    call_command("check_profiles")
    assert "differ: 0; with news still to be folded: 1" in capsys.readouterr().out


def test_what_was_read_before_there_were_marks_is_marked(sorted_two, shop, at):
    migration = import_module("segmentation.migrations.0009_news_so_far")
    shop.read(sorted_two[0], at)
    News.objects.all().delete()
    migration.mark(apps, None)
    assert sorted_two[0].pk in set(News.objects.values_list("pk", flat=True))
