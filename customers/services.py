"""The decisions about customers; the only writers of these tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic

from django.db import transaction
from django.db.models import Q, QuerySet

from customers.addresses import address_hash, address_key, hash_of_key
from customers.intake import Intake, latest_marketing, refusal, under_kept_ids
from customers.models import Consent, Customer, ImportRun, Interaction, Suppression
from customers.news import tell_changed
from customers.objection import FORGET
from customers.prepared import Prepared
from customers.sources.rows import InteractionRow, Reading, RefusedRow, content_key

ROWS_A_CHUNK = 2000
# The first refused rows stay with the run; the whole list is a file (--errors).
PROBLEMS_KEPT = 200
# SQLite takes 32,766 values in one question.
HASHES_A_QUESTION = 10_000
# An address from which mail kept coming back is tried again after that.
GIVEN_UP_FOR = timedelta(days=90)

Rows = Iterable[InteractionRow | RefusedRow]


class RefusedRows:
    """How many rows were refused, and the first of them: memory must not grow."""

    def __init__(self) -> None:
        self.first: list[RefusedRow] = []
        self._count = 0

    def add(self, row: RefusedRow) -> None:
        self._count += 1
        if len(self.first) < PROBLEMS_KEPT:
            self.first.append(row)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[RefusedRow]:
        return iter(self.first)

    def __getitem__(self, which: slice) -> list[RefusedRow]:
        return self.first[which]


@dataclass(slots=True)
class ImportReport:
    """read = stored + already_known + refused."""

    read: int = 0
    stored: int = 0
    already_known: int = 0
    refused: RefusedRows = field(default_factory=RefusedRows)
    new_customers: int = 0
    notes: list[str] = field(default_factory=list)
    cut_off: str = ""


def record_interactions(
    rows: Rows,
    *,
    source: str,
    at: datetime,
    basis: Consent.Basis | None = Consent.Basis.EXISTING_CUSTOMER,
    chunk: int = ROWS_A_CHUNK,
    progress: Callable[[int], object] | None = None,
    refused: Callable[[RefusedRow], object] | None = None,
) -> ImportReport:
    """Store what is new, once; one transaction a chunk, so a crash loses no count.

    basis: why new customers may get marketing mail where their rows do not say; None
    records nothing. An import never raises the consent of a customer we know and never
    lifts a suppression. progress gets the rows of each chunk, refused every refused
    row. A Reading (a file) leaves an ImportRun, other rows do not.
    """
    report, began = ImportReport(), monotonic()
    run = None
    if isinstance(rows, Reading):
        run = ImportRun.objects.create(file_name=source[:300])
    intake = Intake(source=source, at=at, basis=basis)
    for part in _chunks(rows, chunk):
        good = _accepted(part, report, at=at, refused=refused)
        with transaction.atomic():
            stored = intake.store(good) if good else 0
            report.stored += stored
            report.already_known += len(good) - stored
            report.new_customers = intake.new_customers
            if run is not None:
                _save_counts(run, report)
        if progress is not None:
            progress(len(part))
    report.notes = intake.notes()
    if run is not None and isinstance(rows, Reading):
        report.notes = [*rows.notes, *report.notes]
        report.cut_off = rows.cut_off
        run.finished_at = at + timedelta(seconds=monotonic() - began)
        _save_counts(run, report)
    return report


def check_interactions(
    rows: Rows,
    *,
    at: datetime,
    chunk: int = ROWS_A_CHUNK,
    progress: Callable[[int], object] | None = None,
    refused: Callable[[RefusedRow], object] | None = None,
) -> ImportReport:
    """The report record_interactions would give, and nothing written.

    Remembers 8 bytes (as a set, about 70) for each new row and customer.
    """
    report = ImportReport()
    seen: set[int] = set()
    newcomers: set[int] = set()
    for part in _chunks(rows, chunk):
        good = under_kept_ids(_accepted(part, report, at=at, refused=refused))
        ids = {row.customer_id for row in good}
        known = set(
            Customer.objects.filter(external_id__in=ids).values_list(
                "external_id", flat=True
            )
        )
        newcomers |= {hash(name) for name in ids - known}
        for name in _unknown(good):
            if name in seen:
                report.already_known += 1
            else:
                seen.add(name)
                report.stored += 1
        report.already_known = report.read - report.stored - len(report.refused)
        if progress is not None:
            progress(len(part))
    report.new_customers = len(newcomers)
    if isinstance(rows, Reading):
        report.notes, report.cut_off = list(rows.notes), rows.cut_off
    return report


def _unknown(rows: Sequence[InteractionRow]) -> Iterator[int]:
    """A number for each row that is not in the table."""
    names = [
        (row.customer_id, str(row.kind), row.key or content_key(row)) for row in rows
    ]
    stored = set(
        Interaction.objects.filter(
            customer__external_id__in={name[0] for name in names},
            key__in={name[2] for name in names},
        ).values_list("customer__external_id", "kind", "key")
    )
    return (hash(name) for name in names if name not in stored)


def _chunks(rows: Rows, size: int) -> Iterator[list[InteractionRow | RefusedRow]]:
    waiting = iter(rows)
    while part := list(islice(waiting, size)):
        yield part


def _accepted(
    part: list[InteractionRow | RefusedRow],
    report: ImportReport,
    *,
    at: datetime,
    refused: Callable[[RefusedRow], object] | None,
) -> list[InteractionRow]:
    """The rows that can be recorded; the others are counted and passed on."""
    good = []
    for row in part:
        problem = row if isinstance(row, RefusedRow) else refusal(row, at=at)
        if problem is None and isinstance(row, InteractionRow):
            good.append(row)
        elif problem is not None:
            report.refused.add(problem)
            if refused is not None:
                refused(problem)
    report.read += len(part)
    return good


def _save_counts(run: ImportRun, report: ImportReport) -> None:
    run.rows_read = report.read
    run.stored = report.stored
    run.already_known = report.already_known
    run.refused = len(report.refused)
    run.new_customers = report.new_customers
    run.problems = [
        {
            "line": row.line,
            "column": row.column,
            "value": row.value,
            "reason": row.reason,
        }
        for row in report.refused
    ]
    run.notes = report.notes
    run.save()


def suppress(
    email: str, *, reason: Suppression.Reason | str, at: datetime, source: str = ""
) -> Suppression:
    """Never mail this address again. Doing it twice changes nothing.

    A person's own no replaces a bounce as the reason, since a bounce may be forgiven.
    """
    found, created = Suppression.objects.get_or_create(
        address_hash=address_hash(email),
        defaults={
            "address": email.strip()[:320],
            "reason": reason,
            "source": source[:200],
            "suppressed_at": at,
        },
    )
    forgiven = (Suppression.Reason.BOUNCED, Suppression.Reason.UNREACHABLE)
    if not created and found.reason in forgiven and reason not in forgiven:
        found.reason, found.source, found.suppressed_at = reason, source[:200], at
        found.save(update_fields=["reason", "source", "suppressed_at"])
    return found


def unreachable(emails: Iterable[str]) -> set[str]:
    """Which of these addresses are not mailed because mail kept coming back."""
    named = {address_hash(email): email for email in emails}
    found = Suppression.objects.filter(
        address_hash__in=list(named), reason=Suppression.Reason.UNREACHABLE
    )
    return {named[one] for one in found.values_list("address_hash", flat=True)}


def forgive(email: str) -> bool:
    """Mail an address again that was given up; a person's no stays. True if it was."""
    gone, _ = Suppression.objects.filter(
        address_hash=address_hash(email), reason=Suppression.Reason.UNREACHABLE
    ).delete()
    return gone > 0


def try_again(*, at: datetime) -> int:
    """Mail addresses again that were given up long ago; returns how many."""
    gone, _ = Suppression.objects.filter(
        reason=Suppression.Reason.UNREACHABLE, suppressed_at__lt=at - GIVEN_UP_FOR
    ).delete()
    return gone


def suppressed_keys(emails: Iterable[str]) -> set[str]:
    """Which of these addresses must not be mailed, as address keys."""
    keys = {hash_of_key(key): key for key in map(address_key, emails)}
    waiting = iter(keys)
    found: set[str] = set()
    while part := list(islice(waiting, HASHES_A_QUESTION)):
        asked = Q(address_hash__one_of=part)
        found.update(name for (name,) in _SUPPRESSED(which=asked))
    return {keys[name] for name in found}


_SUPPRESSED = Prepared(
    lambda which: (
        Suppression.objects.filter(which).order_by().values_list("address_hash")
    )
)


def is_suppressed(email: str) -> bool:
    """Must this one address not be mailed?"""
    return bool(suppressed_keys([email]))


def record_consent(
    customer: Customer,
    *,
    purpose: Consent.Purpose | str,
    basis: Consent.Basis | str,
    source: str,
    at: datetime,
    wording: str = "",
) -> Consent:
    """Add what a customer allowed or withdrew; what was said before stays."""
    return Consent.objects.create(
        customer=customer,
        purpose=purpose,
        basis=basis,
        source=source[:200],
        wording=wording,
        occurred_at=at,
    )


def marketing_basis(customer_ids: Iterable[int], *, at: datetime) -> dict[int, str]:
    """The latest word on marketing mail per customer; absent: nothing was ever said."""
    waiting, found = iter(customer_ids), {}
    while part := list(islice(waiting, HASHES_A_QUESTION)):
        found.update(latest_marketing(part, at=at))
    return found


@transaction.atomic
def remove_interactions(interactions: QuerySet[Interaction]) -> int:
    """Delete these for good, with what was inferred of them; returns how many.

    One transaction for all: hand over a few thousand at most.
    """
    who = set(interactions.order_by().values_list("customer_id", flat=True))
    # Whoever writes something inferred of an interaction locks the customer first.
    locked = Customer.objects.filter(pk__in=who).order_by("pk")
    list(locked.select_for_update(no_key=True).values_list("pk", flat=True))
    tell_changed(who)
    _, deleted = interactions.delete()
    return deleted.get(Interaction._meta.label, 0)


@transaction.atomic
def object_to_profiling(customer: Customer, *, source: str, at: datetime) -> None:
    """From now on no text of this customer is read for feelings.

    What rooms to the right inferred before is forgotten by what they put into
    `customers.objection.FORGET`, in the same transaction.
    """
    if customer.profiling_objected_at is None:
        _set_objection(customer, at)
        record_consent(
            customer,
            purpose=Consent.Purpose.PROFILING,
            basis=Consent.Basis.WITHDRAWN,
            source=source,
            at=at,
        )
    for forget in FORGET:
        forget(customer, at=at)


@transaction.atomic
def allow_profiling(customer: Customer, *, source: str, at: datetime) -> None:
    """The customer takes the objection back."""
    if customer.profiling_objected_at is not None:
        _set_objection(customer, None)
        tell_changed([customer.pk])
        record_consent(
            customer,
            purpose=Consent.Purpose.PROFILING,
            basis=Consent.Basis.CONSENT,
            source=source,
            at=at,
        )


def _set_objection(customer: Customer, moment: datetime | None) -> None:
    customer.profiling_objected_at = moment
    customer.save(update_fields=["profiling_objected_at"])
