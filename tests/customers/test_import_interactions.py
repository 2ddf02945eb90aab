import csv
import gzip
import io
import sys

import pytest
from django.core.management import CommandError, call_command

from customers.models import Consent, Customer, ImportRun, Interaction

pytestmark = pytest.mark.django_db

HEADER = "customer_id,email,occurred_at,kind"
GOOD = "c1,bo@example.com,2024-01-31 10:00,review"


def write(path, *lines, encoding="utf-8"):
    path.write_text("\n".join([HEADER, *lines, ""]), encoding=encoding)
    return str(path)


def run(*arguments):
    out = io.StringIO()
    call_command("import_interactions", *arguments, stdout=out)
    return out.getvalue()


def test_the_summary_says_what_went_in_what_did_not_and_why(tmp_path):
    said = run(write(tmp_path / "h.csv", GOOD, GOOD.replace("review", "rumour")))
    assert "2 rows read" in said
    assert "1 stored" in said
    assert "line 3, kind: a kind is one of review" in said
    assert "read as UTC" in said
    assert Interaction.objects.count() == 1


def test_a_dry_run_says_so_and_stores_nothing(tmp_path):
    said = run(write(tmp_path / "h.csv", GOOD), "--dry-run")
    assert "1 would be stored" in said
    assert not Customer.objects.exists()
    assert not ImportRun.objects.exists()


def test_the_errors_file_names_every_row_and_holds_no_formula(tmp_path):
    history = write(tmp_path / "h.csv", GOOD, '=cmd(),"bo@example.com",@SUM(1),review')
    errors = tmp_path / "errors.csv"
    run(history, "--errors", str(errors))
    with errors.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["file"], row["line"], row["column"]) == ("h.csv", "3", "occurred_at")
    assert row["value"] == "'@SUM(1)"


def test_every_option_reaches_the_reader(tmp_path):
    path = tmp_path / "h.csv"
    path.write_bytes(
        b"Kunde;email;Wann;kind;first_name\n"
        b"c1;bo@example.com;03/04/2024 12:00;visit;B\xf6\n"
    )
    run(str(path), "--map", "Kunde=customer_id", "--map", "Wann=occurred_at", "--basis",
        "none", "--encoding", "cp1252", "--dates", "day-first", "--timezone",
        "Europe/London")  # fmt: skip
    assert Customer.objects.get().first_name == "Bö"
    assert not Consent.objects.exists()
    assert (
        Interaction.objects.get().occurred_at.isoformat() == "2024-04-03T11:00:00+00:00"
    )


def test_standard_input_and_several_files_are_read(tmp_path, monkeypatch):
    packed = gzip.compress(f"{HEADER}\n{GOOD}\n".encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed)))
    said = run("-", write(tmp_path / "h.csv", GOOD, GOOD.replace("c1", "c2")))
    assert said.count("rows read") == 2
    assert Interaction.objects.count() == 2


def test_an_unreadable_file_fails_and_the_others_still_go_in(tmp_path):
    good = write(tmp_path / "h.csv", GOOD)
    with pytest.raises(CommandError, match=r"none\.csv: The file can't be opened"):
        run(str(tmp_path / "none.csv"), good)
    assert Interaction.objects.count() == 1


def test_a_file_of_nothing_but_refused_rows_fails(tmp_path):
    with pytest.raises(CommandError, match="every row was refused"):
        run(write(tmp_path / "h.csv", "c1,nobody,2024-01-31,review"))


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--timezone", "Mars/Base", "--timezone needs a name"),
     ("--map", "Mail", "--map needs theirs=ours"),
     ("--encoding", "klingon", "is not a text encoding"),
     ("--errors", "/nowhere/errors.csv", "No such file")],
)  # fmt: skip
def test_a_bad_option_is_one_sentence(tmp_path, option, value, said):
    with pytest.raises(CommandError, match=said):
        run(write(tmp_path / "h.csv", GOOD), option, value)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "read", "customers"),
    [
        ("reviews/interactions_musical_instruments", 10_261, 1_429),
        pytest.param(
            *("support/interactions_airline_tickets", 14_485, 7_701),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("joined_demo/joined_history", 22_629, 1_429), marks=pytest.mark.slow
        ),
    ],
)
def test_a_real_history_goes_in_whole_and_once(shared_data, name, read, customers):
    path = str(shared_data / f"{name}.csv.gz")
    run(path)
    run(path)
    second, first = ImportRun.objects.order_by("-pk")
    assert (first.rows_read, first.stored, first.refused) == (read, read, 0)
    assert (second.stored, second.already_known) == (0, read)
    assert Customer.objects.count() == first.new_customers == customers
    assert Interaction.objects.filter(text__contains="&#34;").count() == 0


@pytest.mark.slow
@pytest.mark.shared
def test_real_invoices_name_the_38_whose_country_is_no_country(shared_data):
    said = run(
        str(shared_data / "orders" / "interactions_online_retail_orders.csv.gz"),
        "--timezone", "Europe/London",
    )  # fmt: skip
    run_kept = ImportRun.objects.get()
    # 33 Channel Islands and 5 European Community, of 22,190; README of the data.
    assert (run_kept.rows_read, run_kept.refused) == (22_190, 38)
    places = {problem["value"] for problem in run_kept.problems}
    assert places == {"Channel Islands", "European Community"}
    assert "read as Europe/London" in said
