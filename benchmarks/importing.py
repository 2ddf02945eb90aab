"""Our import against Django's bulk_create and save() on the same rows, in one run.

ROWS=1000000 python benchmarks/importing.py for the size the product promises. Ours
reads, checks, decodes, names every refused row, keeps consents, and leaves out what is
stored already; the others are handed the parsed rows and do nothing but store them.
"""

import csv
import os
import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from measure import fresh_django, peak_megabytes, say, take

ROWS = int(os.environ.get("ROWS", "50000"))
SAVED_ONE_BY_ONE = min(ROWS, 2000)
BATCH = 2000
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORDS = (
    "the parcel came late and I was not happy but the kettle sings every morning "
    "thank you for the kind letter it made up for the wait"
).split()


def write_history(path: Path) -> None:
    seeded = random.Random(7)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            "interaction_id customer_id email occurred_at kind rating subject text "
            "product amount currency first_name country shelf".split()
        )
        for number in range(ROWS):
            who = seeded.randrange(max(ROWS // 5, 1))
            when = AT - timedelta(minutes=seeded.randrange(1, 1_000_000))
            text = " ".join(seeded.choices(WORDS, k=40))
            writer.writerow(
                [f"i{number}", f"c{who}", f"c{who}@example.com", when.isoformat(),
                 "review", seeded.randrange(1, 6), "It &amp; I", text, "Kettle",
                 "12.50", "EUR", "Bo", "GB", "B4"]
            )  # fmt: skip


def main(folder: Path) -> None:
    from django.core.management import call_command

    from customers.models import Customer, Interaction
    from customers.services import record_interactions
    from customers.sources.history_file import rows

    history = folder / "history.csv"
    write_history(history)

    def ours():
        return record_interactions(rows(history), source="benchmark", at=AT)

    first = take(ours)
    peak = peak_megabytes()
    again = take(ours)
    assert (first.result.stored, again.result.stored) == (ROWS, 0)
    call_command("flush", interactive=False, verbosity=0)

    parsing = take(lambda: sum(1 for _ in rows(history)))

    def interaction(row, customers):
        return Interaction(
            customer_id=customers[row.customer_id], occurred_at=row.occurred_at,
            kind=row.kind, key=row.key, rating=row.rating, subject=row.subject,
            text=row.text, product=row.product, amount=row.amount,
            currency=row.currency, attributes=row.attributes,
        )  # fmt: skip

    def customer(row):
        return Customer(
            external_id=row.customer_id, email=row.email, address_wire=row.email,
            address_key=row.email, first_name=row.first_name, country=row.country,
        )  # fmt: skip

    def in_bulk(parsed):
        new = {row.customer_id: row for row in parsed}
        Customer.objects.bulk_create(map(customer, new.values()), batch_size=BATCH)
        customers = dict(Customer.objects.values_list("external_id", "pk"))
        Interaction.objects.bulk_create(
            (interaction(row, customers) for row in parsed), batch_size=BATCH
        )

    def one_by_one(parsed):
        customers = dict(Customer.objects.values_list("external_id", "pk"))
        for row in parsed:
            if row.customer_id not in customers:
                added = customer(row)
                added.save()
                customers[row.customer_id] = added.pk
            interaction(row, customers).save()

    few = list(islice(rows(history), SAVED_ONE_BY_ONE))
    single = take(lambda: one_by_one(few))
    call_command("flush", interactive=False, verbosity=0)
    parsed = list(rows(history))
    bulk = take(lambda: in_bulk(parsed))

    def per_row(taken, count=ROWS):
        return taken.cpu_seconds / count * 1e6

    storing = per_row(first) - per_row(parsing)
    say(
        "importing",
        rows=ROWS,
        rows_per_second=int(ROWS / first.seconds),
        rows_per_second_known=int(ROWS / again.seconds),
        cpu_us_per_row=per_row(first),
        cpu_us_per_row_reading=per_row(parsing),
        cpu_us_per_row_storing=storing,
        bulk_create_cpu_us_per_row=per_row(bulk),
        save_cpu_us_per_row=per_row(single, SAVED_ONE_BY_ONE),
        storing_times_cheaper_than_bulk_create=per_row(bulk) / storing,
        storing_times_cheaper_than_save=per_row(single, SAVED_ONE_BY_ONE) / storing,
        peak_megabytes=peak,
    )


if __name__ == "__main__":
    with fresh_django() as folder:
        main(folder)
