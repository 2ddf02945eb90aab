"""One import under way: a chunk of rows becomes customers, consents, interactions.

Every chunk is one transaction of the caller's. Rows that are known already cost one
INSERT that does nothing, so that two imports at once store each row once as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection, models
from django.db.models import Max

from customers.addresses import address_hash, address_key, address_wire
from customers.errors import InvalidAddress
from customers.models import (
    Consent,
    Customer,
    Interaction,
    MergedCustomer,
    Suppression,
)
from customers.news import Recorded, tell_recorded
from customers.prepared import Prepared
from customers.querysets import around
from customers.sources.rows import InteractionRow, RefusedRow, content_key, shortened

# Clocks differ; a day covers every time zone that was left out by mistake.
FUTURE_ALLOWED = timedelta(days=1)
FILLED = ("first_name", "last_name", "language", "timezone", "country")
# A person's own no follows her to a new address; a bounce is about the old one.
FOLLOWS_THE_PERSON = (
    Suppression.Reason.UNSUBSCRIBED,
    Suppression.Reason.COMPLAINED,
    Suppression.Reason.MANUAL,
)
_CUSTOMER_COLUMNS = (
    "external_id email address_wire address_key first_name last_name language timezone "
    "country tags added_at".split()
)
_CONSENT_COLUMNS = (
    "customer_id purpose basis source wording occurred_at recorded_at".split()
)
_INTERACTION_COLUMNS = (
    "customer_id occurred_at kind key channel rating subject text product amount "
    "currency attributes answered_at recorded_at".split()
)


class Known(NamedTuple):
    """What the table holds of a customer."""

    pk: int
    external_id: str
    email: str
    address_key: str
    first_name: str
    last_name: str
    language: str
    timezone: str
    country: str
    tags: list[str]


@dataclass(slots=True)
class Person:
    """What the rows of one chunk say about a customer."""

    email: str = ""
    email_at: datetime | None = None
    facts: dict[str, str] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    consent: str = ""

    def learn(self, row: InteractionRow) -> None:
        if row.email and (self.email_at is None or row.occurred_at >= self.email_at):
            self.email, self.email_at = row.email.strip(), row.occurred_at
        for name in FILLED:
            value = getattr(row, name)
            if value and name not in self.facts:
                self.facts[name] = value
        if row.tags:
            self.tags.update(dict.fromkeys(row.tags))
        if row.consent and self.consent != "no":  # one no outweighs every yes
            self.consent = row.consent


class Intake:
    """Writes the chunks of one import and counts what is worth a note."""

    def __init__(
        self, *, source: str, at: datetime, basis: Consent.Basis | None
    ) -> None:
        self.source, self.at, self.basis = source[:200], at, basis
        self.new_customers = self.changed_addresses = self.ignored_yes = 0
        # Whoever comes after this one is new in this import, or in one beside it.
        self._last_known = Customer.objects.aggregate(last=Max("pk"))["last"] or 0

    def store(self, rows: Sequence[InteractionRow]) -> int:
        """Write one chunk; returns how many interactions were new."""
        rows = under_kept_ids(rows)
        people: dict[str, Person] = {}
        for row in rows:
            people.setdefault(row.customer_id, Person()).learn(row)
        known = _known(people)
        if _merged(set(people) - set(known)):  # between the two questions
            return self.store(rows)
        # Sorted, here and below: two imports at once lock rows in the same order.
        missing = sorted(name for name in people if name not in known)
        if missing:
            self._add_customers({name: people[name] for name in missing})
            added = _known(missing)
            self._first_consents(people, added)
        self._update_customers(people, known)
        self._later_consents(people, known)
        if missing:
            known |= added
        return self._add_interactions(rows, known)

    def _add_customers(self, people: dict[str, Person]) -> None:
        json = connection.ops.adapt_json_value
        added_at = connection.ops.adapt_datetimefield_value(self.at)
        self.new_customers += insert_ignoring(
            Customer,
            _CUSTOMER_COLUMNS,
            (
                (
                    name,
                    person.email,
                    address_wire(person.email) if person.email else "",
                    address_key(person.email),
                    *(person.facts.get(fact, "") for fact in FILLED),
                    json(list(person.tags), None),
                    added_at,
                )
                for name, person in people.items()
            ),
        )

    def _update_customers(
        self, people: dict[str, Person], known: dict[str, Known]
    ) -> None:
        """Fill what was empty, add tags, follow the newest address; blank nothing."""
        changes: dict[int, dict[str, Any]] = {}
        moved: dict[int, tuple[Known, Person]] = {}
        for name, customer in known.items():
            person = people[name]
            change: dict[str, Any] = {}
            for fact, value in person.facts.items():
                if not getattr(customer, fact):
                    change[fact] = value
            if not person.tags.keys() <= set(customer.tags):
                change["tags"] = list(dict.fromkeys([*customer.tags, *person.tags]))
            if person.email and address_key(person.email) != customer.address_key:
                moved[customer.pk] = (customer, person)
            if change:
                changes[customer.pk] = change
        for pk in self._newer_addresses(moved):
            changes.setdefault(pk, {}).update(_address(moved[pk][1].email))
        for pk, change in sorted(changes.items()):
            Customer.objects.filter(pk=pk).update(**change)

    def _newer_addresses(self, moved: dict[int, tuple[Known, Person]]) -> list[int]:
        """Whose address in this chunk is newer than all we know of the customer."""
        if not moved:
            return []
        latest = dict(
            Interaction.objects.filter(customer_id__in=list(moved))
            .order_by()
            .values_list("customer_id")
            .annotate(Max("occurred_at"))
        )
        newer = []
        for pk, (customer, person) in moved.items():
            last, said_at = latest.get(pk), person.email_at
            if not customer.email:
                newer.append(pk)
            elif last is None or (said_at is not None and said_at > last):
                newer.append(pk)
                self.changed_addresses += 1
                carry_suppression(
                    customer.email,
                    person.email,
                    source=f"new address in {self.source}"[:200],
                    at=self.at,
                )
        return newer

    def _first_consents(
        self, people: dict[str, Person], added: dict[str, Known]
    ) -> None:
        """What the file says of a new customer, else the basis given for all."""
        said = {"yes": Consent.Basis.CONSENT, "no": Consent.Basis.WITHDRAWN}
        self._write_consents(
            (customer.pk, basis, people[name].consent)
            for name, customer in added.items()
            if (basis := said.get(people[name].consent, self.basis)) is not None
        )

    def _later_consents(
        self, people: dict[str, Person], known: dict[str, Known]
    ) -> None:
        """A no counts at once; a yes only for those this import brought."""
        saying = {
            customer.pk: people[name].consent
            for name, customer in known.items()
            if people[name].consent
        }
        standing = latest_marketing(saying, at=self.at) if saying else {}
        rows = []
        for pk, said in saying.items():
            basis = standing.get(pk)
            if said == "no" and basis != Consent.Basis.WITHDRAWN:
                rows.append((pk, Consent.Basis.WITHDRAWN, said))
            elif said == "yes" and basis != Consent.Basis.CONSENT:
                if basis == Consent.Basis.WITHDRAWN or pk <= self._last_known:
                    self.ignored_yes += 1
                else:
                    rows.append((pk, Consent.Basis.CONSENT, said))
        self._write_consents(rows)

    def _write_consents(self, rows: Iterable[tuple[int, Consent.Basis, str]]) -> None:
        when = connection.ops.adapt_datetimefield_value(self.at)
        insert_ignoring(
            Consent,
            _CONSENT_COLUMNS,
            (
                (
                    pk,
                    Consent.Purpose.MARKETING.value,
                    basis.value,
                    self.source,
                    f"the consent column says {said}" if said else "",
                    when,
                    when,
                )
                for pk, basis, said in rows
            ),
        )

    def _add_interactions(
        self, rows: Sequence[InteractionRow], known: dict[str, Known]
    ) -> int:
        ops = connection.ops
        when, json = ops.adapt_datetimefield_value, ops.adapt_json_value
        recorded_at = when(self.at)
        # The sort is stable: of rows with one key, the first of the file is kept.
        named = sorted(
            (
                (
                    (known[row.customer_id].pk, row.kind, row.key or content_key(row)),
                    row,
                )
                for row in rows
            ),
            key=itemgetter(0),
        )
        added = insert_ignoring(
            Interaction,
            _INTERACTION_COLUMNS,
            (
                (
                    pk,
                    when(row.occurred_at),
                    str(kind),
                    key,
                    row.channel,
                    row.rating,
                    row.subject,
                    row.text,
                    row.product,
                    ops.adapt_decimalfield_value(row.amount, 14, 2),
                    row.currency,
                    json(row.attributes, None),
                    row.answered_at and when(row.answered_at),
                    recorded_at,
                )
                for (pk, kind, key), row in named
            ),
        )
        answered = _add_answers(named)
        if answered or added:
            tell_recorded(
                [
                    Recorded(
                        name[0],
                        str(row.kind),
                        row.rating,
                        waits_to_be_read=bool(row.text or row.subject),
                        answered=name in answered,
                    )
                    for name, row in named
                ]
            )
        return added

    def notes(self) -> list[str]:
        found = []
        if self.changed_addresses:
            found.append(
                f"{self.changed_addresses:,} customers have a new address; "
                "the newest one is kept."
            )
        if self.ignored_yes:
            found.append(
                f"{self.ignored_yes:,} times the consent column says yes for a "
                "customer we know already: an import never raises consent."
            )
        return found


def refusal(row: InteractionRow, *, at: datetime) -> RefusedRow | None:
    """Why a row can't be recorded, whichever source it came from."""
    if row.occurred_at.tzinfo is None:
        return RefusedRow(
            row.line, "occurred_at", f"{row.occurred_at}", "the time needs a zone"
        )
    if row.occurred_at > at + FUTURE_ALLOWED:
        return RefusedRow(
            row.line,
            "occurred_at",
            f"{row.occurred_at:%Y-%m-%d %H:%M}",
            f"lies in the future; it is {at:%Y-%m-%d}",
        )
    if row.answered_at is not None:
        wrong = _unlikely_answer(row.answered_at, row.occurred_at, at=at)
        if wrong:
            return RefusedRow(row.line, "answered_at", f"{row.answered_at}", wrong)
    try:
        if row.email:
            address_wire(row.email)
    except InvalidAddress as problem:
        return RefusedRow(row.line, "email", shortened(row.email), str(problem))
    return None


def _unlikely_answer(answered: datetime, asked: datetime, *, at: datetime) -> str:
    if answered.tzinfo is None:
        return "the time needs a zone"
    if answered < asked:
        return f"lies before {asked:%Y-%m-%d %H:%M}, when it happened"
    if answered > at + FUTURE_ALLOWED:
        return f"lies in the future; it is {at:%Y-%m-%d}"
    return ""


Name = tuple[int, str, str]


def _add_answers(named: Sequence[tuple[Name, InteractionRow]]) -> set[Name]:
    """When the shop answered what is known already and had no answer; returns which."""
    answers = {
        name: row.answered_at for name, row in reversed(named) if row.answered_at
    }
    if not answers:
        return set()
    open_ones = Interaction.objects.filter(
        customer_id__in={pk for pk, _, _ in answers},
        key__in={key for _, _, key in answers},
        answered_at=None,
    )
    filled = set[Name]()
    for one in open_ones.only("customer_id", "kind", "key"):
        name = (one.customer_id, one.kind, one.key)
        if name in answers:
            filled.add(name)
            Interaction.objects.filter(pk=one.pk).update(answered_at=answers[name])
    return filled


def insert_ignoring(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> int:
    """Insert the rows the table does not have yet; returns how many there were.

    bulk_create(ignore_conflicts=True) can't say how many it inserted, and the counts
    of an import must be exact even with a second import running.
    """
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    names = ", ".join(map(quote, columns))
    marks = ", ".join(["%s"] * len(columns))
    values = list(rows)
    if not values:
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING",  # noqa: S608 - names come from the model
            values,
        )
        return int(cursor.rowcount)


def latest_marketing(customer_ids: Iterable[int], *, at: datetime) -> dict[int, str]:
    """The marketing basis that stands; customers without one are absent."""
    ids = set(customer_ids)
    said = _MARKETING(who=around(ids), at=at)
    return {pk: basis for pk, basis in said if pk in ids}


_MARKETING = Prepared(
    lambda who, at: (
        Consent.objects.filter(
            who, purpose=Consent.Purpose.MARKETING, occurred_at__lte=at
        )
        .order_by("occurred_at", "pk")
        .values_list("customer_id", "basis")
    )
)


def carry_suppression(old: str, new: str, *, source: str, at: datetime) -> None:
    """A person's own no to an address holds for their other one, too."""
    standing = Suppression.objects.filter(
        address_hash=address_hash(old), reason__in=FOLLOWS_THE_PERSON
    ).first()
    if standing is not None:
        Suppression.objects.get_or_create(
            address_hash=address_hash(new),
            defaults={
                "address": new,
                "reason": standing.reason,
                "source": source,
                "suppressed_at": at,
            },
        )


def under_kept_ids(rows: Sequence[InteractionRow]) -> Sequence[InteractionRow]:
    """The same, with what names a merged customer under the name of the kept one."""
    kept = _merged({row.customer_id for row in rows})
    if not kept:
        return rows
    return [
        replace(row, customer_id=kept.get(row.customer_id, row.customer_id))
        for row in rows
    ]


def _merged(external_ids: Iterable[str]) -> dict[str, str]:
    return dict(
        MergedCustomer.objects.filter(external_id__in=list(external_ids)).values_list(
            "external_id", "kept__external_id"
        )
    )


def _known(external_ids: Iterable[str]) -> dict[str, Known]:
    """Locked, by id: nobody whom a chunk writes of is merged or erased meanwhile."""
    rows = (
        Customer.objects.filter(external_id__in=list(external_ids))
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", *(name for name in Known._fields if name != "pk"))
    )
    return {row[1]: Known(*row) for row in rows}


def _address(email: str) -> dict[str, str]:
    return {
        "email": email,
        "address_wire": address_wire(email),
        "address_key": address_key(email),
    }
