import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env

ROOT = Path(__file__).parents[2]


def test_yes_and_no_are_read_in_any_spelling(monkeypatch):
    monkeypatch.setenv("ATTUNE_X", "On")
    assert env.flag("ATTUNE_X", default=False)


def test_a_flag_that_is_neither_names_itself(monkeypatch):
    monkeypatch.setenv("ATTUNE_X", "maybe")
    with pytest.raises(ImproperlyConfigured, match="ATTUNE_X needs yes or no"):
        env.flag("ATTUNE_X", default=False)


@pytest.mark.parametrize("value", ["ten", "11", "-1", "1.5"])
def test_a_number_out_of_range_says_what_is_needed(monkeypatch, value):
    monkeypatch.setenv("ATTUNE_X", value)
    with pytest.raises(ImproperlyConfigured, match="from 0 to 10"):
        env.integer("ATTUNE_X", 5, least=0, most=10)


@pytest.mark.parametrize("value", ["bounces", "a+b@mail.example.com", "b@localhost"])
def test_a_bounce_address_that_can_take_no_token_stops_the_start(monkeypatch, value):
    monkeypatch.setenv("ATTUNE_X", value)
    with pytest.raises(ImproperlyConfigured, match="ATTUNE_X needs an address such as"):
        env.return_path("ATTUNE_X")


def test_without_a_bounce_address_there_is_none(monkeypatch):
    monkeypatch.setenv("ATTUNE_X", " ")
    assert env.return_path("ATTUNE_X") is None


@pytest.mark.parametrize("value", ["mail.example.com", "ftp://x", "https://x/?a=1"])
def test_an_address_that_is_none_is_refused(monkeypatch, value):
    monkeypatch.setenv("ATTUNE_X", value)
    with pytest.raises(ImproperlyConfigured, match="an address such as"):
        env.http_address("ATTUNE_X", "http://127.0.0.1:8000")


def test_a_closing_slash_of_an_address_does_not_double(monkeypatch):
    monkeypatch.setenv("ATTUNE_X", "https://mail.example.com/")
    assert env.http_address("ATTUNE_X", "") == "https://mail.example.com"


def test_a_mapping_that_is_no_object_is_refused(monkeypatch):
    monkeypatch.setenv("ATTUNE_X", "[1]")
    with pytest.raises(ImproperlyConfigured, match="a JSON object"):
        env.mapping("ATTUNE_X")


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    first = env.kept_secret("ATTUNE_NO_SUCH", tmp_path / "secret")
    assert env.kept_secret("ATTUNE_NO_SUCH", tmp_path / "secret") == first
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ATTUNE_DEBUG", "perhaps", "ATTUNE_DEBUG needs yes or no"),
        ("ATTUNE_DATABASE_URL", "nonsense", "ATTUNE_DATABASE_URL needs an address"),
        ("ATTUNE_PROVIDER_OPTIONS", "{", "ATTUNE_PROVIDER_OPTIONS needs a JSON object"),
        ("ATTUNE_QUIET_HOURS", "at night", "ATTUNE_QUIET_HOURS needs hours such as"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_sentence(tmp_path, name, value, words):
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "ATTUNE_DATA_DIR": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("Attune can't start: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_that_is_short_stops_the_start_and_is_not_told(monkeypatch):
    monkeypatch.setenv("ATTUNE_X", "guess")
    with pytest.raises(ImproperlyConfigured, match="16 characters or more") as stopped:
        env.secret("ATTUNE_X")
    assert "guess" not in str(stopped.value)
