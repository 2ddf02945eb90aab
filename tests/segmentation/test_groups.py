from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from campaigns.audience import plan_of_campaign, resolve_audience
from campaigns.models import Campaign
from campaigns.services import starter_template
from customers.models import Customer, Interaction
from customers.services import object_to_profiling, record_consent
from segmentation.clustering.emergent import Group
from segmentation.clustering.model import fit_model, profile_customers
from segmentation.emotion.families import FAMILIES
from segmentation.errors import DecisionRefused, RuleRefused
from segmentation.frames import load_people
from segmentation.groups import (
    Fit,
    accept_group,
    dismiss_group,
    follow_accepted,
    keep_proposal,
)
from segmentation.models import (
    EmergentGroup,
    EmotionScore,
    GroupMember,
    Membership,
    RuleSegment,
    Segment,
)
from segmentation.profile.events import Deeds
from segmentation.rule_segments import tree_of
from segmentation.rules.compiling import matching
from segmentation.services import fit_run, published_run

pytestmark = pytest.mark.django_db
NO_DEEDS = Deeds(np.zeros(0, int), np.zeros(0), np.zeros(0, int))
ROW = np.array([0.30, 0.02, 0.02, 0.02, 0.05, 0.35, 0.05, 0.04, 0.15])
CUSTOMERS = 700


@pytest.fixture(scope="module")
def data(generator):
    """Texts of seven hundred, among them joyful and angry ones, and a fit of them."""
    made = generator.make_customers(
        CUSTOMERS,
        seed=3,
        archetypes=np.vstack([generator.ARCHETYPES, ROW]),
        shares=np.append(generator.SHARES * 0.6, 0.4),
    )
    model = fit_model(made.texts, NO_DEEDS, seed=0)
    return made.texts, model, profile_customers(made.texts, NO_DEEDS, model)


@pytest.fixture
def look(shop, at, data):
    """A fit whose search found a group of this row, or none. What a search finds has
    tests of its own: it takes ten thousand customers."""
    shop.add(CUSTOMERS)
    texts, model, profiles = data

    def look(row=ROW, *, days=0, deeds=NO_DEEDS):
        when = at + timedelta(days=days)
        fit = Fit(shop.sort({}, at=when), load_people(), texts, deeds, profiles, model)
        follow_accepted(fit)
        shares = np.append(model.shares * 0.7, 0.3)
        found = None if row is None else Group(row, shares, 90.0, 0.14, 0.8)
        keep_proposal(found, fit, at=when)
        return EmergentGroup.objects.order_by("-pk").first()

    return look


def moved(row, by):
    """A row of another kind: so much from joy to sadness."""
    other = row.copy()
    other[FAMILIES.index("joy")] -= by
    other[FAMILIES.index("sadness")] += by
    return other


def test_a_proposal_tells_its_size_and_what_sets_it_apart_and_does_nothing(look, at):
    group = look()
    assert group.state == "open"
    assert group.name == "Joyful and angry"
    assert group.customers == GroupMember.objects.count() >= 50
    families = {
        name: (share, usual) for name, share, usual in group.figures["families"]
    }
    assert families["anger"][0] == pytest.approx(0.30)
    assert families["anger"][0] > families["anger"][1]
    # All that were read are reviews.
    assert group.figures["sources"] == [["review", 1.0, 1.0]]
    assert not RuleSegment.objects.exists()
    assert Segment.objects.count() == 9
    assert not Membership.objects.exists()


def test_deeds_are_counted_by_customer_against_everybody(look):
    group = look()
    inside = load_people().rows_of(
        np.array(group.members.values_list("customer_id", flat=True))
    )
    # All of the group, and nobody else, sent something back.
    deeds = Deeds(inside, np.zeros(len(inside)), np.full(len(inside), 3))
    group = look(deeds=deeds)
    words, theirs, everyone = group.figures["deeds"][0]
    assert (words, theirs) == ("sent something back", 1.0)
    assert everyone == pytest.approx(len(inside) / CUSTOMERS, abs=1e-4)


def test_found_again_it_is_the_same_proposal(look):
    first = look()
    again = look(moved(ROW, 0.02), days=30)
    assert (again.pk, EmergentGroup.objects.count()) == (first.pk, 1)
    assert again.found_at > first.found_at


def test_found_no_more_it_fades_and_nobody_is_in_it(look):
    look()
    group = look(None, days=30)
    assert group.state == "faded"
    assert not GroupMember.objects.exists()
    # And when it is there once more, it is proposed once more.
    assert look(days=60).state == "open"


def test_a_dismissed_group_is_not_proposed_while_it_stays_like_it(look, at, admin_user):
    dismiss_group(look(), because="an old campaign", by=admin_user, at=at)
    group = look(moved(ROW, 0.02), days=30)
    assert (group.state, EmergentGroup.objects.count()) == ("dismissed", 1)
    assert (group.decided_by, group.decided_because) == (admin_user, "an old campaign")
    assert not GroupMember.objects.exists()
    assert look(moved(ROW, 0.3), days=60).state == "open"
    assert EmergentGroup.objects.count() == 2


def test_an_accepted_group_is_a_rule_with_a_tone_and_no_eighth_segment(
    look, at, admin_user
):
    group = accept_group(
        look(), name="Cheeky regulars", tone="lively", by=admin_user, at=at
    )
    assert (group.key, group.state) == ("group-cheeky-regulars", "accepted")
    assert (group.rule.name, group.rule.tone) == ("Cheeky regulars", "lively")
    assert group.rule.created_by == admin_user
    held_for = matching(tree_of(group.rule), at=at)
    assert set(held_for.values_list("pk", flat=True)) == set(
        group.members.values_list("customer_id", flat=True)
    )
    assert Segment.objects.count() == 9
    # Not proposed again, and found anew at every fit.
    GroupMember.objects.all().delete()
    look(moved(ROW, 0.02), days=30)
    assert EmergentGroup.objects.count() == 1
    assert group.members.count() == group.customers


def test_a_decision_is_taken_once_and_in_words(look, at, admin_user):
    group = look()
    with pytest.raises(DecisionRefused, match="There is no tone"):
        accept_group(group, name="X", tone="angry", by=admin_user, at=at)
    with pytest.raises(RuleRefused, match="needs a name"):
        accept_group(group, name=" ", tone="brief", by=admin_user, at=at)
    with pytest.raises(DecisionRefused, match="reason"):
        dismiss_group(group, because="", by=admin_user, at=at)
    group.refresh_from_db()
    assert (group.state, group.key) == ("open", None)
    accept_group(group, name="X", tone="brief", by=admin_user, at=at)
    for again in (
        lambda: accept_group(group, name="Y", tone="brief", by=admin_user, at=at),
        lambda: dismiss_group(group, because="no", by=admin_user, at=at),
    ):
        with pytest.raises(DecisionRefused, match="is accepted already"):
            again()


def test_whoever_objects_is_in_no_group_now_or_later(look, at, admin_user):
    group = accept_group(look(), name="X", tone="brief", by=admin_user, at=at)
    gone = group.members.first().customer
    object_to_profiling(gone, source="test", at=at)
    assert not GroupMember.objects.filter(customer=gone).exists()
    look(days=30)
    assert not GroupMember.objects.filter(customer=gone).exists()
    # Even if a row were left somewhere, a rule would not see it.
    GroupMember.objects.create(group=group, customer=gone, probability=0.9)
    assert gone not in matching(tree_of(group.rule), at=at)


def test_a_campaign_to_a_group_uses_its_tone_but_takes_no_guard_away(
    look, shop, sender, at, admin_user
):
    group = accept_group(look(), name="X", tone="lively", by=admin_user, at=at)
    some = [member.customer for member in group.members.all()[:4]]
    outside = Customer.objects.exclude(groups__group=group).first()
    for one in [*some, outside]:
        Customer.objects.filter(pk=one.pk).update(address_key=one.email)
        record_consent(one, purpose="marketing", basis="consent", source="t", at=at)
    keys = ["trusting", "anxious", "unknown", "mixed"]
    shop.publish({**dict(zip(some, keys, strict=True)), outside: "trusting"}, at=at)
    campaign = Campaign.objects.create(
        name="Spring",
        template=starter_template("announcement"),
        sender=sender,
        audience_rule=group.rule,
        neutral_share=0.0,
    )
    plan = plan_of_campaign(campaign, run=published_run())
    assert plan.tones["anxious"] == "reassuring"
    audience = resolve_audience(campaign, at=at, run=published_run())
    tones = [audience.included[one.pk].tone for one in some]
    assert tones == ["lively", "reassuring", "neutral", "lively"]
    assert outside.pk not in audience.included


@pytest.mark.slow
def test_a_fit_finds_a_group_by_itself_and_only_proposes_it(generator, shop, at):
    made = generator.make_customers(
        10_000,
        seed=0,
        archetypes=np.vstack([generator.ARCHETYPES, ROW]),
        shares=np.append(generator.SHARES * 0.88, 0.12),
    )
    people = shop.add(10_000)
    texts = Interaction.objects.bulk_create(
        Interaction(
            customer=people[who],
            key=f"t{number}",
            kind="review",
            # Each on a day of its own: several of one day would count less.
            occurred_at=at - timedelta(days=number % 40),
        )
        for number, who in enumerate(made.texts.customer)
    )
    EmotionScore.objects.bulk_create(
        EmotionScore(
            interaction=text,
            customer_id=text.customer_id,
            occurred_at=text.occurred_at,
            kind="review",
            families=row.astype("<f4").tobytes(),
            weight=1.0,
            analyzer="test",
        )
        for text, row in zip(texts, made.texts.families, strict=True)
    )
    run = fit_run(at=at)
    group = EmergentGroup.objects.get()
    assert (group.state, group.run) == ("open", run)
    assert set(group.name.lower().split()) == {"angry", "and", "joyful"}
    assert group.customers == group.members.count() >= 50
    assert sum(run.quality["sizes"].values()) == 10_000
    assert not RuleSegment.objects.exists()


# Pages


def path(name, *args):
    return reverse(f"segmentation:{name}", args=args)


def test_a_marketer_reads_a_proposal_and_accepts_it(admin_client, look, shop, at):
    group = look()
    shop.publish({}, at=at)
    assert "is proposed" in admin_client.get(path("segments")).content.decode()
    assert "waits for a person" in admin_client.get(path("groups")).content.decode()
    text = admin_client.get(path("group", group.pk)).content.decode()
    assert "Joyful and angry" in text
    assert text.count(" % sure") == 10
    answer = admin_client.post(
        path("accept_group", group.pk),
        {"name": "Cheeky regulars", "tone": "lively"},
        follow=True,
    )
    assert "is a rule now" in answer.content.decode()
    assert "Accept this group" not in answer.content.decode()
    rule = admin_client.get(path("rule", "cheeky-regulars")).content.decode()
    assert "are in the group Cheeky regulars" in rule
    assert "lively tone" in rule
    assert '"kind": "choice"' in rule.partition('"key": "group"')[2][:400]


def test_a_marketer_dismisses_one_and_says_why(admin_client, look):
    group = look()
    admin_client.post(path("dismiss_group", group.pk), {"because": "a <i>fluke</i>"})
    text = admin_client.get(path("groups")).content.decode()
    assert "a &lt;i&gt;fluke&lt;/i&gt;" in text
    assert admin_client.get(path("group", group.pk)).status_code == 200


def test_a_hostile_hand_decides_on_no_group(client, look, admin_user):
    group = look()
    sent = {"name": "X", "tone": "brief", "because": "x"}
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    trainee = User.objects.create_user("trainee", password="x", is_staff=True)
    trainee.user_permissions.add(Permission.objects.get(codename="view_emergentgroup"))
    client.force_login(trainee)
    assert "Accept this group" not in (
        client.get(path("group", group.pk)).content.decode()
    )
    for name in ("accept_group", "dismiss_group"):
        assert strict.get(path(name, group.pk)).status_code == 405
        assert strict.post(path(name, group.pk), sent).status_code == 403
        assert client.post(path(name, group.pk), sent).status_code == 403
    client.force_login(admin_user)
    for wrong in (
        {"name": "x" * 500, "tone": "brief"},
        {"name": "\x00", "tone": "brief"},
        {"name": "X", "tone": "<script>"},
    ):
        answer = client.post(path("accept_group", group.pk), wrong, follow=True)
        assert answer.status_code == 200
        assert "<script>”" not in answer.content.decode()
    assert client.post(path("accept_group", 999_999), sent).status_code == 404
    group.refresh_from_db()
    assert group.state == "open"
    assert not RuleSegment.objects.exists()
