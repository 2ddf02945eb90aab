import re

import pytest

from campaigns.content.designs import (
    DESIGN_KEYS,
    SHARED_BLOCKS,
    TONE_KEYS,
    TONES,
    VARIANT_BLOCKS,
    blocks_of,
    load_design,
    tone_for_segment,
)
from campaigns.content.lint import lint_template
from campaigns.content.mjml import lint
from campaigns.content.problems import TemplateError
from campaigns.content.render import compile_variant, render
from campaigns.content.words import line_to_text

EVERY_WORD = [(design, tone) for design in DESIGN_KEYS for tone in TONE_KEYS]


def test_there_are_eight_tones_and_each_says_what_it_does_and_avoids():
    assert len(TONES) == 8
    assert all(tone.do and tone.avoid and tone.label for tone in TONES)


@pytest.mark.parametrize(
    ("segment", "tone"),
    [
        ("frustrated", "accountable"),
        ("anxious", "reassuring"),
        ("disappointed", "repairing"),
        ("excited", "lively"),
        ("trusting", "grateful"),
        ("questioning", "informative"),
        ("neutral", "brief"),
        ("mixed", "neutral"),
        ("unknown", "neutral"),
        ("quiet-worriers", "neutral"),
    ],
)
def test_a_segment_gets_the_tone_written_for_it_or_the_neutral_one(segment, tone):
    assert tone_for_segment(segment) == tone


@pytest.mark.parametrize("key", DESIGN_KEYS)
def test_every_layout_is_clean_and_has_every_block(designs, key):
    layout = designs[key].layout
    assert lint(layout) == []
    assert {b.name for b in blocks_of(layout)} == {*VARIANT_BLOCKS, *SHARED_BLOCKS}


@pytest.mark.parametrize("key", DESIGN_KEYS)
def test_every_design_passes_every_check_in_every_tone(designs, key, sender):
    design = designs[key]
    assert set(design.words) == set(TONE_KEYS)
    assert lint_template(design.layout, design.shared, design.words, sender) == []


@pytest.mark.parametrize(("key", "tone"), EVERY_WORD)
def test_every_design_reads_as_a_whole_mail_in_every_tone(
    designs, key, tone, sender, ines
):
    design = designs[key]
    variant = compile_variant(
        design.layout, design.shared, design.words[tone], sender=sender
    )
    mail = render(variant, ines)
    assert "Hello Ines," in mail.html
    assert "Hello Ines," in mail.text
    assert ines.links.unsubscribe in mail.html
    assert ines.links.unsubscribe in mail.text
    assert "8 Sample Lane" in mail.html
    assert len(mail.html.encode()) < 30_000
    assert not re.search(r"\{\{|\{%|zqattune", mail.html + mail.text)


@pytest.mark.parametrize("key", DESIGN_KEYS)
def test_tones_differ_in_their_words_and_in_nothing_that_is_offered(
    designs, key, sender, ines
):
    design = designs[key]
    emptied = set()
    for words in design.words.values():
        variant = compile_variant(design.layout, design.shared, words, sender=sender)
        text = render(variant, ines).text
        start, end = text.index(line_to_text(design.shared.offer)[:20]), len(text)
        offered = text[start:end]
        closing = text[text.index(words.blocks["closing"][:12]) :].split("\n--\n")[0]
        emptied.add(offered.replace(closing, ""))
        assert variant.links[0].url == design.shared.button_url
        assert len(variant.links) == 1
    assert len(emptied) == 1


@pytest.mark.parametrize("key", DESIGN_KEYS)
def test_every_html_is_the_same_once_the_words_of_the_tone_are_taken_out(
    designs, key, sender
):
    design = designs[key]
    skeletons = set()
    for tone, words in design.words.items():
        marked = type(words)("S", "P", {name: f"[{name}]" for name in words.blocks})
        variant = compile_variant(design.layout, design.shared, marked, sender=sender)
        assert tone not in variant.html.source
        skeletons.add(variant.html.source)
    assert len(skeletons) == 1


def test_a_design_that_cannot_be_read_names_its_file(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "layout.mjml").write_text("<mjml><mj-body></mj-body></mjml>")
    (tmp_path / "own" / "offer.toml").write_text("offer = ")
    with pytest.raises(TemplateError, match=r"own/offer\.toml"):
        load_design(tmp_path, "own")


def test_words_of_a_tone_cannot_contain_what_is_offered(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "layout.mjml").write_text("<mjml><mj-body></mj-body></mjml>")
    (tmp_path / "own" / "offer.toml").write_text('offer = "15 %"')
    (tmp_path / "own" / "brief.toml").write_text('[blocks]\noffer = "20 %"')
    with pytest.raises(TemplateError, match="offer has no place here"):
        load_design(tmp_path, "own")
