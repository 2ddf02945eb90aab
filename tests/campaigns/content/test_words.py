import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.content.problems import TemplateError
from campaigns.content.words import (
    Items,
    Paragraph,
    Tags,
    line_to_html,
    line_to_text,
    read_words,
    words_to_html,
)


def test_a_blank_line_parts_paragraphs_and_a_line_end_is_kept():
    assert read_words("One\ntwo\n\nThree") == (
        Paragraph(("One", "two")),
        Paragraph(("Three",)),
    )


def test_dashes_make_a_list():
    assert read_words("- one\n- two\n  goes on") == (
        Items(("one", "two goes on"), None),
    )


def test_numbers_make_a_list_that_starts_where_they_start():
    html = words_to_html("3. three\n4. four")
    assert html == '<ol class="l end" start="3"><li>three</li><li>four</li></ol>'


def test_a_list_may_follow_its_sentence_at_once():
    assert words_to_html("Two:\n- a\n- b") == (
        '<p class="p">Two:</p><ul class="l end"><li>a</li><li>b</li></ul>'
    )


def test_two_stars_are_bold_and_nothing_else_is():
    assert line_to_html("**15 %** off *pots* _soil_") == "<b>15 %</b> off *pots* _soil_"


def test_mark_up_comes_out_as_it_was_typed():
    assert line_to_html("<b>1 < 2 & 3</b>") == "&lt;b&gt;1 &lt; 2 &amp; 3&lt;/b&gt;"


def test_values_and_tags_are_left_alone():
    source = 'Hi {{ a | default: "<you> & **me**" }}{% if a < b %}!{% endif %}'
    assert line_to_html(source) == source


def test_a_value_can_be_bold():
    assert line_to_html("**{{ a }} & co**") == "<b>{{ a }} &amp; co</b>"


def test_a_line_of_tags_goes_round_whole_paragraphs():
    parts = read_words("{% if a %}\nOne.\n{% endif %}\nTwo.")
    assert parts == (
        Tags("{% if a %}"),
        Paragraph(("One.",)),
        Tags("{% endif %}"),
        Paragraph(("Two.",)),
    )


def test_plain_text_has_no_stars():
    assert line_to_text("**15 %** off & {{ a }}") == "15 % off & {{ a }}"


def test_a_value_that_is_not_closed_is_named_with_its_place():
    with pytest.raises(TemplateError) as caught:
        words_to_html("Hello\nyou {{ name")
    problem = caught.value.problems[0]
    assert (problem.line, problem.column) == (2, 5)
    assert "}}" in problem.hint


@given(st.text(alphabet="a-*1. \n<&>\"'é🌱\ue000\ue001م", max_size=80))
def test_no_words_can_bring_tags_of_their_own(source):
    html = words_to_html(source)
    for tag in ("p", "ul", "ol", "li", "b"):
        html = html.replace(f"</{tag}>", "").replace(f"<{tag}>", "")
    for cls in ('<p class="p', '<ul class="l', '<ol class="l'):
        html = html.replace(cls, "")
    assert "<" not in html.replace("<br>", "")


def test_hebrew_and_emoji_survive():
    assert line_to_html("שלום 🌱 — ça va") == "שלום 🌱 — ça va"
