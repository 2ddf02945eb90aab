import shutil

import numpy as np
import pytest

from segmentation.emotion.analyzers.minilm import MiniLM
from segmentation.emotion.weights import (
    FOLDER,
    WeightsDamaged,
    shipped_digests,
    verified,
)


@pytest.mark.parametrize("name", sorted(shipped_digests()))
def test_each_shipped_file_is_the_one_that_was_measured(name):
    assert len(verified(name)) > 500


def test_the_card_names_every_digest_and_licence():
    card = (FOLDER / "card.md").read_text(encoding="utf-8")
    wanted = [*shipped_digests().values(), "Apache-2.0", "CC BY 4.0", "Glasgow Norms"]
    assert [text for text in wanted if text not in card] == []


def test_nothing_shipped_is_a_pickle():
    endings = {path.suffix for path in FOLDER.iterdir() if path.is_file()}
    assert endings <= {".onnx", ".txt", ".json", ".npz", ".md", ".py", ""}
    for head in FOLDER.glob("*.npz"):
        with np.load(head, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "if" for name in arrays.files)


@pytest.fixture
def copy(tmp_path):
    for name in ("SHA256SUMS", "vocab.txt", "meta.json"):
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path


def test_a_changed_file_is_named_with_both_digests(copy):
    (copy / "vocab.txt").write_text("version https://git-lfs.github.com/spec/v1\n")
    wanted = shipped_digests()["vocab.txt"][:12]
    with pytest.raises(WeightsDamaged, match=rf"vocab\.txt needs SHA-256 {wanted}"):
        verified("vocab.txt", copy)


def test_a_missing_file_is_named(copy):
    with pytest.raises(WeightsDamaged, match=r"model\.int8\.onnx is missing"):
        verified("model.int8.onnx", copy)


def test_a_file_without_a_digest_is_never_trusted(copy):
    with pytest.raises(WeightsDamaged, match=r"no digest for extra\.bin"):
        verified("extra.bin", copy)


def test_without_the_list_of_digests_nothing_is_read(tmp_path):
    with pytest.raises(WeightsDamaged, match="SHA256SUMS"):
        MiniLM(tmp_path).score(["hello"])
