import numpy as np
import pytest
from django.contrib.auth.models import User

from customers.services import record_interactions
from customers.sources import InteractionRow
from segmentation.corrections import correct_reading
from segmentation.emotion.families import FAMILIES
from segmentation.emotion.reading import read_texts
from segmentation.errors import WordRefused
from segmentation.models import BrandWord, EmotionScore
from segmentation.scoring import outdated, score_interactions
from segmentation.services import refresh_if_needed
from segmentation.shop_words import add_brand_word, brand_words, remove_brand_word


@pytest.fixture
def mara(db) -> User:
    return User.objects.create_user("mara", is_staff=True)


@pytest.fixture
def ticket_of(db, at):
    def wrote(text: str) -> None:
        row = InteractionRow(
            customer_id="eve",
            email="eve@example.com",
            occurred_at=at,
            kind="ticket",
            text=text,
        )
        record_interactions([row], source="a test", at=at)
        score_interactions()

    return wrote


@pytest.fixture
def read(cy, ada):
    score_interactions()


def of(text: str) -> np.ndarray:
    score = EmotionScore.objects.get(interaction__text__contains=text)
    return np.frombuffer(bytes(score.families), "<f4")


def test_a_new_word_touches_the_texts_that_hold_it_and_no_other(read, mara, at):
    touched = add_brand_word(phrase="Broken  Kettle", family="joy", by=mara, at=at)
    assert touched == outdated().count() == 1
    score_interactions()
    assert not outdated().exists()
    assert of("broken kettle")[FAMILIES.index("joy")] > 0.2


def test_a_removed_word_gives_the_reading_of_before(read, mara, at):
    before = of("broken kettle").copy()
    add_brand_word(phrase="broken kettle", family="joy", by=mara, at=at)
    score_interactions()
    assert remove_brand_word(BrandWord.objects.get()) == 1
    score_interactions()
    assert of("broken kettle") == pytest.approx(before)


def test_new_texts_are_read_with_the_rules_in_force(cy, mara, at):
    add_brand_word(phrase="kettle", family="", by=mara, at=at)
    score_interactions()
    score = EmotionScore.objects.get(interaction__text__contains="kettle")
    assert score.notes == ["“kettle” is read as a name"]
    assert score.analyzer.endswith("+" + brand_words().digest)


def test_a_persons_word_stands_above_a_rule(read, mara, at):
    text = EmotionScore.objects.get(interaction__text__contains="kettle").interaction
    correct_reading(text, family="anger", by=mara, at=at)
    assert add_brand_word(phrase="kettle", family="joy", by=mara, at=at) == 0
    score_interactions()
    assert of("kettle")[FAMILIES.index("anger")] == 1.0


def test_a_changed_rule_is_reason_enough_to_sort_again(read, mara, at):
    refresh_if_needed(at=at)
    assert refresh_if_needed(at=at) is None
    add_brand_word(phrase="kettle", family="joy", by=mara, at=at)
    assert refresh_if_needed(at=at) is not None


@pytest.mark.parametrize(
    ("phrase", "family", "said"),
    [("KETTLE", "joy", "is a rule already"), ("?", "", "needs a letter")],
)
def test_what_can_be_no_rule_is_refused_in_words(db, mara, at, phrase, family, said):
    add_brand_word(phrase="kettle", family="", by=mara, at=at)
    with pytest.raises(WordRefused, match=said):
        add_brand_word(phrase=phrase, family=family, by=mara, at=at)
    assert BrandWord.objects.count() == 1


@pytest.mark.parametrize(
    ("phrase", "written"),
    [
        ("Café Royal", "my CAFÉ ROYAL set"),
        ("Killer Queen", "the killer\nqueen strings"),
        ("Tom’s", "from Tom's"),
        ("Tom & co", "by Tom &amp; Co"),
    ],
)
def test_a_word_touches_texts_however_it_is_written_there(
    ticket_of, mara, at, phrase, written
):
    ticket_of(f"I love {written} and it came on time, thank you.")
    assert add_brand_word(phrase=phrase, family="", by=mara, at=at) == 1
    score_interactions()
    (score,) = EmotionScore.objects.all()
    assert score.notes


def test_a_rule_that_comes_while_texts_are_read_is_not_lost(cy, mara, at, monkeypatch):
    def slow(items, **options):
        if not BrandWord.objects.exists():
            add_brand_word(phrase="kettle", family="joy", by=mara, at=at)
        return read_texts(items, **options)

    monkeypatch.setattr("segmentation.scoring.read_texts", slow)
    score_interactions()
    assert of("kettle")[FAMILIES.index("joy")] > 0.2


def test_a_phrase_with_a_hidden_character_is_plain_in_the_table(db, mara, at):
    add_brand_word(phrase="ket\x00tle", family="", by=mara, at=at)
    assert BrandWord.objects.get().phrase == "kettle"


def test_a_word_of_most_texts_is_no_word_of_the_shop(mara, cy, at):
    rows = [
        InteractionRow(
            customer_id="eve",
            email="eve@example.com",
            occurred_at=at,
            kind="ticket",
            text=f"The kettle of parcel {number} came.",
            key=str(number),
        )
        for number in range(60)
    ]
    record_interactions(rows, source="a test", at=at)
    score_interactions()
    with pytest.raises(WordRefused, match=r"“the” stands in \d+ of the newest \d+"):
        add_brand_word(phrase="the", family="joy", by=mara, at=at)
    assert not outdated().exists()
    assert add_brand_word(phrase="parcel 7", family="", by=mara, at=at) == 1
