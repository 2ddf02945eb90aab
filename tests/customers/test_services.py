import io
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers import services
from customers.models import Consent, Customer, ImportRun, Interaction, Suppression
from customers.services import (
    allow_profiling,
    check_interactions,
    is_suppressed,
    marketing_basis,
    object_to_profiling,
    record_consent,
    record_interactions,
    suppress,
    suppressed_keys,
)
from customers.sources import InteractionRow, RefusedRow
from customers.sources.history_file import rows
from tests.conftest import AT

pytestmark = pytest.mark.django_db

Basis, Reason = Consent.Basis, Suppression.Reason
MARKETING = Consent.Purpose.MARKETING


def said(customer_id="c1", *, days_ago=10, key="", **facts):
    facts = {"email": f"{customer_id}@example.com", "kind": "review", **facts}
    return InteractionRow(
        customer_id=customer_id,
        occurred_at=AT - timedelta(days=days_ago),
        key=key,
        **facts,
    )


def record(*given_rows, **options):
    options = {"source": "test.csv", "at": AT, **options}
    return record_interactions(given_rows, **options)


def basis_of(customer_id="c1"):
    pk = Customer.objects.get(external_id=customer_id).pk
    return marketing_basis([pk], at=AT).get(pk)


def test_read_is_stored_and_known_and_refused():
    refused = RefusedRow(4, "email", "x", "no address")
    report = record(said(key="a"), said(key="a"), said("c2", key="a"), refused, chunk=2)
    assert (report.read, report.stored, report.already_known) == (4, 2, 1)
    assert (len(report.refused), report.new_customers) == (1, 2)


def test_the_same_key_of_another_kind_is_another_interaction():
    assert record(said(key="7"), said(key="7", kind="order")).stored == 2


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(order=st.permutations(range(8)), twice=st.lists(st.integers(0, 7), max_size=8))
def test_any_order_and_any_doubling_of_rows_stores_the_same(order, twice):
    history = [
        said(f"c{n % 3}", days_ago=n + 1, text=f"text {n}",
             consent=["", "yes", "no"][n % 3], email=f"c{n % 3}-{n // 4}@example.com",
             tags=("vip",) if n == 5 else ())
        for n in range(8)
    ]  # fmt: skip
    Customer.objects.all().delete()
    report = record(*(history[n] for n in [*order, *twice]), chunk=3)
    stored = Interaction.objects.values_list("customer__external_id", "text")
    assert sorted(stored) == sorted((f"c{n % 3}", f"text {n}") for n in range(8))
    assert (report.stored, report.already_known) == (8, len(twice))
    # The newest row of each customer has its address; a no outweighs what came after.
    assert [basis_of(f"c{n}") for n in range(3)] == [
        Basis.EXISTING_CUSTOMER, Basis.CONSENT, Basis.WITHDRAWN
    ]  # fmt: skip
    emails = Customer.objects.order_by("external_id").values_list("email", flat=True)
    assert list(emails) == [f"c{n}-0@example.com" for n in range(3)]


def test_a_later_row_fills_empty_names_and_never_blanks_one():
    record(said(first_name="Bo", tags=("vip",)))
    record(said(key="b", last_name="Lind", first_name="Robert", tags=("tea", "vip")))
    record(said(key="c"))
    customer = Customer.objects.get()
    assert (customer.full_name, customer.tags) == ("Bo Lind", ["vip", "tea"])


def test_the_newest_address_is_kept_and_the_change_is_noted():
    record(said(days_ago=5, email="old@example.com"))
    report = record(said(days_ago=2, email="New@Exämple.com"))
    older = record(said(days_ago=9, email="oldest@example.com"))
    customer = Customer.objects.get()
    assert (customer.email, customer.address_wire, customer.address_key) == (
        "New@Exämple.com", "New@xn--exmple-cua.com", "new@xn--exmple-cua.com"
    )  # fmt: skip
    assert "1 customers have a new address" in report.notes[0]
    assert older.notes == []


def test_a_no_follows_the_customer_to_a_new_address_and_a_bounce_does_not():
    record(said("c1", days_ago=5), said("c2", days_ago=5))
    suppress("c1@example.com", reason=Reason.UNSUBSCRIBED, at=AT)
    suppress("c2@example.com", reason=Reason.BOUNCED, at=AT)
    record(said("c1", email="one@example.com", days_ago=1),
           said("c2", email="two@example.com", days_ago=1))  # fmt: skip
    assert suppressed_keys(["one@example.com", "two@example.com"]) == {
        "one@example.com"
    }


@pytest.mark.parametrize(
    ("consent", "basis", "stands"),
    [("", Basis.EXISTING_CUSTOMER, Basis.EXISTING_CUSTOMER), ("", None, None),
     ("", Basis.CONSENT, Basis.CONSENT), ("yes", None, Basis.CONSENT),
     ("no", Basis.CONSENT, Basis.WITHDRAWN)],
)  # fmt: skip
def test_a_new_customer_gets_the_basis_of_the_file_or_of_all(consent, basis, stands):
    record(said(consent=consent), basis=basis)
    record(said(key="again"), basis=Basis.CONSENT)
    assert basis_of() == stands
    assert Consent.objects.count() == (stands is not None)


def test_an_import_never_raises_consent_and_never_lifts_a_suppression():
    record(said())
    suppress("c1@example.com", reason=Reason.UNSUBSCRIBED, at=AT)
    customer = Customer.objects.get()
    record_consent(
        customer, purpose=MARKETING, basis=Basis.WITHDRAWN, source="w", at=AT
    )
    report = record(said(key="b", consent="yes"), basis=Basis.CONSENT)
    assert basis_of() == Basis.WITHDRAWN
    assert suppressed_keys(["C1@example.com"]) == {"c1@example.com"}
    assert "never raises consent" in report.notes[0]


def test_a_no_in_a_file_withdraws_once_and_keeps_what_was_said_before():
    record(said(consent="yes"))
    for _ in range(2):
        record(said(key="b", consent="no"))
    said_so = Consent.objects.order_by("pk").values_list("basis", flat=True)
    assert list(said_so) == [Basis.CONSENT, Basis.WITHDRAWN]


def test_a_row_from_the_future_or_without_an_address_we_can_mail_is_refused():
    report = record(said(days_ago=-2), said(email="nobody"), said(email=""))
    assert [row.column for row in report.refused] == ["occurred_at", "email"]
    assert report.stored == 1
    assert Customer.objects.get().address_key == ""


@pytest.mark.parametrize(
    ("days_ago", "reason"),
    [(11, "lies before 2026-02-20 09:00, when it happened"), (-2, "in the future")],
)
def test_an_answer_before_the_question_or_from_the_future_is_refused(days_ago, reason):
    answered = AT - timedelta(days=days_ago)
    (refused,) = record(said(kind="ticket", answered_at=answered)).refused
    assert refused.column == "answered_at"
    assert reason in refused.reason


def test_a_file_leaves_a_run_that_adds_up_and_single_rows_do_not():
    record(said())
    assert not ImportRun.objects.exists()
    text = b"customer_id,email,occurred_at,kind\nc1,a@example.com,2024-01-31,visit\nx\n"
    report = record_interactions(rows(io.BytesIO(text)), source="h.csv", at=AT)
    run = ImportRun.objects.get()
    assert (run.file_name, run.rows_read, run.stored, run.refused) == ("h.csv", 2, 1, 1)
    assert run.finished_at is not None
    assert run.problems[0]["line"] == 3
    assert run.notes == report.notes
    assert "no zone" in run.notes[0]


def test_only_the_first_two_hundred_refused_rows_are_kept_and_all_are_counted():
    wrong = [RefusedRow(n, "email", "x", "no address") for n in range(500)]
    heard = []
    report = record(*wrong, refused=heard.append)
    assert (len(report.refused), len(list(report.refused))) == (500, 200)
    assert heard == wrong


def test_a_crash_in_the_middle_keeps_the_chunks_before_and_their_counts():
    text = b"customer_id,email,occurred_at,kind\n" + b"".join(
        b"c%d,c%d@example.com,2024-01-31T00:00Z,visit\n" % (n, n) for n in range(5)
    )

    def power_fails(done):
        if Interaction.objects.count() == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_interactions(
            rows(io.BytesIO(text)), source="h", at=AT, chunk=2, progress=power_fails
        )
    run = ImportRun.objects.get()
    assert (run.stored, run.rows_read, run.finished_at) == (4, 4, None)
    again = record_interactions(rows(io.BytesIO(text)), source="h", at=AT)
    assert (again.stored, again.already_known) == (1, 4)


def test_a_dry_run_counts_what_an_import_would_and_writes_nothing():
    record(said(key="a"))
    mixed = [said(key="a"), said(key="b"), said("c2"), said("c2"), said(days_ago=-9)]
    checked = check_interactions(mixed, at=AT, chunk=2)
    assert Interaction.objects.count() == 1
    stored = record(*mixed, chunk=2)
    for name in ("read", "stored", "already_known", "new_customers"):
        assert getattr(checked, name) == getattr(stored, name), name
    assert len(checked.refused) == len(stored.refused) == 1


def test_suppressing_twice_keeps_the_first_reason_unless_it_was_a_bounce():
    first = suppress(" Bo@Example.com", reason=Reason.COMPLAINED, at=AT)
    suppress("bo@example.com", reason=Reason.UNSUBSCRIBED, at=AT)
    suppress("cy@example.com", reason=Reason.BOUNCED, at=AT)
    suppress("cy@example.com", reason=Reason.UNSUBSCRIBED, at=AT)
    reasons = Suppression.objects.order_by("pk").values_list("reason", flat=True)
    assert list(reasons) == [Reason.COMPLAINED, Reason.UNSUBSCRIBED]
    assert first.address == "Bo@Example.com"
    assert is_suppressed("BO@example.com")
    assert not is_suppressed("ada@example.com")


def test_suppression_is_asked_for_many_addresses_at_once(
    django_assert_num_queries, monkeypatch
):
    monkeypatch.setattr(services, "HASHES_A_QUESTION", 2)
    suppress("bo@example.com", reason=Reason.MANUAL, at=AT)
    with django_assert_num_queries(2):
        found = suppressed_keys(["ada@example.com", "BO@example.com", "cy@example.com"])
    assert found == {"bo@example.com"}


def test_the_latest_word_on_marketing_counts_as_of_the_moment_asked(bo):
    for basis, hours in ((Basis.WITHDRAWN, 2), (Basis.CONSENT, 1)):
        record_consent(bo, purpose=MARKETING, basis=basis, source="page",
                       at=AT - timedelta(hours=hours))  # fmt: skip
    assert marketing_basis([bo.pk, 999_999], at=AT) == {bo.pk: Basis.CONSENT}
    earlier = AT - timedelta(minutes=90)
    assert marketing_basis([bo.pk], at=earlier) == {bo.pk: Basis.WITHDRAWN}


def test_an_objection_to_profiling_is_kept_with_its_proof_and_can_be_taken_back(bo):
    for _ in range(2):
        object_to_profiling(bo, source="preferences page", at=AT)
    assert not Customer.objects.profiled().exists()
    allow_profiling(bo, source="preferences page", at=AT + timedelta(hours=1))
    assert Customer.objects.profiled().get() == bo
    proof = bo.consents.filter(purpose=Consent.Purpose.PROFILING).order_by("pk")
    assert [row.basis for row in proof] == [Basis.WITHDRAWN, Basis.CONSENT]


def test_the_cast_said_what_the_stories_need(ada, bo, cy, di):
    assert Interaction.objects.with_text().count() == 6
    assert not di.interactions.with_text().exists()
    assert basis_of("cy") == Basis.EXISTING_CUSTOMER
