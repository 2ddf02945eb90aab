import json

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from segmentation import rule_segments
from segmentation.models import RuleSegment
from segmentation.rule_segments import create_rule
from segmentation.rules.fields import FIELDS

VIP = json.dumps(
    {"how": "all", "members": [{"field": "tags", "op": "any_of", "value": ["vip"]}]}
)
LIST, NEW = reverse("segmentation:rules"), reverse("segmentation:new_rule")
TRY = reverse("segmentation:try_rule")


@pytest.fixture
def vip(db, at):
    Customer.objects.create(external_id="ada", first_name="<b>Ada</b>", tags=["vip"])
    return create_rule(name="Best <i>friends</i>", text=VIP, by=None, at=at)


def page(rule, what="rule") -> str:
    return reverse(f"segmentation:{what}", args=[rule.key])


def staff(client, *rights) -> Client:
    user = User.objects.create_user("trainee", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def test_the_list_shows_words_and_a_count_without_counting(
    admin_client, vip, monkeypatch
):
    monkeypatch.setattr(rule_segments, "matching", None)  # would break a count
    html = admin_client.get(LIST).content.decode()
    for words in ("have the tag “vip”", "about <b>1</b>", "&lt;i&gt;friends"):
        assert words in html
    assert "<i>friends" not in html


def test_the_list_costs_the_same_whatever_its_length(
    admin_client, vip, at, django_assert_max_num_queries
):
    for number in range(20):
        create_rule(name=f"Rule {number}", text=VIP, by=None, at=at)
    with django_assert_max_num_queries(8):
        admin_client.get(LIST)


def test_a_rule_is_made_and_changed_by_plain_forms(admin_client, db):
    answer = admin_client.post(NEW, {"name": "Vip", "rule": VIP})
    made = RuleSegment.objects.get()
    assert answer["Location"] == page(made)
    assert made.created_by.username == "admin"
    html = admin_client.get(page(made)).content.decode()
    assert "have the tag “vip”" in html
    assert '<textarea class="entry code" id="rule-json"' in html
    admin_client.post(page(made), {"name": "V", "rule": VIP.replace("vip", "press")})
    made.refresh_from_db()
    assert (made.name, made.rule["members"][0]["value"]) == ("V", ["press"])


def test_a_refused_rule_comes_back_as_it_was_typed_with_its_place(admin_client, vip):
    typed = VIP.replace('["vip"]', '"</script><script>alert(1)"')
    for path in (NEW, page(vip)):
        html = admin_client.post(path, {"name": "X", "rule": typed}).content.decode()
        assert "all › 1 › tags: needs a list of 1 to 200 values" in html
        assert "<script>alert(1)" not in html
        assert "&lt;script&gt;alert(1)" in html
    assert RuleSegment.objects.get().name == "Best <i>friends</i>"


def test_what_the_editor_offers_is_the_whole_catalogue(admin_client, db):
    html = admin_client.get(NEW).content.decode()
    _, _, rest = html.partition('<script id="rule-catalogue" type="application/json">')
    offered = json.loads(rest.partition("</script>")[0])
    # Which groups there are is only known once a person has accepted one.
    known = [key for key in FIELDS if key != "group"]
    assert [one["key"] for one in offered["fields"]] == known
    assert offered["deepest"] == 5


def test_trying_answers_with_words_count_and_names(admin_client, vip):
    answer = admin_client.post(TRY, {"rule": VIP})
    assert answer.json() == {
        "words": "Customers who have the tag “vip”.",
        "count": "1 customer",
        "sample": [
            {
                "name": "<b>Ada</b>",
                "page": reverse(
                    "admin:customers_customer_change", args=[Customer.objects.get().pk]
                ),
            }
        ],
    }
    assert answer["Content-Type"] == "application/json"


def test_trying_says_more_than_where_it_stops_counting(admin_client, vip, monkeypatch):
    Customer.objects.create(external_id="bo", tags=["vip"])
    monkeypatch.setattr(rule_segments, "TRIED_MOST", 1)
    answer = admin_client.post(TRY, {"rule": VIP})
    assert answer.json()["count"] == "More than 1 customers"


@pytest.mark.parametrize("typed", ["", "{", "[]", "[" * 30_000, '"\\ud800"', VIP[:-2]])
def test_trying_what_is_no_rule_says_why(admin_client, db, typed):
    answer = admin_client.post(TRY, {"rule": typed})
    assert answer.status_code == 422
    assert "needs" in answer.json()["problem"]


def test_trying_is_a_post_with_a_token(db, vip):
    User.objects.create_superuser("mara", password="x")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="mara"))
    assert client.get(TRY).status_code == 405
    assert client.post(TRY, {"rule": VIP}).status_code == 403


def test_who_may_see_rules_may_not_try_keep_count_or_delete(client, vip):
    trainee = staff(client, "view_rulesegment")
    assert trainee.get(LIST).status_code == 200
    html = trainee.get(page(vip)).content.decode()
    assert "have the tag “vip”" in html
    assert 'id="rule-form"' not in html
    assert trainee.get(NEW).status_code == 403
    given = {"name": "X", "rule": VIP}
    for path in (
        NEW,
        TRY,
        page(vip),
        page(vip, "count_rule"),
        page(vip, "delete_rule"),
    ):
        assert trainee.post(path, given).status_code == 403, path
    assert RuleSegment.objects.get() == vip


def test_names_are_only_for_who_may_see_customers_and_segments(client, vip):
    trainee = staff(client, "view_rulesegment", "add_rulesegment", "view_customer")
    assert trainee.post(TRY, {"rule": VIP}).json()["sample"] == []
    user = User.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="view_segment"))
    assert len(trainee.post(TRY, {"rule": VIP}).json()["sample"]) == 1


def test_counting_and_deleting_are_posts(admin_client, vip):
    for what in ("count_rule", "delete_rule"):
        assert admin_client.get(page(vip, what)).status_code == 405
    Customer.objects.create(external_id="bo", tags=["vip"])
    admin_client.post(page(vip, "count_rule"))
    vip.refresh_from_db()
    assert vip.counted == 2
    answer = admin_client.post(page(vip, "delete_rule"))
    assert answer["Location"] == LIST
    assert not RuleSegment.objects.exists()


def test_a_deleted_rule_has_no_page(admin_client, vip, at):
    RuleSegment.objects.update(removed_at=at)
    assert admin_client.get(page(vip)).status_code == 404
    assert "Best" not in admin_client.get(LIST).content.decode()
