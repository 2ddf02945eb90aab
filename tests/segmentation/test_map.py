import re
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse

from customers.models import Customer
from customers.services import object_to_profiling
from segmentation.clustering.model import LABELS
from segmentation.emotion.families import FAMILIES
from segmentation.frames import load_people
from segmentation.keeping import thin_runs
from segmentation.mapping import draw_map, map_of
from segmentation.models import MapDot
from segmentation.publishing import publish_run
from segmentation.services import refresh_segments

pytestmark = pytest.mark.django_db
TRUSTING, ANXIOUS = (LABELS.index(key) for key in ("trusting", "anxious"))


def composition(label):
    """Half of everything else, half of what the segment is named after."""
    named = {TRUSTING: "trust", ANXIOUS: "anxiety"}
    rows = np.full((len(label), 9), 0.5 / 9)
    for row, one in zip(rows, label, strict=True):
        row[FAMILIES.index(named.get(one, "neutral"))] += 0.5
    # Nobody is quite like another one.
    rows += np.random.default_rng(2).uniform(0, 0.05, rows.shape)
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.fixture
def drawn(shop, at):
    """30 trusting, 25 anxious, five mixed, four unknown; one more trusting and silent,
    one more who objected. Published, drawn."""
    people = shop.add(66)
    keys = ["trusting"] * 31 + ["anxious"] * 25 + ["mixed"] * 5 + ["unknown"] * 5
    Customer.objects.filter(pk=people[65].pk).update(profiling_objected_at=at)
    run = shop.sort(dict(zip(people, keys, strict=True)), at=at)
    label = np.array([LABELS.index(key) for key in keys])
    wrote = np.ones(66, bool)
    wrote[30] = False
    draw_map(run, load_people(), composition(label), wrote, label, before=None)
    run.save()
    return people, publish_run(run, at=at)


def page(client, query=""):
    answer = client.get(reverse("segmentation:map") + query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def opened(text):
    """Ids of customers whose dot is a link."""
    return set(
        re.findall(r'<a href="/admin/customers/customer/(\d+)/change/" aria', text)
    )


def test_who_was_read_and_sorted_is_on_the_map_and_nobody_else(drawn):
    people, run = drawn
    on_it = set(MapDot.objects.filter(run=run).values_list("customer_id", flat=True))
    assert on_it == {person.pk for person in people[:61]} - {people[30].pk}
    found = map_of(run)
    assert (found.placed, found.drawn) == (60, 60)
    assert (found.unknown, found.objected, found.wordless) == (5, 1, 1)


def test_regions_lie_where_their_words_do(drawn):
    found = {one.segment.key: one for one in map_of(drawn[1]).segments}
    assert found["trusting"].words.startswith("clearly pleasant")
    assert found["anxious"].words.startswith("clearly unpleasant")
    assert found["trusting"].region.customers == 30
    assert found["mixed"].region is None
    assert found["excited"].region is None
    nearest = found["trusting"].typical
    assert nearest[0].distance == min(dot.distance for dot in found["trusting"].dots)


def test_a_dot_is_a_link_with_a_name_and_the_table_has_the_numbers(admin_client, drawn):
    people, _ = drawn
    text = page(admin_client)
    assert len(opened(text)) == 60
    assert f'aria-label="{people[0]}: Trusting, quite sure"' in text
    assert "5 customers of whom too little is known" in text
    assert "among them 1 who objected" in text
    assert "1 known by ratings, returns or late answers alone" in text
    row = text[text.index('id="places"') :]
    assert '<td class="num" data-l="Customers">31</td>' in row
    assert '<td class="num" data-l="Drawn">30</td>' in row


def test_one_group_is_looked_at_and_only_its_dots_are_links(admin_client, drawn):
    people, _ = drawn
    text = page(admin_client, "?segment=anxious")
    assert opened(text) == {str(person.pk) for person in people[31:56]}
    assert "Anxious, against everyone: clearly unpleasant" in text
    assert len(opened(page(admin_client, "?segment=nonsense"))) == 60


def test_who_objects_or_is_erased_is_off_the_map_at_once(admin_client, drawn, at):
    people, _ = drawn
    object_to_profiling(people[0], source="test", at=at)
    gone = people[1].pk
    people[1].delete()
    ids = opened(page(admin_client))
    assert len(ids) == 58
    assert not {str(people[0].pk), str(gone)} & ids
    assert not MapDot.objects.filter(customer_id__in=[people[0].pk, gone]).exists()


def test_a_mark_that_was_left_of_somebody_who_objected_is_not_shown(
    admin_client, drawn, at
):
    people, _ = drawn
    Customer.objects.filter(pk=people[0].pk).update(profiling_objected_at=at)
    assert str(people[0].pk) not in opened(page(admin_client))


def test_places_stay_the_same_at_the_next_sorting(drawn, shop, at):
    people, first = drawn
    label = np.array([TRUSTING] * 31 + [ANXIOUS] * 30 + [LABELS.index("mixed")] * 5)
    run = shop.sort({}, at=at + timedelta(days=7))
    draw_map(
        run,
        load_people(),
        composition(label),
        np.ones(66, bool),
        label,
        before=first,
    )
    assert run.quality["map"]["frame"] == first.quality["map"]["frame"]
    then, now = (
        dict(MapDot.objects.filter(run=one).values_list("customer_id", "x"))
        for one in (first, run)
    )
    assert now[people[5].pk] == pytest.approx(then[people[5].pk], abs=1e-9)


def test_dots_go_with_the_memberships_of_old_runs(drawn, shop, at):
    _, first = drawn
    for day in range(1, 9):
        shop.publish({}, at=at + timedelta(days=day))
    thin_runs(at=at + timedelta(days=9))
    assert not MapDot.objects.filter(run=first).exists()


def test_the_page_says_why_there_is_no_map(admin_client, shop, at):
    assert "Nobody has been sorted yet." in page(admin_client)
    shop.publish({}, at=at - timedelta(days=2), scored=99)
    assert "Too few customers were read to draw a map." in page(admin_client)
    shop.publish({}, at=at - timedelta(days=1))
    assert "Of this run no map was drawn." in page(admin_client)


def test_a_sorting_draws_its_map(ada, bo, cy, di, at):
    run = refresh_segments(at=at).run
    assert run.quality["map"]["placed"] == MapDot.objects.filter(run=run).count() == 3


def test_the_map_costs_the_same_however_many_are_drawn(
    admin_client, drawn, django_assert_max_num_queries
):
    with django_assert_max_num_queries(14):
        page(admin_client)
