from datetime import timedelta

import numpy as np
import pytest

from customers.models import Customer, Interaction
from customers.services import object_to_profiling
from segmentation import services
from segmentation.clustering.model import SegmentModel, profile_customers
from segmentation.deeds import load_deeds
from segmentation.emotion.families import FAMILIES
from segmentation.errors import NothingToSort, RunNotPublishable
from segmentation.frames import (
    load_people,
    load_texts,
    members_frame,
    profiles_frame,
    unpack_sums,
)
from segmentation.holds import UNHAPPY, Hold, held
from segmentation.models import (
    EmotionProfile,
    EmotionScore,
    Membership,
    Segment,
    SegmentationRun,
)
from segmentation.publishing import publish_run
from segmentation.services import (
    fit_run,
    forget_inferences,
    memberships_of,
    published_run,
    refresh_if_needed,
    refresh_segments,
)
from segmentation.why import explain


@pytest.fixture
def people(ada, bo, cy, di):
    return [ada, bo, cy, di]


def test_texts_are_read_and_everyone_gets_a_place(people, at):
    report = refresh_segments(at=at)
    assert report.scores.read == 6
    assert Membership.objects.count() == len(people)
    assert published_run().quality["sizes"]["unknown"] >= 1


def test_who_never_wrote_is_unknown_with_no_number(people, di, at):
    refresh_segments(at=at)
    place = memberships_of([di.pk])[di.pk]
    assert place.segment.key == "unknown"
    assert (place.probability, place.next_best) == (0.0, None)
    assert not EmotionProfile.objects.filter(customer=di).exists()


def test_reading_again_reads_nothing_again(people, at):
    refresh_segments(at=at)
    assert refresh_segments(at=at).scores.read == 0
    assert EmotionScore.objects.count() == 6


def test_angry_texts_read_as_more_anger_than_trusting_ones(people, ada, cy, at):
    refresh_segments(at=at)
    angry = unpack_sums([cy.emotion_profile.state]).families[0]
    trusting = unpack_sums([ada.emotion_profile.state]).families[0]
    assert angry[FAMILIES.index("anger")] > trusting[FAMILIES.index("anger")]
    assert trusting[FAMILIES.index("trust")] > angry[FAMILIES.index("trust")]


def test_what_is_kept_of_a_profile_is_what_was_computed(people, ada, at):
    refresh_segments(at=at)
    everyone = load_people()
    model = SegmentModel.from_json(published_run().model)
    texts = load_texts(everyone, at=at)
    deeds = load_deeds(everyone, at=at, terms=model.terms)
    row = int(np.searchsorted(everyone.ids, ada.pk))
    fresh = profile_customers(texts, deeds, model).sums.families[row]
    kept = unpack_sums([ada.emotion_profile.state]).families[0]
    assert kept == pytest.approx(fresh, abs=1e-12)


def test_only_one_run_is_in_use(people, at):
    refresh_segments(at=at)
    refresh_segments(at=at + timedelta(days=1))
    states = list(SegmentationRun.objects.values_list("state", flat=True))
    assert sorted(states) == ["published", "superseded"]


def test_what_was_said_after_the_cut_off_does_not_count(people, ada, at):
    early = at - timedelta(days=60)
    refresh_segments(at=early)
    assert memberships_of([ada.pk])[ada.pk].segment.key == "unknown"


def test_nobody_at_all_is_an_error_a_marketer_understands(db, at):
    with pytest.raises(NothingToSort, match="import a history first"):
        fit_run(at=at)


def test_a_run_that_changes_much_waits_for_approval(people, at, monkeypatch):
    refresh_segments(at=at)
    before = published_run()
    monkeypatch.setattr(services.quality, "RENAMED_MOST", -0.01)
    run = refresh_segments(at=at + timedelta(days=1)).run
    assert run.state == SegmentationRun.State.WAITING
    assert "change segment" in run.waits_because
    assert published_run() == before
    with pytest.raises(RunNotPublishable, match="waits for approval"):
        publish_run(run, at=at)


def test_an_approved_run_is_used_and_the_one_before_replaced(
    people, at, monkeypatch, admin_user
):
    refresh_segments(at=at)
    before = published_run()
    monkeypatch.setattr(services.quality, "RENAMED_MOST", -0.01)
    run = refresh_segments(at=at + timedelta(days=1)).run
    publish_run(run, at=at, approved_by=admin_user)
    before.refresh_from_db()
    assert published_run() == run
    assert before.state == SegmentationRun.State.SUPERSEDED
    with pytest.raises(RunNotPublishable, match="replaced"):
        publish_run(before, at=at, approved_by=admin_user)


def test_an_objection_deletes_what_was_read_and_reads_no_more(people, cy, at):
    refresh_segments(at=at)
    object_to_profiling(cy, source="test", at=at)
    forget_inferences(cy, at=at)
    assert not EmotionScore.objects.filter(customer=cy).exists()
    assert memberships_of([cy.pk])[cy.pk].segment.key == "unknown"
    assert refresh_segments(at=at + timedelta(days=1)).scores.read == 0
    assert memberships_of([cy.pk])[cy.pk].segment.key == "unknown"


def test_the_reasons_of_a_customer_add_up_to_the_total(people, at):
    refresh_segments(at=at)
    explained = [
        explain(place)
        for place in Membership.objects.select_related("segment", "run", "customer")
    ]
    for found in filter(None, explained):
        parts = sum(reason.part for reason in found.reasons) + found.others
        assert parts == pytest.approx(found.total, abs=1e-9)


def add_text(customer, at, text, *, days_ago, kind="ticket"):
    Interaction.objects.create(
        customer=customer,
        occurred_at=at - timedelta(days=days_ago),
        kind=kind,
        key=f"{kind}{days_ago}",
        text=text,
    )


def place_in(customer, key):
    """A customer's membership as if she were in that segment."""
    found = Membership.objects.select_related("run", "customer").get(customer=customer)
    found.segment = Segment.objects.get(key=key)
    return found


def test_the_sentence_shown_as_a_reason_is_the_one_that_carries_it(people, bo, at):
    text = "Thank you for the note. I am terrified that the ring is lost, please look."
    add_text(bo, at, text, days_ago=1)
    refresh_segments(at=at)
    place = place_in(bo, "anxious")
    shown = {reason.words: reason.part for reason in explain(place).reasons}
    assert shown["I am terrified that the ring is lost, please look."] > 0


def test_the_share_shown_as_ones_own_is_that_of_aged_texts(people, bo, at):
    refresh_segments(at=at)
    place = place_in(bo, "anxious")
    profile = EmotionProfile.objects.get(customer=bo)
    kappa = place.run.model["kappa"]
    expected = profile.evidence / (profile.evidence + kappa)
    assert explain(place).own_share == pytest.approx(expected)


def test_fresh_unhappiness_that_was_read_holds_a_customer(cy, at):
    Interaction.objects.filter(customer=cy).delete()
    add_text(cy, at, "I am so sad and disappointed.", days_ago=16, kind="social")
    add_text(cy, at, "I hate this, I am furious.", days_ago=15, kind="social")
    add_text(cy, at, "Angry and sad, what a shame.", days_ago=14.5, kind="social")
    refresh_segments(at=at)
    profile = EmotionProfile.objects.get(customer=cy)
    assert profile.last_text_at == at - timedelta(days=14.5)
    assert profile.negativity > 0.45
    assert held([cy.pk], at=at) == {cy.pk: Hold(UNHAPPY)}


def test_nothing_new_means_nothing_to_do(people, at):
    assert refresh_if_needed(at=at) is not None
    assert refresh_if_needed(at=at) is None
    Interaction.objects.create(
        customer=people[0], occurred_at=at, kind="reply", key="new", text="Thank you!"
    )
    assert refresh_if_needed(at=at) is not None


def test_a_newcomer_is_sorted_too(people, at):
    refresh_segments(at=at)
    Customer.objects.create(external_id="eve", email="eve@example.com")
    assert refresh_if_needed(at=at) is not None
    assert Membership.objects.filter(run=published_run()).count() == len(people) + 1


def test_frames_have_a_row_a_customer(people, at):
    refresh_segments(at=at)
    members, profiles = members_frame(published_run()), profiles_frame()
    assert list(members["customer_id"]) == ["ada", "bo", "cy", "di"]
    assert profiles[list(FAMILIES)].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
