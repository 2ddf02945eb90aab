import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.emotion.language import language_of


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("I never got my parcel and nobody answers", "en"),
        ("love it!", "en"),
        ("Estoy furioso, el pedido nunca llegó", "es"),
        ("Muchas gracias", "es"),
        ("Je suis très déçu de ce produit", "fr"),
        ("Der Artikel ist leider kaputt", "de"),
        ("Ottimo prodotto", "it"),
        ("O produto chegou quebrado, não gostei", "pt"),
        ("Ik ben heel blij met deze bestelling", "nl"),
        ("Bardzo dobry produkt, polecam", "pl"),
        ("Teşekkürler çok güzel", "tr"),
        ("Не работает", "ru"),
        ("Дякую, дуже гарний виріб", "uk"),
        ("شكرا جزيلا", "ar"),
        ("最高の商品です", "ja"),
        ("质量很好", "zh"),
        ("정말 좋아요", "ko"),
        ("Ευχαριστώ πολύ", "el"),
        ("bahut accha hai mujhe pasand aaya dhanyavaad bhai log", "und"),
    ],
)
def test_the_language_is_seen_in_the_text(text, code):
    assert language_of(text).code == code


@pytest.mark.parametrize("text", ["ok", "👍", "42", "", "Fender Stratocaster"])
def test_a_text_without_evidence_is_taken_for_english(text):
    language = language_of(text)
    assert (language.code, language.certain) == ("en", False)


@pytest.mark.parametrize("declared", ["es", "ES", "es-MX", "es_ES.UTF-8", "Spanish"])
def test_without_evidence_the_declared_language_counts(declared):
    assert language_of("ok", declared=declared).code == "es"


@pytest.mark.parametrize("declared", ["", "und", "??", "español muy largo", None])
def test_a_declaration_that_means_nothing_is_ignored(declared):
    assert language_of("ok", declared=declared).code == "en"


def test_a_declared_language_we_have_no_name_for_is_still_not_english():
    language = language_of("ok", declared="eu")
    assert (language.name, language.validated) == ("eu", False)


def test_evidence_in_the_text_wins_over_the_declaration():
    assert language_of("Where is my order?", declared="es").code == "en"
    assert language_of("Muchas gracias", declared="en").code == "es"


def test_figures_and_emoji_are_in_no_language_and_can_be_read():
    assert language_of("👍👍", declared="es").validated


@pytest.mark.parametrize(
    "text",
    [
        "Los Angeles flight delayed again",
        "My fiancé loved the café and the crème brûlée",
        "oh my god LAUREN OH MY GOD",
        "Love the piñatas, too!",
        "Great for Garmins too.",
        "Thanks. UA1121, DEN, 40 min on tarmac.",
        "This is 很好",
    ],
)
def test_foreign_names_and_loans_in_english_do_not_mislead(text):
    assert language_of(text).code == "en"


def test_good_alone_does_not_make_hindi_english():
    text = "kal se wait kar raha hoon delivery abhi tak nahi aaya good service"
    assert not language_of(text).validated


@given(st.text(), st.one_of(st.none(), st.text()))
def test_every_text_gets_a_language_with_a_name(text, declared):
    assert language_of(text, declared=declared).name
