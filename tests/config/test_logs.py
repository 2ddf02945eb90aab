import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from smtplib import SMTPRecipientsRefused

import psycopg
import pytest
import requests
from anymail.exceptions import AnymailRequestsAPIError
from django.db import DataError, IntegrityError

from campaigns.content.designs import TONES
from campaigns.errors import LostLease
from config.logs import JsonFormatter, PlainFormatter
from segmentation.emotion.families import FAMILIES

ROOT = Path(__file__).parents[2]
TOKEN = "AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def refusal():
    """A provider's answer that names who and what."""
    answer = requests.Response()
    answer.status_code, answer.reason = 422, "No"
    answer._content = b'{"to": "ada@example.com", "html": "You sound anxious, Ada"}'
    return AnymailRequestsAPIError(
        "Sending a mail to ada@example.com in a reassuring tone",
        payload={"to": "ada@example.com"},
        response=answer,
    )


def row():
    """PostgreSQL shows the row that it did not take."""
    error = IntegrityError('violates "one_message"\nDETAIL: (ada@example.com, anxiety)')
    error.__cause__ = psycopg.errors.UniqueViolation(
        'violates "one_message"\nDETAIL: Failing row (7, ada@example.com, reassuring)'
    )
    return error


WORST = {
    "a refusal": refusal(),
    "a row": row(),
    "a value": DataError("value too long: 'Ada Lovelace is in grief'"),
    "a server": SMTPRecipientsRefused(
        {"ada@example.com": (550, b"5.1.1 <ada@a.de> no")}
    ),
    "a key": KeyError("ada@example.com"),
    "an address of another script": ValueError("адa@пример.рф, ada%40example.com"),
    "a path": ValueError(f"Not Found: /u/{TOKEN}"),
    "a login": OSError("no answer of imaps://ada:hunter2@mail.example.com/INBOX"),
    "a header": ValueError("Authorization: Basic YWRhOmh1bnRlcjI="),
    "a way back": ValueError(f"b+{'a' * 37}@example.com and b+{'a' * 37}"),
}
SECRET = ("ada@", "ada%40", "пример", "lovelace", TOKEN.lower(), "hunter2", "ywrh")
FEELINGS = {*FAMILIES, *(one.key for one in TONES), "anxious", "grief"}


def said(formatter, error, message="batch 12 of send 3: %s", *args):
    try:
        raise error
    except type(error):
        info = sys.exc_info()
    record = logging.LogRecord(
        "campaigns", logging.ERROR, __file__, 1, message, args or (error,), info
    )
    return formatter.format(record)


@pytest.mark.parametrize("formatter", [PlainFormatter(), JsonFormatter()])
@pytest.mark.parametrize("error", WORST.values(), ids=WORST)
def test_nothing_logged_names_an_address_a_secret_or_a_feeling(formatter, error):
    text = said(formatter, error)
    if isinstance(formatter, JsonFormatter):
        text = " ".join(map(str, json.loads(text).values()))
    told = text.split("test_logs.py")[0] + text.rsplit("raise error", 1)[-1]
    assert not [word for word in SECRET if word in told.lower()]
    assert "a" * 37 not in told
    words = told.lower().replace(":", " ").replace(",", " ").split()
    assert not FEELINGS.intersection(words)


def test_what_helps_an_operator_stays():
    text = said(PlainFormatter(), refusal())
    assert "anymail.exceptions.AnymailRequestsAPIError: status 422" in text
    assert 'test_logs.py", line' in text
    text = said(PlainFormatter(), row())
    assert 'django.db.utils.IntegrityError: violates "one_message"' in text
    assert "psycopg.errors.UniqueViolation" in text


def test_an_error_of_our_own_is_told_in_its_words():
    record = logging.makeLogRecord({"msg": "%s"})
    record.args = (LostLease("Batch 5 is no longer held."),)
    fields = json.loads(JsonFormatter().format(record))
    assert (fields["message"], fields["batch_id"]) == ("Batch 5 is no longer held.", 5)


def test_ids_are_fields_and_a_line_is_an_object():
    fields = json.loads(said(JsonFormatter(), ValueError("x\ny")))
    assert (fields["batch_id"], fields["send_id"]) == (12, 3)
    assert (fields["level"], fields["logger"]) == ("ERROR", "campaigns")
    assert fields["time"].endswith("+00:00")
    record = logging.makeLogRecord({"msg": "hello", "send_id": 5, "text": "b@a.de"})
    fields = json.loads(JsonFormatter().format(record))
    assert fields["send_id"] == 5
    assert "text" not in fields


def test_the_setting_chooses_the_form_for_pages_and_workers(tmp_path):
    code = (
        "import django; django.setup()\n"
        "import config.celery as c, logging\n"
        "c.app.log.setup()\n"
        "logging.getLogger('x').warning('send 4 of bo@example.com')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ
        | {
            "ATTUNE_LOG_FORMAT": "json",
            "ATTUNE_DATA_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    fields = json.loads(done.stderr)
    assert (fields["message"], fields["send_id"]) == ("send 4 of [address]", 4)
