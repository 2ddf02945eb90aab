import pytest

from segmentation.emotion.weights import verified
from segmentation.emotion.wordpiece import MAX_PIECES, WordPiece

CLS, SEP, UNK = 101, 102, 100  # BERT uncased


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    pieces = verified("vocab.txt").decode().splitlines()
    return WordPiece({piece: number for number, piece in enumerate(pieces)})


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        # Published examples of the uncased BERT vocabulary
        ("hello world", [7592, 2088]),
        ("embeddings", [7861, 8270, 4667, 2015]),  # em ##bed ##ding ##s
        ("unaffable", [14477, 20961, 3468]),  # una ##ffa ##ble
        ("Hello, World!", [7592, 1010, 2088, 999]),
        ("HÉLLO", [7592]),
    ],
)
def test_known_words_get_their_known_ids(tokenizer, text, ids):
    assert tokenizer.encode(text) == [CLS, *ids, SEP]


def test_nothing_gives_the_two_frame_pieces(tokenizer):
    assert tokenizer.encode("") == tokenizer.encode(" \n\t") == [CLS, SEP]


def test_a_word_of_more_than_a_hundred_letters_is_unknown(tokenizer):
    assert tokenizer.encode("a" * 101) == [CLS, UNK, SEP]


def test_ideographs_stand_alone_and_foreign_marks_are_unknown(tokenizer):
    assert len(tokenizer.encode("中国")) == 4
    assert tokenizer.encode("\U0001fae8")[1:-1] == [UNK]


def test_a_long_sentence_ends_at_the_limit_with_its_last_piece(tokenizer):
    ids = tokenizer.encode("hello " * 1000)
    assert len(ids) == MAX_PIECES
    assert ids[-1] == SEP


def test_a_vocabulary_without_frame_pieces_is_refused():
    with pytest.raises(KeyError, match="CLS"):
        WordPiece({"hello": 0})
