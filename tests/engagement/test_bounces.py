import csv
import random
import zipfile

import pytest

from engagement.bounces import READ_BYTES, read_bounce

TO = "bounces@mail.shop.example"
# One mail of the labelled ones is a refusal by policy (5.7.1). Its label says that one
# detector finds nobody in it; that nobody is to be suppressed for it is true here, too.
BY_POLICY = {"simple_42.txt"}


@pytest.mark.parametrize(
    ("status", "diagnostic", "kind", "dead"),
    [
        ("5.1.1", "smtp; 550 no such user", "permanent", True),
        ("5.0.0", "smtp; 550 5.1.1 no such user", "permanent", True),
        ("5.0.0", "X-Notes; user not listed", "permanent", True),
        ("5.4.1", "smtp; 550 5.4.1 Recipient address rejected", "permanent", True),
        ("5.2.2", "smtp; 552 5.2.2 mailbox full", "permanent", False),
        ("5.0.0", "smtp; 550-5.7.1 [192.0.2.1] likely spam", "permanent", False),
        ("5.3.4", "smtp; 552 5.3.4 too large", "permanent", False),
        ("4.4.7", "smtp; 421 4.4.7 expired", "permanent", False),
        ("", "smtp; 451 try later", "permanent", False),
    ],
)
def test_whether_an_address_is_dead_stands_in_the_status(
    status, diagnostic, kind, dead, mails
):
    bounce = read_bounce(mails.report(TO, status=status, diagnostic=diagnostic))
    assert (bounce.kind, bounce.address_is_dead) == (kind, dead)


def test_a_delay_is_temporary_whatever_its_code_says(mails):
    bounce = read_bounce(mails.report(TO, action="delayed", status="5.1.1"))
    assert (bounce.kind, bounce.address_is_dead) == ("temporary", False)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", ""])
def test_a_report_of_success_is_no_bounce(action, mails):
    assert read_bounce(mails.report(TO, action=action, status="2.0.0")).kind == "other"


OUT = "I am out of the office until Monday. In urgent cases: bo@example.com"
BOUNCE_QUOTED = (
    "I am away.\n\nThe following addresses had permanent fatal errors:\n"
    "<ada@example.com>\n\n   ----- Transcript of session follows -----\n"
)


@pytest.mark.parametrize(
    ("mark", "text", "kind"),
    [
        ("Auto-Submitted: auto-replied\n", OUT, "auto_reply"),
        ("Auto-Submitted: auto-replied (vacation)\n", BOUNCE_QUOTED, "auto_reply"),
        ("Precedence: auto_reply\n", OUT, "auto_reply"),
        ("X-Autoreply: yes\n", BOUNCE_QUOTED, "auto_reply"),
        ("", OUT, "other"),
        ("", "Please write to Bo, bo@example.com, or to Cy.", "other"),
        ("", "Ada has left us; this address is no longer read.", "other"),
    ],
)
def test_an_answering_machine_is_no_bounce_whatever_it_quotes(mark, text, kind, mails):
    assert read_bounce(mails.letter(TO, text, more=mark)).kind == kind


def test_what_was_quoted_above_would_be_a_bounce_from_a_mail_system(mails):
    raw = mails.letter(TO, BOUNCE_QUOTED, more="Auto-Submitted: auto-replied\n")
    from_system = raw.replace(b"Ada <ada@example.com>", b"<MAILER-DAEMON@mx.example>")
    assert read_bounce(from_system).kind == "permanent"


@pytest.mark.parametrize("header", [b"From", b"Message-ID", b"Date", b"To"])
@pytest.mark.parametrize("value", [b"", b"\xff\xfe\xfd", b"=?x?q?=00?=", b"(" * 200])
def test_headers_that_nobody_should_write_hide_no_bounce(header, value, mails):
    lines = mails.report(TO).splitlines(keepends=True)
    raw = b"".join(
        header + b": " + value + b"\n" if line.startswith(header + b":") else line
        for line in lines
    )
    assert read_bounce(raw).kind == "permanent"


def test_a_report_is_read_where_the_mail_it_returns_is_cut_off(mails):
    raw = mails.report(TO) + b"x" * 10_000_000
    assert (
        read_bounce(raw)
        == read_bounce(raw[:READ_BYTES])
        == read_bounce(mails.report(TO))
    )


@pytest.mark.parametrize("seed", range(30))
def test_bytes_that_were_spoilt_on_the_way_end_in_a_verdict(seed, mails):
    chance, raw = random.Random(seed), bytearray(mails.report(TO))
    for _ in range(chance.randint(1, 60)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    assert read_bounce(bytes(raw)).kind in {"permanent", "temporary", "other"}


@pytest.mark.slow
def test_labelled_bounces_are_what_their_labels_say(shared_data):
    folder, differ, read = shared_data / "email", {}, 0
    with zipfile.ZipFile(folder / "bounces_flufl.zip") as kept:
        for row in csv.DictReader((folder / "bounces_flufl_labels.csv").open()):
            if not (expected := row["expected_class"]):
                continue
            bounce = read_bounce(kept.read(row["file"]))
            known = bounce.kind in {"permanent", "temporary"}
            found = bounce.kind if known else "none"
            read += 1
            if found != expected:
                differ[row["file"]] = bounce
                print(row["file"], "labelled", expected, "read as", bounce)  # noqa: T201
    assert read == 115
    assert set(differ) == BY_POLICY
    assert not any(bounce.address_is_dead for bounce in differ.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mime_cpython.zip", "mime_flanker.zip"])
def test_mail_that_is_malformed_on_purpose_ends_in_a_verdict(shared_data, name):
    with zipfile.ZipFile(shared_data / "email" / name) as kept:
        found = {one: read_bounce(kept.read(one)).kind for one in kept.namelist()}
    assert len(found) > 40
    ours = {one for one, kind in found.items() if kind == "permanent"}
    assert all("bounce/" in one or one.startswith("msg_") for one in ours)
