"""What the documents show can be run, and gives what they say."""

import configparser
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from dotenv import dotenv_values

from campaigns.checks import provider_is_known
from campaigns.content.return_path import read_return_path
from campaigns.sending.breaker import LANES
from campaigns.sending.channels import channel_for
from campaigns.sending.channels.anymail import PROVIDERS as SENDERS
from config import celery_settings, env
from engagement.mailbox_url import read_mailbox_url
from engagement.webhooks import provider_webhooks
from tests import matrix

ROOT = Path(__file__).resolve().parents[1]
OPERATIONS = ROOT / "docs" / "operations.md"
PROVIDERS = sorted((ROOT / "docs" / "providers").glob("[!R]*.md"))
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))


def test_one_customer_by_hand_comes_out_as_the_code_says():
    words = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(.*?)```", words, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "both ways agree" in done.stdout


def test_every_picture_and_page_a_document_names_is_there():
    for page in PAGES:
        named = re.findall(r"\]\(((?!http)[^)#]+)", page.read_text(encoding="utf-8"))
        missing = [name for name in named if not (page.parent / name).exists()]
        assert missing == [], page.name


def test_every_test_that_the_failure_matrix_names_is_there():
    words = matrix.DOCUMENT.read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", words)
    assert len(named) > 25
    missing = [
        f"{file}::{test}"
        for file, test in named
        if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_the_failure_matrix_has_every_row_and_each_names_a_test():
    found = set()
    for row in matrix.rows():
        assert row.sends or row.others, row.cell
        found |= row.numbers
    faults = {("F", number) for number in range(1, 36)}
    traps = {("T", number) for number in range(1, 11)}
    assert found == faults | traps


def test_rows_of_the_failure_matrix_send_but_for_those_that_it_names():
    """Beneath tests/campaigns each of them is held to look at I1 to I7."""
    silent = {one for row in matrix.rows() if not row.sends for one in row.numbers}
    assert silent == {("F", 26), ("F", 27), ("F", 30)}
    assert [one for one in matrix.looked_at() if "tests/campaigns/" not in one] == []
    # One that sends is not among those that do not, in another row.
    others = {one for row in matrix.rows() for one in row.others}
    assert others & matrix.looked_at() == set()


def test_every_setting_is_told_and_none_that_is_not_there():
    code = (ROOT / "config" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"(ATTUNE_\w+)"', code))
    rows = re.findall(r"^\| (`ATTUNE_[^|]+)\|", OPERATIONS.read_text("utf-8"), re.M)
    told = set(re.findall(r"ATTUNE_\w+", " ".join(rows)))
    # One key by itself is the first of ATTUNE_TRACKING_KEYS.
    assert read - {"ATTUNE_TRACKING_KEY"} == told


def test_every_command_that_a_document_names_is_there_with_its_options():
    commands, found = get_commands(), 0
    for page in PAGES:
        words = page.read_text(encoding="utf-8")
        for line in re.findall(r"manage\.py\s+([a-z_]+[^`\n|]*)", words):
            name, *given = re.findall(r"[a-z_-]+", line)
            assert name in commands, (page.name, name)
            known = load_command_class(commands[name], name)
            options = known.create_parser("manage.py", name)._option_string_actions
            missing = [one for one in given if one[:2] == "--" and one not in options]
            assert missing == [], (page.name, name)
            found += 1
    assert found > 20


def test_workers_of_the_documents_take_from_every_queue():
    words = OPERATIONS.read_text(encoding="utf-8")
    of_lane, table = celery_settings.task_routes
    routes = {one["queue"] for one in table.values()}
    routes |= {of_lane("campaigns.tasks.pump", (one,))["queue"] for one in LANES}
    routes.add(celery_settings.task_default_queue)
    for section in ("## Beyond one process", "## As services"):
        part = words.split(section)[1].split("\n## ")[0]
        named = ",".join(re.findall(r"worker -Q ([\w,]+)", part)).split(",")
        assert set(named) == routes, section


def test_units_of_systemd_start_what_is_there():
    words = OPERATIONS.read_text(encoding="utf-8")
    unit, *others = re.findall(r"```ini\n(.*?)```", words, re.DOTALL)
    parser = configparser.ConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(unit)
    assert set(parser) == {"DEFAULT", "Unit", "Service", "Install"}
    assert int(parser["Service"]["TimeoutStopSec"]) > 30 + 4 * 20
    started = re.findall(r"^ExecStart=(.+)$", "\n".join([unit, *others]), re.M)
    programs = {shlex.split(one)[0].rpartition("/")[2] for one in started}
    assert (len(started), programs) == (8, {"python", "celery"})


def test_a_backup_as_it_is_told_has_everything(tmp_path):
    words = OPERATIONS.read_text(encoding="utf-8")
    (line,) = re.findall(r"^\.venv/bin/python (-c .*VACUUM.*)$", words, re.M)
    source, backup = tmp_path / "attune.sqlite3", tmp_path / "backup.sqlite3"
    with sqlite3.connect(source) as live:
        live.execute("PRAGMA journal_mode=WAL")
        live.execute("CREATE TABLE x AS SELECT 7 AS y")
        live.commit()
        arguments = [*shlex.split(line)[:2], str(source), str(backup)]
        subprocess.run([sys.executable, *arguments], check=True)
    assert sqlite3.connect(backup).execute("SELECT y FROM x").fetchall() == [(7,)]


@pytest.mark.parametrize("page", PROVIDERS, ids=lambda page: page.stem)
def test_a_provider_set_up_as_its_page_says_is_ready(
    page, tmp_path, settings, monkeypatch
):
    words = page.read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", words, re.DOTALL)
    (tmp_path / ".env").write_text(block)
    for name, value in dotenv_values(tmp_path / ".env").items():
        monkeypatch.setenv(name, value)
    settings.PROVIDER = env.text("ATTUNE_PROVIDER")
    options = env.mapping("ATTUNE_PROVIDER_OPTIONS")
    settings.ANYMAIL = settings.ANYMAIL | options
    settings.SMTP_URL = env.text("ATTUNE_SMTP_URL")
    settings.SES_TOPICS = env.topics("ATTUNE_SES_TOPICS")
    assert page.stem == settings.PROVIDER
    assert [one.id for one in provider_is_known() if one.id != "attune.W001"] == []
    channel_for(settings.PROVIDER).close()
    if page.stem == "smtp":
        assert read_return_path(env.text("ATTUNE_BOUNCE_ADDRESS")).local == "bounces"
        read_mailbox_url(env.text("ATTUNE_BOUNCE_IMAP_URL"))
        return
    told = set(re.findall(r"@?attune\.example\.com/(anymail/\S+?/)`", words))
    answered = {f"anymail/{one.pattern}" for one in provider_webhooks(page.stem)}
    assert told == answered
    assert len(told) == (page.stem != "scaleway")  # Anymail reads none of its reports


def test_every_provider_has_a_page_and_the_overview_leads_to_it():
    assert {page.stem for page in PROVIDERS} == {*SENDERS, "smtp"}
    words = (ROOT / "docs" / "providers" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"\]\((\w+)\.md\)", words)
    assert sorted(named) == sorted(page.stem for page in PROVIDERS)
