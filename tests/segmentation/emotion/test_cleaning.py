import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.emotion.cleaning import clean, clean_title, spell_emoji


@pytest.mark.parametrize(
    ("raw", "own_words"),
    [
        ("It&#34;s &amp;#34;fine&amp;#34; &lt;3", 'It"s "fine" <3'),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<td>40</td><td>55</td>", "40\n\n55"),
        ("<b>un</b>believable", "unbelievable"),
        ("<style>p {}</style>Hi<!-- note -->", "Hi"),
        ("Bad<script>alert(1)", "Bad"),
        ("2 < 3 and 5 > 4", "2 < 3 and 5 > 4"),
        ("see https://shop.example/x?a=1 or www.x.y now", "see or now"),
        ("write me at bo@example.com", "write me at"),
        ("@united you lost my bag", "you lost my bag"),
        ("so good!!!!!!!!", "so good!!!"),
        ("bad\x00 wo\u200brd \ud800end", "bad word end"),
        ("\u202eabc\u202c", "abc"),
        ("𝓫𝓪𝓭 ｓｅｒｖｉｃｅ", "bad service"),
        ("don’t “worry”", 'don\'t "worry"'),
    ],
)
def test_markup_addresses_and_invisible_characters_go(raw, own_words):
    assert clean(raw) == own_words


@pytest.mark.parametrize(
    "mail",
    [
        "It broke.\n\nOn Mon, 3 Mar 2025 at 10:00, Shop <a@b.c>\nwrote:\n> Thank you!",
        "It broke.\n\n-----Original Message-----\nThank you for your order",
        "It broke.\n________________________________\nFrom: Shop\nThank you",
        "It broke.\nFrom: Shop\nSent: Monday\nThank you for your order",
        "It broke.\n\nOn Mon, 3 Mar 2025, Shop\n<a@b.c>\nwrote:\n\nThank you!",
        "It broke.\n\n*From:* Shop\n*Sent:* Monday\n\nThank you!",
        "It broke.\n\n-Bo Jones",
        "> Thank you!\nIt broke.",
        "On 3 Mar 2025, Shop wrote:\n> Thank you!\n\nIt broke.",
        "<div>It broke.</div><blockquote>Thank you!</blockquote>",
        "It broke.\n-- \nBo Jones\nLove life",
        "It broke.\n\nKind regards,\nBo Jones\nManager",
        "It broke.\n\nThanks!\nBo",
        "It broke.\nSent from my iPhone",
        "Hi Ada,\nIt broke.",
        "Dear Sir or Madam:\n\nIt broke.",
    ],
)
def test_only_the_customers_own_words_of_a_mail_remain(mail):
    assert clean(mail) == "It broke."


def test_a_mail_that_only_quotes_says_nothing():
    assert clean("> all of it\n> is quoted") == ""


def test_thanks_in_the_middle_of_a_text_is_meant():
    text = "Thanks\nI really love this and will tell all of my many friends about it."
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("My name is Ada Lovelace.", "My name is PERSON."),
        ("ADA here, ada again, Ada's bag", "PERSON here, PERSON again, PERSON's bag"),
        ("Adalbert stays", "Adalbert stays"),
        ("Hello Miguel, it broke", "Hello PERSON, it broke"),
        ("Hi Team, it broke", "Hi Team, it broke"),
        ("Mrs. O'Brien was rude", "Mrs PERSON was rude"),
        ("It is fine. Regards, Bo Jones", "It is fine. Regards, PERSON"),
    ],
)
def test_names_become_person(text, masked):
    assert clean(text, names=("Ada", "Lovelace")) == masked


def test_a_name_that_is_an_everyday_word_is_masked_only_where_capitalised():
    cleaned = clean("Will asked. When will it come?", names=("will",))
    assert cleaned == "PERSON asked. When will it come?"


@pytest.mark.parametrize(
    "name", ["Ebony", "Jamal", "Latisha", "Katie", "Heather", "Roger"]
)
def test_the_same_sentence_about_another_name_reads_the_same(name):
    text = f"{name} feels angry. I told {name}."
    assert clean(text, names=(name,)) == "PERSON feels angry. I told PERSON."


@pytest.mark.parametrize(
    "name", ["", ".", "(", "a\\", "\ud800", "x" * 10_000, "[A-Z]+"]
)
def test_a_name_is_never_read_as_a_pattern(name):
    assert clean("It broke.", names=(name,)) == "It broke."


def test_a_title_loses_its_reply_marks_and_line_ends():
    assert clean_title("RE: Fwd: my\norder") == "my order"


@pytest.mark.parametrize(
    ("sentence", "spelt"),
    [
        ("plain", "plain"),
        ("wow 😍", "wow smiling with heart-shaped eyes"),
        ("👍🏽", "thumbs up"),
        ("no 😡", "no very angry"),
        ("no 😤", "no annoyed"),
        ("❤️", "heavy black heart"),
        ("🇬🇧 café", "café"),
        ("£5 – fine…", "£5 – fine…"),
    ],
)
def test_emoji_are_spelt_as_the_model_learnt_them(sentence, spelt):
    assert spell_emoji(sentence) == spelt


HOSTILE = {
    "open tags": "<div " * 200_000,
    "open scripts": "<script" * 100_000,
    "entities": "&amp;" * 500_000,
    "quote marks": ">" * 1_000_000,
    "attributions": "On a b c wrote:\n> x\n" * 50_000,
    "headers": "From: abc\n" * 100_000,
    "sign-offs": "best\n" * 200_000,
    "salutations": "Dear A " * 200_000,
    "dashes": "x\n-Aa Bb Cc\n" * 100_000,
    "gaps": " \n" * 500_000 + "x",
    "at signs": "a@" * 500_000,
    "rules": "_" * 1_000_000,
    "accents": "e" + "\u0301" * 1_000_000,
    "blank": "\xa0\n" * 500_000,
}
LONG = "The lamp came two days late and nobody answers, which I hate.\n" * 16_000


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_takes_no_longer_than_a_long_one(text):
    cleaned, took = _timed(text)
    assert took < 25 * max(_timed(LONG)[1], _timed(LONG)[1])
    assert len(cleaned) <= 100_001


def _timed(text):
    started = time.process_time()
    cleaned = clean(text)
    return cleaned, time.process_time() - started


@given(st.text())
def test_any_text_can_be_cleaned_and_what_remains_can_be_stored(text):
    cleaned = clean(text)
    assert cleaned == cleaned.strip()
    assert "\x00" not in cleaned
    assert cleaned.encode("utf-8") is not None
