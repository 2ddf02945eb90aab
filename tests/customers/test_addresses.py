import csv
import json

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from customers.addresses import address_hash, address_key, address_wire
from customers.errors import InvalidAddress

# Of the published categories; the others are errors, or legal on paper only.
PLAIN = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN"}


def test_the_domain_goes_on_the_wire_in_punycode_and_small_letters():
    assert address_wire("Jo@Exämple.COM") == "Jo@xn--exmple-cua.com"


def test_two_spellings_of_one_mailbox_have_one_key():
    spellings = {" Jo@Exämple.com", "jo@exämple.com", "JO@XN--EXMPLE-CUA.com"}
    assert {address_key(spelling) for spelling in spellings} == {
        "jo@xn--exmple-cua.com"
    }


def test_the_hash_is_the_sha256_of_the_key():
    # printf bo@example.com | sha256sum
    expected = "c828d6b93b6a39e9d9632e863f62e7cc08c9278aa5120a2f0ff84d2449310d26"
    assert address_hash("Bo@Example.com ") == expected


@pytest.mark.parametrize(
    "bad",
    ["", "bo", "bo@", "@example.com", "bo@localhost", "bo@@example.com",
     "Bo <bo@example.com>", "bo@example.com, cy@example.com", "bö@example.com",
     "bo@ex ample.com", '"b o"@example.com', "bo@[192.0.2.1]", "bo@example.test",
     "b" * 65 + "@example.com"],
)  # fmt: skip
def test_an_address_that_cannot_get_mail_is_refused_with_its_name(bad):
    with pytest.raises(InvalidAddress, match="can't get mail"):
        address_wire(bad)


def test_an_error_never_repeats_a_very_long_address():
    with pytest.raises(InvalidAddress) as caught:
        address_wire("b" * 10_000)
    assert len(str(caught.value)) < 250


@given(st.text(max_size=40))
def test_folding_an_address_twice_changes_nothing(text):
    assert address_key(address_key(text)) == address_key(text)


@given(st.emails() | st.from_regex(r"[a-z.+]{1,70}@[a-z.-]{1,9}", fullmatch=True))
def test_the_short_way_for_ordinary_addresses_agrees_with_the_full_check(email):
    try:
        full = validate_email(
            email, check_deliverability=False, allow_smtputf8=False, strict=True
        ).ascii_email
    except EmailNotValidError:
        full = None
    assert (address_wire(email) if can_get_mail(email) else None) == full


@given(st.emails())
def test_every_wire_form_is_ascii_and_names_the_same_mailbox(email):
    try:
        wire = address_wire(email)
    except InvalidAddress:
        return
    assert wire.isascii()
    assert address_key(wire) == address_key(email)


def test_a_suppressed_address_has_a_key_even_if_it_cannot_get_mail():
    assert address_key("Not An Address") == "not an address"


@pytest.mark.shared
def test_of_164_published_addresses_only_the_plain_ones_get_through(shared_data):
    path = shared_data / "addresses" / "isemail_dominicsayers.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # White space around an address is a slip of the export, not another address.
    surprises = {
        address
        for row in rows
        if (address := json.loads(row["address_json"]).strip())
        and can_get_mail(address) != (row["category"] in PLAIN)
        and address != "test@iana.org"
    }
    assert len(rows) == 164
    assert surprises == {"test@io"}  # no host mails a name without a dot


def can_get_mail(address):
    try:
        return bool(address_wire(address))
    except InvalidAddress:
        return False
