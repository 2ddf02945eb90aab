import random
import time
from itertools import count

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import CharField
from django.urls import reverse

from customers.merging import merge_customers
from customers.models import Customer
from customers.searching import FIELDS, Search, catch_up, mend, sqlite
from customers.searching.words import ALIKE

pytestmark = pytest.mark.django_db

PIECES = [
    "  ",
    " ",
    *"an na bo Mü ül ÄH ß ẞ ö Ö Σ ς σ İ i I ı é Ж ж 'n O'".split(),
    *'% _ * ? [ ] ^ - \\ " 😀 李 明 @ .com com 7 77'.split(),
]
NUMBERS = count(100)
SIGNS = "Latin ÄÖÜẞÉÈÊÅØÆÇÑÕŁŠŽČĘŐŰĞŞŒ Greek ΑΒΓΔΕΖΗΘΛΞΠΣΦΨΩ Cyrillic БГДЖЗИЛФЦЧШЩЫЭЮЯ"


def index_all():
    return catch_up(until=time.monotonic() + 60)


def add(first="", last="", *, email="", number=None):
    number = number or f"k{next(NUMBERS):03}"
    return Customer.objects.create(
        external_id=number, email=email, first_name=first, last_name=last
    )


def names(typed):
    found = Search(typed).among(Customer.objects.all()).order_by("pk")
    return [one.first_name for one in found]


def folded(text):
    """Sign by sign: "Σ" has another lower case at the end of a word."""
    return "".join(sign.lower() for sign in text.translate(ALIKE))


def is_in(word, customer):
    """The slow reference: what a search promises of one word."""
    fields = [folded(getattr(customer, name)) for name in FIELDS]
    if len(word) > 2:
        return any(folded(word) in field for field in fields)
    return any(
        part.startswith(folded(word)) for field in fields for part in field.split(" ")
    )


def text(dice, pieces):
    return "".join(dice.choice(PIECES) for _ in range(dice.randint(0, pieces)))


@pytest.fixture(params=["as it is", "common words"])
def either_way(request, monkeypatch):
    """What many have in common is looked for in another way on SQLite."""
    if request.param == "common words":
        monkeypatch.setattr(sqlite, "COMMON", 1)


@pytest.mark.parametrize("seed", range(6))
def test_who_is_found_is_who_a_slow_reference_finds(either_way, seed):
    dice = random.Random(seed)
    people = [add(text(dice, 4), text(dice, 4), email=text(dice, 5)) for _ in range(40)]
    index_all()
    for one in dice.sample(people, 8):
        one.first_name = text(dice, 5)
        one.save()
    for one in dice.sample(people, 5):
        people.remove(one)
        one.delete()
    people += [add(text(dice, 4), text(dice, 4)) for _ in range(15)]
    for _ in range(150):
        typed = " ".join(text(dice, 3) for _ in range(dice.randint(1, 2)))
        if dice.random() < 0.5:
            whole = dice.choice([one.first_name + one.email for one in people])
            start = dice.randint(0, len(whole))
            typed = dice.choice([str.upper, str.lower, str])(whole[start:][:5])
        expected = {
            one.pk for one in people if all(is_in(w, one) for w in typed.split())
        }
        found = Search(typed).among(Customer.objects.all())
        assert set(found.values_list("pk", flat=True)) == expected, repr(typed)


def test_a_letter_is_found_in_capitals_or_not(either_way):
    signs = sorted(set(SIGNS) - {" "})
    for number, sign in enumerate(signs):
        add(f"x{number}{sign}x")
    index_all()
    for number, sign in enumerate(signs):
        add(f"x{number}{sign.lower()}x")
    for number, sign in enumerate(signs):
        for typed in (f"x{number}{sign}x", f"x{number}{sign.lower()}x"):
            assert len(names(typed)) == 2, typed


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ["Jo Ann", "O'Brien"]),
        ("  \t", ["Jo Ann", "O'Brien"]),
        ("jo", ["Jo Ann"]),
        ("an", ["Jo Ann"]),
        ("nn", []),
        ("a", ["Jo Ann"]),
        ("o", ["O'Brien"]),
        ("ann jo", ["Jo Ann"]),
        ("ann brien", []),
        ("o'b", ["O'Brien"]),
        ('"', []),
        ("'", []),
        ("%", []),
        ("___", []),
        ("***", []),
        ("a%n", []),
        ("NOT", []),
        ("ann OR", []),
        ("words:ann", []),
        ("ann\0", []),
        ("\ud800", []),
        ("😀", []),
        ("x" * 10_000, []),
        ("j " * 5_000, ["Jo Ann"]),
        (" ".join(f"w{n}" for n in range(3_000)), []),
    ],
)
def test_what_somebody_types_is_looked_for_as_it_stands(either_way, typed, found):
    add("Jo Ann")
    index_all()
    add("O'Brien")
    assert names(typed) == found


def test_newcomers_are_found_before_and_after_they_are_taken_in():
    add("Ada")
    assert index_all() == (connection.vendor == "sqlite")
    add("Adam")
    assert names("ada") == ["Ada", "Adam"]
    index_all()
    assert names("ada") == ["Ada", "Adam"]
    assert index_all() == 0


def test_the_list_of_customers_is_searched(admin_client):
    add("Ada", "Ash", email="ada@x.org")
    add("Bo", "Ash", email="bo@x.org")
    listed = reverse("admin:customers_customer_changelist")
    page = admin_client.get(listed, {"q": "ash X.ORG bo"}).content.decode()
    assert "bo@x.org" in page
    assert "ada@x.org" not in page


def kept_words():
    """Every trigram of SQLite's index, by the index's own account."""
    told = "fts5vocab(main, customers_search, row)"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE VIRTUAL TABLE temp.told USING {told}")
        cursor.execute("SELECT term FROM temp.told")
        found = {term for (term,) in cursor.fetchall()}
        cursor.execute("DROP TABLE temp.told")
    return found


on_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="PostgreSQL's index goes with the row"
)


@on_sqlite
def test_an_erased_customer_s_words_are_in_the_index_no_more():
    gone, _ = add("Quentin"), add("Ada")
    index_all()
    assert {"que", "uen", "ent", "tin"} <= kept_words()
    gone.delete()
    assert not {"que", "uen", "ent", "tin"} & kept_words()
    assert names("quentin") == []


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_day_later_an_erased_customer_s_words_are_not_in_the_file_either(monkeypatch):
    def written(name):
        with connection.cursor() as cursor:
            cursor.execute("SELECT block FROM customers_search_data")
            return any(name.encode() in block for (block,) in cursor.fetchall())

    gone, _ = add("ж"), add("Ada")
    index_all()
    gone.delete()
    index_all()
    assert written("ж")
    monkeypatch.setattr(sqlite, "MERGE_AFTER_SECONDS", -1)
    index_all()
    assert not written("ж")
    assert names("ada") == ["Ada"]


@on_sqlite
def test_a_changed_name_and_a_merged_customer_leave_nothing_behind(admin_user, at):
    ada, gone = add("Ada"), add("Quentin")
    index_all()
    Customer.objects.filter(pk=ada.pk).update(first_name="Xaver")
    assert "ada" not in kept_words()
    merge_customers(ada, gone, by=admin_user, at=at)
    assert "uen" not in kept_words()
    assert names("xav") == ["Xaver"]


@on_sqlite
def test_who_is_put_in_with_an_id_of_before_is_taken_in_by_migrate():
    first, last = add("Ada"), add("Bo")
    first.delete()
    index_all()
    late = Customer(pk=last.pk - 1, external_id="again", first_name="Cyd")
    late.save(force_insert=True)
    late.first_name = "Cyril"
    late.save()
    mend(using="default")
    assert names("cyr") == ["Cyril"]
    late.delete()
    assert "cyr" not in kept_words()


@on_sqlite
def test_an_index_that_nobody_watched_over_is_made_anew():
    add("Ada")
    index_all()
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER customers_search_changed")
    Customer.objects.update(first_name="Xaver")
    mend(using="default")
    assert names("ada") == []
    assert names("xaver") == ["Xaver"]
    assert index_all() == 1
    mend(using="default")
    assert index_all() == 0


def test_without_an_index_customers_are_found_all_the_same():
    add("Müller")
    if connection.vendor == "sqlite":
        sqlite.drop(connection)
    else:
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX customers_search")
    assert names("MÜLL") == ["Müller"]
    assert names("mü") == ["Müller"]
    assert index_all() == 0
    mend(using="default")
    assert names("MÜLL") == ["Müller"]


@pytest.mark.django_db(transaction=True)
def test_going_back_takes_the_index_away_and_coming_again_makes_it():
    def is_there():
        there = {
            "sqlite": "sqlite_master WHERE name LIKE 'customers_search%'",
            "postgresql": "pg_indexes WHERE indexname = 'customers_search'",
        }[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {there}")  # noqa: S608
            return cursor.fetchone()[0] > 0

    call_command("migrate", "customers", "0002", verbosity=0)
    try:
        assert not is_there()
    finally:
        call_command("migrate", verbosity=0)
    assert is_there()


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_migration_that_rebuilds_the_table_does_not_end_the_watching():
    add("Ada")
    index_all()
    country = Customer._meta.get_field("country")
    longer = CharField(max_length=3, blank=True)
    longer.set_attributes_from_name("country")
    for old, new in ((country, longer), (longer, country)):
        with connection.schema_editor() as editor:
            editor.alter_field(Customer, old, new)
    Customer.objects.update(first_name="Xaver")
    assert names("xaver") == []  # the triggers went with the table
    call_command("migrate", verbosity=0)
    assert names("xaver") == ["Xaver"]
    assert index_all() == 1
    Customer.objects.update(first_name="Yorick")
    assert names("yorick") == ["Yorick"]
