from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from engagement.dashboard import home
from segmentation.clustering.drift import Verdict
from segmentation.drift_watch import drift_of, observed
from segmentation.emotion.families import FAMILIES
from segmentation.profile.events import SOURCES, Texts
from segmentation.services import refresh_segments

pytestmark = pytest.mark.django_db
NO_SIZES = [0] * 7
ANGER, TRUST = FAMILIES.index("anger"), FAMILIES.index("trust")


def texts(*weeks, kind="review"):
    """For each (age in days, texts, how many of them are angry): the rest trusts."""
    ages, families = [], []
    for age, count, angry in weeks:
        ages += [float(age)] * count
        rows = np.zeros((count, 9))
        rows[:angry, ANGER] = 1
        rows[angry:, TRUST] = 1
        families.append(rows)
    n = len(ages)
    return Texts(
        n_customers=1,
        customer=np.zeros(n, np.int64),
        age_days=np.array(ages),
        source=np.full(n, SOURCES.index(kind)),
        weight=np.ones(n),
        families=np.vstack(families),
        valence=np.zeros(n),
    )


@pytest.fixture
def kept(shop, at):
    """A published run that kept this; people: of how many it consists."""

    def kept(texts, sizes=NO_SIZES, *, days=0):
        when = at + timedelta(days=days)
        run = shop.sort({}, at=when)
        run.quality |= {"drift": observed(texts, sizes, at=when)}
        run.save()
        from segmentation.publishing import publish_run

        return publish_run(run, at=when)

    return kept


def weeks(*angry, usual=100):
    """1,000 usual texts, then weeks of 200, oldest first, so many of them angry."""
    ages = [7 * (8 - week) - 3 for week in range(8)]
    each = [(age, 200, count) for age, count in zip(ages, angry, strict=True)]
    return texts((100, 1000, usual), *each)


def page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.fixture
def angrier():
    """A tenth were angry, a fifth of the last two weeks is."""
    return weeks(20, 20, 20, 20, 20, 20, 60, 60)


def test_weeks_are_counted_apart_from_the_year_before_them(angrier, at):
    found = observed(angrier, NO_SIZES, at=at)
    assert found["step_days"] == 7
    assert [step["families"][ANGER] for step in found["steps"]][-3:] == [20, 60, 60]
    assert (found["usual"]["families"][ANGER], found["usual"]["kinds"]) == (
        100,
        {"review": 1000},
    )


def test_few_texts_are_counted_by_four_weeks(at):
    found = observed(texts((30, 99, 0), (300, 50, 0)), NO_SIZES, at=at)
    assert found["step_days"] == 28
    assert found["steps"][-2]["families"][TRUST] == 99
    assert found["usual"]["families"][TRUST] == 50


def test_a_movement_is_told_with_its_beginning(kept, angrier, at):
    families = drift_of(kept(angrier)).families
    # Ten against thirty of a hundred: the line is 3 * 8 * (1/1000 + 1/200) = 0.144.
    assert families.latest.drift.warning == pytest.approx(0.144)
    assert families.latest.drift.verdict >= Verdict.WARNING
    assert families.since.starts == at - timedelta(days=14)
    assert [(part.part, round(part.points, 2)) for part in families.parts] == [
        (ANGER, 0.2),
        (TRUST, -0.2),
    ]


def test_a_kind_of_text_that_became_common_is_named(kept):
    old, new = texts((100, 500, 50)), texts((3, 800, 80), kind="ticket")
    both = Texts(
        1,
        *(
            np.concatenate([getattr(old, name), getattr(new, name)])
            for name in (
                "customer",
                "age_days",
                "source",
                "weight",
                "families",
                "valence",
            )
        ),
    )
    found = drift_of(kept(both)).families
    assert found.kinds == (("ticket", 0.0, 1.0), ("review", 1.0, 0.0))


def test_runs_are_held_against_the_earliest_of_twelve_weeks(kept, angrier):
    kept(angrier, [900, 0, 0, 0, 100, 0, 0], days=-100)
    first = kept(angrier, [100, 0, 0, 0, 900, 0, 0], days=-60)
    kept(angrier, [100, 0, 0, 0, 900, 0, 0], days=-30)
    last = kept(angrier, [300, 0, 0, 0, 700, 0, 0])
    found = drift_of(last).segments
    assert found.usual_from == first.cut_off
    assert [step.counted for step in found.steps] == [1000, 1000]
    # 0.2 ln(0.3/0.1) - 0.2 ln(0.7/0.9) = 0.27; five empty parts count half a one.
    assert found.latest.drift.index == pytest.approx(0.27, abs=0.001)
    assert found.alarming
    assert found.since.run == last.pk


def test_the_page_says_what_moved_and_what_to_do(admin_client, kept, angrier):
    kept(angrier)
    text = page(admin_client, reverse("segmentation:drift"))
    assert "What customers write has moved: more anger, less trust." in text
    assert "Read the newest cross texts" in text
    assert "10 %" in text
    assert "+20.0" in text
    assert reverse("segmentation:drift") in page(admin_client, reverse("admin:index"))


def test_the_page_says_that_nothing_moved(admin_client, kept):
    kept(weeks(*[20] * 8))
    text = page(admin_client, reverse("segmentation:drift"))
    assert "Nothing has moved beyond chance: customers write as usual." in text
    # The line is 0.144, where it could be 0.025.
    assert "only a large shift can be told from chance" in text
    assert "Something has moved" not in page(admin_client, reverse("admin:index"))


def test_the_page_says_what_it_can_not_tell(admin_client, shop, kept, at):
    path = reverse("segmentation:drift")
    assert "Nobody has been sorted yet." in page(admin_client, path)
    shop.publish({}, at=at - timedelta(days=1))
    assert "it was not kept what moved" in page(admin_client, path)
    kept(texts((3, 12, 1)))
    assert "Too few texts so far" in page(admin_client, path)


def test_the_page_costs_the_same_whatever_the_shop(
    admin_client, kept, angrier, django_assert_max_num_queries
):
    kept(angrier)
    with django_assert_max_num_queries(12):
        page(admin_client, reverse("segmentation:drift"))


def test_home_tells_it_only_to_who_may_see_segments(rf, kept, angrier, db):
    kept(angrier)
    request = rf.get("/")
    request.user = User.objects.create_user("trainee", password="x", is_staff=True)
    assert "clock" not in [need.icon for need in home(request, {})["needs"]]
    may_see = Permission.objects.get(codename="view_segment")
    request.user.user_permissions.add(may_see)
    request.user = User.objects.get(pk=request.user.pk)
    titles = [need.title for need in home(request, {})["needs"]]
    assert "Something has moved" in titles


def test_a_sorting_keeps_what_it_counted(ada, bo, cy, di, at):
    kept = refresh_segments(at=at).run.quality["drift"]
    # Within 28 days: one text of Ada's and two each of Bo's and Cy's; before: Ada's.
    counted = [round(sum(step["families"])) for step in kept["steps"]]
    assert counted == [0, 0, 0, 0, 0, 0, 1, 5]
    assert len(kept["sizes"]) == 7
