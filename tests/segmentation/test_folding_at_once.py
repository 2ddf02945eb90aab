"""Processes killed at named steps, and several at work at once, on the same tables."""

import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from django.db import connection, transaction

from customers.merging import merge_customers
from customers.models import Customer, Interaction
from customers.services import (
    object_to_profiling,
    record_interactions,
    remove_interactions,
)
from customers.sources import InteractionRow
from segmentation import news
from segmentation.corrections import correct_reading
from segmentation.errors import CorrectionRefused, RunNotPublishable
from segmentation.folding import fold_news
from segmentation.models import EmotionScore, Segment, SegmentationRun, SegmentChange
from segmentation.pins import pin_customer
from segmentation.services import published_run, refresh_if_needed, refresh_segments

ROOT = Path(__file__).resolve().parents[2]
DAY = timedelta(days=1)
KILLED = -9

pytestmark = pytest.mark.django_db(transaction=True)

DIE = """
import os, signal, sys
import django
django.setup()
from datetime import datetime
from importlib import import_module
from segmentation.services import refresh_if_needed, refresh_segments
act, where, name, times, at = sys.argv[1:]
module, left = import_module(where), int(times)
real = getattr(module, name)
def then_die(*given, **more):
    global left
    found = real(*given, **more)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
setattr(module, name, then_die)
does = {"fold": refresh_if_needed, "sort": refresh_segments}[act]
does(at=datetime.fromisoformat(at))
"""


def killed_in(act, step, times, at):
    """Another process does it, and is killed after so many times of that step."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{known['NAME']}"
    else:
        host = f"{known['HOST']}:{known['PORT']}"
        url = f"postgresql://{known['USER']}:{known['PASSWORD']}@{host}/{known['NAME']}"
    done = subprocess.run(
        [sys.executable, "-c", DIE, act, *step.rsplit(".", 1), str(times), str(at)],
        cwd=ROOT,
        env=os.environ
        | {"ATTUNE_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"},
        timeout=120,
    )
    assert done.returncode == KILLED


@pytest.fixture
def sorted_shop(shop, at):
    people = shop.add(40)
    shop.read_all(
        (person, at - back * DAY, ("trust", "anger", "anxiety")[n % 3])
        for n, person in enumerate(people)
        for back in (5, 40)
    )
    refresh_segments(at=at)
    return people


@pytest.mark.parametrize(
    ("act", "step", "times"),
    [
        ("fold", "segmentation.scoring.mark", 1),
        ("fold", "segmentation.folding.write_profiles", 1),
        ("fold", "segmentation.folding.recount", 1),
        ("fold", "segmentation.folding._fold", 1),
        ("sort", "segmentation.news.sign", 1),
        pytest.param(
            *("sort", "segmentation.services.write_profiles", 1), marks=pytest.mark.slow
        ),
        pytest.param(
            *("sort", "segmentation.services.look_for_groups", 1),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("sort", "segmentation.news.carry_over", 1), marks=pytest.mark.slow
        ),
        pytest.param(
            *("sort", "segmentation.publishing._put_into_use", 1),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("sort", "segmentation.publishing._publish", 1), marks=pytest.mark.slow
        ),
        pytest.param(
            *("sort", "segmentation.history._insert", 1), marks=pytest.mark.slow
        ),
        pytest.param(
            *("sort", "segmentation.news.drop_read", 1), marks=pytest.mark.slow
        ),
    ],
)
def test_a_kill_at_any_step_loses_no_news_and_leaves_one_run(
    sorted_shop, shop, at, soundness, act, step, times
):
    ann, ben = sorted_shop[:2]
    for _ in range(4):
        shop.read(ann, at, family="anger")
    ben.interactions.create(occurred_at=at, kind="reply", key="r", text="Thank you!")
    killed_in(act, step, times, at + DAY)
    assert SegmentationRun.objects.filter(state="published").count() == 1
    refresh_if_needed(at=at + DAY + timedelta(hours=3))
    soundness.assert_sound(at + 2 * DAY)
    assert ann.emotion_profile.texts == 6
    assert ben.emotion_profile.texts == 3


def test_of_two_who_fold_at_once_each_change_is_told_once(
    sorted_shop, shop, at, soundness, at_once
):
    for person in sorted_shop[:12:3]:
        for n in range(8):
            shop.read(person, at + n * DAY, family="anger")
    fold = lambda: fold_news(at=at + 9 * DAY)  # noqa: E731
    assert at_once(fold, fold, fold) == []
    soundness.assert_sound(at + 9 * DAY)
    assert SegmentChange.objects.filter(folded=True).count() == 4


@pytest.mark.parametrize("seed", range(2))
def test_news_folds_runs_corrections_and_objections_at_once(
    sorted_shop, shop, at, admin_user, soundness, at_once, seed
):
    def news_of_many():
        random = Random(seed)
        for _ in range(25):
            with transaction.atomic():
                person = random.choice(sorted_shop[:20])
                shop.read(person, at + DAY, family=random.choice(["joy", "anger"]))

    def fold_often():
        for hours in range(15):
            fold_news(at=at + DAY + timedelta(hours=hours))

    def sort_often():
        for hours in range(3):
            with suppress(RunNotPublishable):  # a later one came first
                refresh_segments(at=at + DAY + timedelta(hours=hours))

    def correct():
        for text in Interaction.objects.filter(customer__in=sorted_shop[20:30]):
            with suppress(CorrectionRefused):  # objected meanwhile
                correct_reading(text, family="joy", by=admin_user, at=at)

    def object_and_remove():
        for person in sorted_shop[28:36]:
            object_to_profiling(person, source="test", at=at)
        texts = Interaction.objects.filter(customer__in=sorted_shop[36:])
        for pk in texts.values_list("pk", flat=True):
            remove_interactions(Interaction.objects.filter(pk=pk))

    acts = [news_of_many, fold_often, fold_often, sort_often, correct]
    assert at_once(*acts, object_and_remove) == []
    soundness.assert_sound(at + 3 * DAY)
    assert not EmotionScore.objects.filter(customer__in=sorted_shop[28:]).exists()


def test_merges_beside_imports_folds_and_runs_lose_nothing(
    sorted_shop, at, admin_user, soundness, at_once
):
    pairs = list(zip(sorted_shop[::2], sorted_shop[1::2], strict=True))
    texts = Interaction.objects.count()

    def merge():
        for kept, other in pairs[:12]:
            merge_customers(kept, other, by=admin_user, at=at)

    def record():
        for number in range(5):
            rows = [
                InteractionRow(
                    customer_id=person.external_id,
                    email=person.email,
                    occurred_at=at,
                    kind="survey",
                    key=f"{person.pk} {number}",
                    rating=2,
                )
                for person in sorted_shop
            ]
            record_interactions(rows, source="test", at=at)

    def fold():
        for _ in range(15):
            fold_news(at=at + DAY)

    def sort():
        with suppress(RunNotPublishable):
            refresh_segments(at=at + DAY)

    def pin():
        for kept, _ in pairs[12:]:
            segment = Segment.objects.get(key="mixed")
            pin_customer(kept, segment=segment, reason="x", by=admin_user, at=at)

    assert at_once(merge, record, fold, sort, pin) == []
    soundness.assert_sound(at + 2 * DAY)
    assert Customer.objects.count() == 28
    assert Interaction.objects.count() == texts + 5 * 40


def test_a_mark_that_is_renewed_while_it_is_folded_stays(
    sorted_shop, shop, at, at_once
):
    ann = sorted_shop[0]
    shop.read(ann, at)

    def again():
        for _ in range(20):
            with transaction.atomic():
                shop.read(ann, at)

    def fold():
        for _ in range(20):
            fold_news(at=at + DAY)

    assert at_once(again, fold, fold) == []
    fold_news(at=at + DAY)
    assert ann.emotion_profile.texts == 23
    assert not news.waiting(published_run(), at=at + DAY).exists()
