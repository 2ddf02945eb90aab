import pytest

from segmentation.emotion.families import LABELS
from segmentation.emotion.training.goemotions import DataRefused, load

TWO = "Thank you so much\t15\tabc\r\nI hate it, sorry\t2,24\tdef\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.tsv").write_bytes(TWO.encode())
    return tmp_path


def test_rows_give_texts_and_labels(folder):
    split = load(folder, "train", whole=False)
    assert split.texts == ["Thank you so much", "I hate it, sorry"]
    second = [LABELS[row] for row in split.labels[1].nonzero()[0]]
    assert second == ["anger", "remorse"]


def test_a_set_of_another_size_is_not_the_published_one(folder):
    with pytest.raises(DataRefused, match="needs 43,410 rows, has 2"):
        load(folder, "train")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no tabs", "line 3: needs text, labels and id between tabs, got 1 fields"),
        ("text\t28\tx", "line 3: '28' is no label from 0 to 27"),
        ("text\tjoy\tx", "line 3: 'joy' is no label"),
    ],
)
def test_a_wrong_row_is_named(folder, line, said):
    (folder / "train.tsv").write_bytes((TWO + line).encode())
    with pytest.raises(DataRefused, match=said):
        load(folder, "train", whole=False)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataRefused, match=r"dev\.tsv is missing"):
        load(tmp_path, "dev")
