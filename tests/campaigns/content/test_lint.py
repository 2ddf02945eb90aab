from dataclasses import replace

import pytest

from campaigns.content.headers import SenderFacts
from campaigns.content.lint import blocking, lint_template, lint_variant
from campaigns.content.render import compile_variant


def _rules(findings):
    return {(f.severity, f.rule) for f in findings}


def test_a_whole_template_has_nothing_to_say(layout, shared, words, sender):
    assert lint_template(layout, shared, {"neutral": words}, sender) == []


def test_neutral_words_must_be_there(layout, shared, words, sender):
    findings = lint_template(layout, shared, {"lively": words}, sender)
    assert _rules(findings) == {("blocks", "neutral")}


@pytest.mark.parametrize(
    "change", [{"postal_address": " \n"}, {"from_address": "mara"}, {"shop_name": ""}]
)
def test_what_the_sender_lacks_is_said_once(layout, shared, words, sender, change):
    tones = {"neutral": words, "brief": words}
    findings = lint_template(layout, shared, tones, replace(sender, **change))
    assert [finding.block for finding in blocking(findings)] == ["sender"]


def test_a_broken_layout_is_told_once_for_all_tones(layout, shared, words, sender):
    broken = layout.replace("<mj-column>", "<mj-colum>", 1)
    tones = {"neutral": words, "brief": words}
    findings = lint_template(broken, shared, tones, sender)
    assert len(findings) == len({finding.message for finding in findings}) > 0
    assert all(finding.severity == "blocks" for finding in findings)


def test_a_value_without_a_default_is_a_warning(layout, shared, words, sender):
    blocks = {**words.blocks, "closing": "Bye {{ customer.city }}"}
    tones = {"neutral": replace(words, blocks=blocks)}
    finding = lint_template(layout, shared, tones, sender)[0]
    assert finding.message == "Whoever has no customer.city gets no mail."


@pytest.mark.parametrize(
    ("subject", "preheader", "block"),
    [("s" * 61, "p", "subject"), ("s", "p" * 91, "preheader"), ("s", "", "preheader")],
)
def test_lines_that_a_phone_cuts_are_a_warning(
    layout, shared, words, sender, subject, preheader, block
):
    changed = replace(words, subject=subject, preheader=preheader)
    variant = compile_variant(layout, shared, changed, sender=sender)
    assert [finding.block for finding in lint_variant(variant)] == [block]


def test_a_preheader_that_repeats_the_subject_is_a_warning(
    layout, shared, words, sender
):
    changed = replace(words, subject="New pots", preheader="New pots.")
    variant = compile_variant(layout, shared, changed, sender=sender)
    assert _rules(lint_variant(variant)) == {("warns", "preheader")}


def test_a_mail_that_gmail_cuts_off_is_a_warning(layout, shared, words, sender):
    filler = "<mj-text>" + "word " * 18_000 + "</mj-text>"
    longer = layout.replace("<mj-column>", f"<mj-column>{filler}", 1)
    variant = compile_variant(longer, shared, words, sender=sender)
    assert ("warns", "size") in _rules(lint_variant(variant))


def test_a_picture_without_words_is_a_warning(layout, shared, words, sender):
    picture = '<mj-image src="https://shop.example/fern.png" />'
    changed = layout.replace("<mj-column>", f"<mj-column>{picture}", 1)
    finding = lint_variant(compile_variant(changed, shared, words, sender=sender))[0]
    assert finding.message.startswith("fern.png has no alt text")


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/?utm_content=reassuring",
        "https://shop.example/a#anxious",
        "https://shop.example/disappointed/pots",
        "https://shop.example/?s=trust",
    ],
)
def test_no_link_may_tell_what_we_infer(layout, shared, words, sender, url):
    changed = replace(shared, button_url=url)
    findings = lint_variant(compile_variant(layout, changed, words, sender=sender))
    assert _rules(findings) == {("blocks", "inner name")}


@pytest.mark.parametrize(
    "address",
    [
        "https://anxious.shop.example/a.png",
        "https://shop.example/a.png?seg=anxious&amp;c=1",
    ],
)
def test_nor_an_address_that_is_not_counted(layout, shared, words, sender, address):
    picture = f'<mj-image src="{address}" alt="A fern" />'
    changed = layout.replace("<mj-column>", f"<mj-column>{picture}", 1)
    findings = lint_variant(compile_variant(changed, shared, words, sender=sender))
    assert ("blocks", "inner name") in _rules(findings)


def test_no_class_and_no_picture_may_tell_what_we_infer(layout, shared, words, sender):
    picture = '<mj-image src="https://shop.example/a.png" alt="for anxious people" />'
    changed = layout.replace("<mj-column>", f"<mj-column>{picture}", 1)
    changed = changed.replace('css-class="page"', 'css-class="page tone-lively"')
    variant = compile_variant(changed, shared, words, sender=sender)
    assert {f.words for f in blocking(lint_variant(variant))} == {"anxious", "lively"}


def test_a_frozen_variant_without_a_way_out_is_found(variant):
    stored = {**variant.to_json(), "text": "no way out"}
    findings = lint_variant(type(variant).from_json(stored))
    assert ("blocks", "unsubscribe") in _rules(findings)


def test_a_sender_without_anything_does_not_stop_the_checks(layout, shared, words):
    findings = lint_template(
        layout, shared, {"neutral": words}, SenderFacts("", "", "")
    )
    assert {finding.rule for finding in blocking(findings)} == {"sender"}
