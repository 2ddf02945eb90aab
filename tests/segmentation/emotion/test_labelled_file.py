import json

import pytest

from segmentation.emotion.labelled_file import LabelsRefused, read_labelled


def write(tmp_path, content: str, name: str = "texts.jsonl"):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def test_json_lines_give_labelled_texts(tmp_path):
    row = {
        "text": "Still nothing.",
        "family": "anger",
        "acceptable": ["sadness", "anxiety"],
        "valence": -1,
        "kind": "implicit",
        "hard": True,
    }
    (found,) = read_labelled(write(tmp_path, "\ufeff" + json.dumps(row) + "\n\n"))
    assert (found.text, found.family, found.kind) == (
        "Still nothing.",
        "anger",
        "implicit",
    )
    assert found.acceptable == {"sadness", "anxiety"}
    assert (found.valence, found.hard) == (-1.0, True)


def test_csv_gives_the_same_with_several_acceptable_in_one_cell(tmp_path):
    head = "text,family,acceptable,valence,hard"
    content = f'{head}\n"a, b",Joy,trust|excitement,positive,yes\n'
    (found,) = read_labelled(write(tmp_path, content, "texts.csv"))
    assert (found.text, found.family) == ("a, b", "joy")
    assert found.acceptable == {"trust", "excitement"}
    assert (found.valence, found.hard) == (1.0, True)


def test_one_of_the_28_labels_stands_for_its_family(tmp_path):
    (found,) = read_labelled(write(tmp_path, '{"text": "a", "family": "annoyance"}'))
    assert found.family == "anger"


def test_a_row_may_know_its_valence_only(tmp_path):
    (found,) = read_labelled(write(tmp_path, '{"text": "a", "valence": "neg"}'))
    assert (found.family, found.valence) == ("", -1.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no rows"),
        ("{broken", "line 1 is no JSON"),
        ("[1]", "line 1 needs an object"),
        ('{"family": "joy"}', 'line 1: "text" needs a string'),
        ('{"text": "a"}', "no family and no valence"),
        ('{"text": "a", "family": "hunger"}', "'hunger' is no family"),
        ('{"text": "a", "family": "joy", "valence": 7}', "needs -1 to 1"),
        ('{"text": "a", "family": "joy", "valence": "hot"}', "'hot' is no number"),
        ('{"text": "a", "family": "joy", "acceptable": ["x"]}', "'x' is no family"),
    ],
)
def test_a_wrong_row_is_named_with_what_it_needed(tmp_path, content, said):
    with pytest.raises(LabelsRefused, match=said):
        read_labelled(write(tmp_path, content))


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(b'{"text": "caf\xe9", "family": "joy"}')
    with pytest.raises(LabelsRefused, match="needs UTF-8, byte 13"):
        read_labelled(path)
