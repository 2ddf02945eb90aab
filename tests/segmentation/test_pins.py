import csv
import io
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers.models import Customer
from customers.services import object_to_profiling
from segmentation.errors import DecisionRefused
from segmentation.exports import changes_as_csv, members_as_csv
from segmentation.history import stays_of
from segmentation.holds import held
from segmentation.models import Membership, Pin, Segment
from segmentation.pins import end_expired_pins, pin_customer, pin_of, remove_pin
from segmentation.publishing import publish_run, roll_back_to
from segmentation.rules.compiling import matching
from segmentation.rules.tree import parse
from segmentation.services import memberships_of, published_run, refresh_segments
from segmentation.why import explain


def segment(key):
    return Segment.objects.get(key=key)


def place(customer):
    return memberships_of([customer.pk])[customer.pk]


def pinned(customer, key, *, at, by=None, **more):
    return pin_customer(
        customer, segment=segment(key), reason="rang us", by=by, at=at, **more
    )


def later(at, days=40):
    return at + timedelta(days=days)


@pytest.fixture
def people(shop, at):
    """Three who trust, in the run in use."""
    people = shop.add(3)
    shop.publish(dict.fromkeys(people, "trusting"), at=at)
    return people


def test_who_is_placed_is_there_at_once_and_the_figures_say_so(people, at, admin_user):
    pin = pinned(people[0], "anxious", at=later(at), by=admin_user)
    assert place(people[0]).segment.key == "anxious"
    assert place(people[0]).run_segment.key == "trusting"
    figures = published_run().quality
    assert (figures["sizes"]["trusting"], figures["sizes"]["anxious"]) == (2, 1)
    assert figures["by_hand"] == {"anxious": 1}
    assert (pin.pinned_by, pin.pinned_at, pin.reason) == (
        admin_user,
        later(at),
        "rang us",
    )


def test_a_pin_wins_at_every_publication_and_on_the_way_back(
    shop, people, at, admin_user
):
    first = published_run()
    pinned(people[0], "anxious", at=later(at, 1))
    run = shop.publish(dict.fromkeys(people, "excited"), at=later(at, 30))
    assert place(people[0]).segment.key == "anxious"
    assert place(people[0]).run_segment.key == "excited"
    assert run.quality["sizes"]["excited"] == 2
    assert run.quality["by_hand"] == {"anxious": 1}
    roll_back_to(first, at=later(at, 60), by=admin_user)
    assert place(people[0]).segment.key == "anxious"
    assert place(people[0]).run_segment.key == "trusting"


def test_a_pin_that_ended_does_not_come_back_with_an_earlier_run(
    shop, people, at, admin_user
):
    first = published_run()
    pin = pinned(people[0], "anxious", at=later(at, 1))
    shop.publish(dict.fromkeys(people, "excited"), at=later(at, 30))
    remove_pin(pin, by=admin_user, at=later(at, 40))
    assert place(people[0]).segment.key == "excited"
    roll_back_to(first, at=later(at, 60), by=admin_user)
    assert place(people[0]).segment.key == "trusting"
    assert published_run().quality["by_hand"] == {}


def test_without_the_pin_the_customer_is_where_the_run_has_them(people, at, admin_user):
    before = Membership.objects.get(customer=people[0])
    pin = pinned(people[0], "anxious", at=later(at))
    remove_pin(pin, by=admin_user, at=later(at, 50))
    after = Membership.objects.get(customer=people[0])
    for name in ("segment_id", "run_segment_id", "probability", "since", "evidence"):
        assert getattr(after, name) == getattr(before, name)
    assert published_run().quality["sizes"]["trusting"] == 3
    pin.refresh_from_db()
    assert (pin.ended, pin.ended_by, pin.ended_at) == (
        "removed",
        admin_user,
        later(at, 50),
    )
    with pytest.raises(DecisionRefused, match="not placed by hand any more"):
        remove_pin(pin, by=admin_user, at=later(at, 51))


def test_another_pin_replaces_the_first_and_both_are_kept(people, at):
    pinned(people[0], "anxious", at=later(at))
    pinned(people[0], "excited", at=later(at, 41))
    assert place(people[0]).segment.key == "excited"
    assert place(people[0]).run_segment.key == "trusting"
    assert published_run().quality["sizes"]["anxious"] == 0
    kept = Pin.objects.filter(customer=people[0]).order_by("pk")
    assert [pin.ended for pin in kept] == ["replaced", ""]


def test_a_pin_holds_through_its_last_day_and_ends_by_itself(people, at):
    last = (at + timedelta(days=2)).date()
    pinned(people[0], "anxious", at=at, until=last)
    assert end_expired_pins(at=at + timedelta(days=2)) == 0
    assert place(people[0]).segment.key == "anxious"
    assert end_expired_pins(at=at + timedelta(days=3)) == 1
    assert place(people[0]).segment.key == "trusting"
    assert Pin.objects.get().ended == "date"


def test_an_ended_day_is_heeded_by_the_run_that_comes_into_use(shop, people, at):
    pinned(people[0], "anxious", at=at, until=at.date())
    shop.publish(dict.fromkeys(people, "excited"), at=later(at))
    assert place(people[0]).segment.key == "excited"
    assert Pin.objects.get().ended == "date"


def test_an_objection_wins_and_deletes_the_pin(shop, people, at):
    pinned(people[0], "anxious", at=later(at))
    object_to_profiling(people[0], source="test", at=later(at, 41))
    assert not Pin.objects.exists()
    assert place(people[0]).segment.key == "unknown"
    assert place(people[0]).run_segment is None
    shop.publish(dict.fromkeys(people, "excited"), at=later(at, 50))
    assert place(people[0]).segment.key == "unknown"
    with pytest.raises(DecisionRefused, match="objected to profiling"):
        pinned(people[0], "anxious", at=later(at, 51))


def test_a_hold_still_holds_whom_a_person_has_placed(cy, at):
    refresh_segments(at=at)
    assert cy.pk in held([cy.pk], at=at)
    pinned(cy, "excited", at=at)
    assert cy.pk in held([cy.pk], at=at)


def test_no_model_learns_from_a_pin(ada, bo, cy, at):
    before = refresh_segments(at=at).run
    pinned(bo, "excited", at=at)
    after = refresh_segments(at=at).run
    assert after.model == before.model
    assert after.quality["signatures"] == before.quality["signatures"]
    assert after.quality["renamed_share"] == 0
    own = Membership.objects.get(run=before, customer=bo).run_segment
    assert place(bo).run_segment == own


def test_a_newcomer_can_be_placed_before_any_run_knows_them(shop, people, at):
    eve = shop.add(1)[0]
    pinned(eve, "excited", at=later(at))
    assert place(eve).segment.key == "excited"
    assert place(eve).run_segment.key == "unknown"
    shop.publish(dict.fromkeys(people, "trusting"), at=later(at, 50))
    assert place(eve).segment.key == "excited"


def test_a_pin_that_comes_before_the_first_run_is_heeded_by_it(shop, at):
    people = shop.add(2)
    pinned(people[0], "excited", at=at)
    shop.publish(dict.fromkeys(people, "neutral"), at=later(at))
    assert place(people[0]).segment.key == "excited"


def test_the_history_tells_of_a_persons_word_and_of_nothing_twice(
    shop, people, at, admin_user
):
    pin = pinned(people[0], "anxious", at=later(at, 1))
    shop.publish(dict.fromkeys(people, "excited"), at=later(at, 30))
    remove_pin(pin, by=admin_user, at=later(at, 40))
    stays = [(stay.segment.key, stay.by_hand) for stay in stays_of(people[0])]
    assert stays == [("trusting", False), ("anxious", True), ("excited", True)]
    lines = list(csv.reader(io.StringIO("".join(changes_as_csv()))))
    mine = [line for line in lines if line[0] == people[0].external_id]
    assert [line[2:4] + line[6:] for line in mine] == [
        ["", "trusting", ""],
        ["trusting", "anxious", "yes"],
        ["anxious", "excited", "yes"],
    ]


def test_the_file_of_members_says_who_was_placed(people, at):
    pinned(people[0], "anxious", at=later(at))
    lines = csv.DictReader(
        io.StringIO("".join(members_as_csv(published_run(), segment("anxious"))))
    )
    line = next(lines)
    assert (line["placed_by_hand"], line["probability"]) == ("yes", "")
    lines = members_as_csv(published_run(), segment("trusting"))
    assert {row["placed_by_hand"] for row in csv.DictReader(lines)} == {""}


def test_a_rule_about_a_segment_holds_for_who_was_placed_there(people, at):
    pinned(people[0], "anxious", at=later(at))
    rule = parse(
        {
            "how": "all",
            "members": [{"field": "segment", "op": "any_of", "value": ["anxious"]}],
        }
    )
    assert list(matching(rule, at=later(at))) == [people[0]]


def test_why_explains_what_the_run_reads_and_not_the_pin(ada, bo, at):
    refresh_segments(at=at)
    before = explain(Membership.objects.get(customer=bo))
    pinned(bo, "excited", at=at)
    assert explain(Membership.objects.get(customer=bo)) == before


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 201, "nul \x00 here"])
def test_a_pin_needs_a_reason_that_can_be_read(people, at, reason):
    with pytest.raises(DecisionRefused, match="reason"):
        pin_customer(
            people[0], segment=segment("anxious"), reason=reason, by=None, at=at
        )
    assert not Pin.objects.exists()


def test_a_pin_needs_a_real_segment_and_a_day_to_come(people, at):
    with pytest.raises(DecisionRefused, match="too little is known"):
        pinned(people[0], "unknown", at=at)
    with pytest.raises(DecisionRefused, match="must not have passed"):
        pinned(people[0], "anxious", at=at, until=date(2026, 3, 1))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pin", "unpin", "publish", "back", "object", "days"]),
        st.integers(0, 2),
        st.sampled_from(["anxious", "excited", "trusting", "mixed"]),
    ),
    max_size=12,
)


@pytest.mark.slow
@given(steps=STEPS)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_happens_in_whatever_order_everybody_is_in_one_right_place(
    shop, at, admin_user, steps
):
    with transaction.atomic():  # each example begins with an empty shop
        live_through(steps, shop, at, admin_user)
        transaction.set_rollback(True)


def live_through(steps, shop, at, admin_user):
    people = shop.add(3)
    runs = [shop.publish(dict.fromkeys(people, "neutral"), at=at)]
    for number, (step, who, key) in enumerate(steps, start=1):
        now = at + timedelta(days=number)
        person = people[who]
        person.refresh_from_db()
        if step == "pin" and person.profiling_objected_at is None:
            until = now.date() + timedelta(days=2) if key == "mixed" else None
            pinned(person, key, at=now, until=until)
        elif step == "unpin" and (pin := pin_of(person, at=now)):
            remove_pin(pin, by=None, at=now)
        elif step == "publish":
            run = shop.sort(dict.fromkeys(people, key), at=now)
            runs.append(publish_run(run, at=now, approved_by=admin_user))
        elif step == "back" and published_run() != runs[0]:
            roll_back_to(runs[0], at=now, by=admin_user)
        elif step == "object" and key == "mixed":
            object_to_profiling(person, source="test", at=now)
        end_expired_pins(at=now)
        for one in people:
            one.refresh_from_db()
            held_by = pin_of(one, at=now)
            here = place(one)
            if one.profiling_objected_at is not None:
                assert (here.segment.key, held_by) == ("unknown", None)
            elif held_by is not None:
                assert here.segment == held_by.segment
            else:
                assert here.run_segment is None
            ends = one.segment_changes.order_by("at", "pk").values_list(
                "to_segment", flat=True
            )
            starts = one.segment_changes.order_by("at", "pk").values_list(
                "from_segment", flat=True
            )
            assert list(starts)[1:] == list(ends)[:-1]
        by_hand = Membership.objects.filter(
            run=published_run(), run_segment__isnull=False, customer__in=people
        )
        assert by_hand.count() == sum(pin_of(one, at=now) is not None for one in people)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_a_pin_beside_a_publication_leaves_one_place_and_one_history(
    shop, at, admin_user, at_once, round_
):
    people = shop.add(20)
    shop.publish(dict.fromkeys(people, "trusting"), at=at)
    following = shop.sort(dict.fromkeys(people, "excited"), at=at)
    problems = at_once(
        lambda: publish_run(following, at=later(at)),
        lambda: pinned(people[0], "anxious", at=later(at)),
    )
    assert problems == []
    assert place(people[0]).segment.key == "anxious"
    assert place(people[0]).run_segment.key == "excited"
    changes = list(people[0].segment_changes.order_by("pk"))
    ends = [change.to_segment.key for change in changes]
    assert [c.from_segment and c.from_segment.key for c in changes] == [
        None,
        *ends[:-1],
    ]
    assert ends[-1] == "anxious"


# Pages


@pytest.fixture
def sorted_now(ada, bo, at):
    """Two of the cast, in a run that says it read enough to report."""
    refresh_segments(at=at)
    run = published_run()
    run.model["customers"] = 100
    run.save()
    return [ada, bo]


def test_a_marketer_places_a_customer_and_takes_it_back(admin_client, sorted_now):
    person = sorted_now[0]
    answer = admin_client.post(
        reverse("segmentation:pin", args=[person.pk]),
        {"segment": "anxious", "reason": "<b>rang</b>, worried", "until": ""},
        follow=True,
    )
    text = answer.content.decode()
    assert "Placed by hand: &lt;b&gt;rang&lt;/b&gt;, worried" in text
    assert "What the run itself reads" in text
    members = admin_client.get(reverse("segmentation:members", args=["anxious"]))
    assert "placed by hand" in members.content.decode()
    overview = admin_client.get(reverse("segmentation:segments")).content.decode()
    assert "1 placed by hand" in overview
    assert "worried" in admin_client.get(reverse("segmentation:pins")).content.decode()
    listed = admin_client.get(reverse("admin:customers_customer_changelist"))
    assert "placed by hand" in listed.content.decode()
    pin = Pin.objects.get()
    own = place(person).run_segment
    admin_client.post(reverse("segmentation:unpin", args=[pin.pk]))
    assert place(person).segment == own
    ended = admin_client.get(reverse("segmentation:pins") + "?ended=1")
    assert "Removed by admin" in ended.content.decode()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"segment": "anxious", "reason": ""}, "needs a reason"),
        ({"segment": "anxious", "reason": "x", "until": "31.12."}, "is no day"),
        ({"segment": "anxious", "reason": "x", "until": "2001-01-01"}, "have passed"),
        ({"segment": "unknown", "reason": "x"}, "too little is known"),
    ],
)
def test_what_cannot_be_is_answered_in_words(admin_client, sorted_now, sent, said):
    path = reverse("segmentation:pin", args=[sorted_now[0].pk])
    answer = admin_client.post(path, sent, follow=True)
    assert said in answer.content.decode()
    assert not Pin.objects.exists()


def test_a_hostile_hand_places_nobody(client, sorted_now, admin_user):
    person = sorted_now[0]
    path = reverse("segmentation:pin", args=[person.pk])
    sent = {"segment": "anxious", "reason": "x"}
    assert client.post(path, sent).status_code == 302  # to the login
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    assert strict.post(path, sent).status_code == 403
    assert strict.get(path).status_code == 405
    trainee = User.objects.create_user("trainee", password="x", is_staff=True)
    for name in ("view_pin", "view_segment", "view_customer"):
        trainee.user_permissions.add(Permission.objects.get(codename=name))
    client.force_login(trainee)
    assert client.post(path, sent).status_code == 403
    page = client.get(reverse("admin:customers_customer_change", args=[person.pk]))
    assert "Place them here" not in page.content.decode()
    client.force_login(admin_user)
    for wrong in ("'; DROP TABLE segmentation_pin; --", "no-such", "\x00", ""):
        answer = client.post(path, {"segment": wrong, "reason": "x"})
        assert answer.status_code == 404
    gone = reverse("segmentation:pin", args=[person.pk + 999_999])
    assert client.post(gone, sent).status_code == 404
    assert not Pin.objects.exists()
    assert Customer.objects.count() == 2
