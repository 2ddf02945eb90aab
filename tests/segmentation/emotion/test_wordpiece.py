import pytest

from segmentation.emotion.weights import verified
from segmentation.emotion.wordpiece import CUSTOMER_MARK, MAX_PIECES, WordPiece


@pytest.fixture(scope="module")
def vocabulary() -> list[str]:
    return verified("vocab.txt").decode().splitlines()


@pytest.fixture(scope="module")
def tokenizer(vocabulary) -> WordPiece:
    return WordPiece({piece: number for number, piece in enumerate(vocabulary)})


@pytest.fixture
def cut(tokenizer, vocabulary):
    return lambda text: [vocabulary[piece] for piece in tokenizer.encode(text)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        # Published examples of the uncased BERT vocabulary
        ("hello world", "hello world"),
        ("embeddings", "em ##bed ##ding ##s"),
        ("unaffable", "una ##ffa ##ble"),
        ("Hello, World!", "hello , world !"),
        ("HÉLLO", "hello"),
        ("", ""),
        (" \n\t", ""),
        ("a" * 101, "[UNK]"),
        ("龘龘", "[UNK] [UNK]"),
        ("\U0001fae8", "[UNK]"),
    ],
)
def test_known_words_are_cut_into_their_known_pieces(cut, text, pieces):
    assert cut(text) == ["[CLS]", *pieces.split(), "[SEP]"]


def test_the_pieces_of_parts_are_the_pieces_of_the_whole(tokenizer):
    parts = ["It's unaffable,", "HÉLLO 😡", "100.50"]
    joined = [piece for part in parts for piece in tokenizer.pieces(part)]
    assert joined == tokenizer.pieces(" ".join(parts))


def test_a_long_sentence_ends_at_the_limit_with_its_last_piece(cut):
    pieces = cut("hello " * 1000)
    assert len(pieces) == MAX_PIECES - 1  # a customer's text has its marker besides
    assert pieces[-1] == "[SEP]"


def test_pieces_that_nothing_to_read_needs_are_left_out(vocabulary):
    unused = [piece for piece in vocabulary if piece.startswith("[unused")]
    assert unused == [CUSTOMER_MARK]
    assert len(vocabulary) < 28_500  # of 30,522


def test_a_vocabulary_without_frame_pieces_is_refused():
    with pytest.raises(KeyError, match="CLS"):
        WordPiece({"hello": 0})
