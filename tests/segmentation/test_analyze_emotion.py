import io
import json

import pytest
from django.core.management import CommandError, call_command

from segmentation.emotion.families import FAMILIES


@pytest.fixture
def analyze(monkeypatch):
    """Runs the command on some bytes; returns its answers and its complaint."""

    def run(given: str | bytes) -> tuple[list[dict], str]:
        raw = given if isinstance(given, bytes) else given.encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
        out, complaint = io.StringIO(), ""
        try:
            call_command("analyze_emotion", stdout=out)
        except CommandError as error:
            complaint = f"{error.returncode}: {error}"
        return [json.loads(line) for line in out.getvalue().splitlines()], complaint

    return run


def test_each_line_gets_one_answer_with_everything_that_was_read(analyze):
    answers, complaint = analyze("Thank you so much!\nI am furious.\n")
    assert [answer["line"] for answer in answers] == [1, 2]
    assert [max(a["families"], key=a["families"].get) for a in answers] == [
        "trust",
        "anger",
    ]
    assert tuple(answers[0]["families"]) == FAMILIES
    assert list(answers[0]["labels"]) == ["gratitude"]
    assert answers[0]["valence"] > 0.5 > answers[1]["valence"]
    assert complaint == ""


def test_segment_evidence_of_one_text_adds_up_and_follows_its_families(analyze):
    answers, _ = analyze("Thank you so much!\nI am furious.")
    segments = [answer["segments"] for answer in answers]
    assert [max(evidence, key=evidence.get) for evidence in segments] == [
        "trusting",
        "frustrated",
    ]
    assert sum(segments[0].values()) == pytest.approx(1.0, abs=1e-3)


def test_json_lines_bring_title_rating_language_and_names(analyze):
    fields = {"text": "I love it, says Ada", "title": "Great", "rating": 1}
    answers, _ = analyze(json.dumps(fields | {"names": ["Ada"], "language": "en"}))
    assert answers[0]["notes"] == ["text and rating disagree"]
    assert answers[0]["weight"] == 0.3
    shown = [sentence["text"] for sentence in answers[0]["sentences"]]
    assert shown == ["Great", "I love it, says PERSON"]


def test_what_is_not_read_says_why(analyze):
    answers, complaint = analyze('Muchas gracias\n\n{"text": "ok", "language": "es"}')
    reasons = [answer["not_read"] for answer in answers]
    assert reasons == ["language: Spanish", "no text", "language: Spanish"]
    assert [answer["families"] for answer in answers] == [None] * 3
    assert complaint == ""


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"text": "a"', "broken JSON at column 13"),
        ('{"text": 5}', '"text" needs a string, got a int'),
        ('{"body": "a"}', '"text" needs a string, got nothing'),
        ('{"text": null}', '"text" needs a string, got null'),
        ('{"text": "a", "rating": "5"}', '"rating" needs a number from 1 to 5'),
        ('{"text": "a", "rating": NaN}', "got nan"),
        ('{"text": "a", "rating": 9}', "got 9"),
        ('{"text": "a", "rating": true}', "got true or false"),
        ('{"text": "a", "title": []}', '"title" needs a string, got a list'),
        ('{"text": "a", "names": "Bo"}', '"names" needs a list of strings'),
        ('{"a":' * 100_000, "JSON that can't be read"),
        ('{"text": ' + "9" * 5_000 + "}", "JSON that can't be read"),
    ],
)
def test_a_broken_line_is_named_and_the_others_are_read(analyze, line, error):
    answers, complaint = analyze(f"Thank you!\n{line}\nI am sad.\n")
    assert [answer["line"] for answer in answers] == [1, 2, 3]
    assert set(answers[1]) == {"line", "error"}
    assert error in answers[1]["error"]
    assert answers[2]["families"]["sadness"] > 0.5
    assert complaint == "1: Not read because of broken JSON: line 2."


def test_bytes_that_are_no_utf8_and_a_byte_order_mark_do_no_harm(analyze):
    answers, _ = analyze(b"\xef\xbb\xbf" + b'{"text": "I am sad"}\ncaf\xe9 I am sad')
    assert all(answer["families"]["sadness"] > 0.4 for answer in answers)


def test_a_lone_surrogate_in_json_comes_out_as_valid_json(analyze):
    answers, _ = analyze('{"text": "\\ud83d I am sad"}')
    assert answers[0]["sentences"][0]["text"] == "I am sad"


def test_no_input_gives_no_output(analyze):
    assert analyze("") == ([], "")


def test_more_lines_than_one_helping_keep_their_order(analyze):
    answers, _ = analyze("".join(f"text {number}\n" for number in range(1, 151)))
    assert [answer["line"] for answer in answers] == list(range(1, 151))
