import json
import re
from dataclasses import replace

import pytest

from campaigns.content.designs import SharedBlocks
from campaigns.content.links import InertLinks, Links, UntrackedLinks
from campaigns.content.problems import TemplateError, UndefinedValue
from campaigns.content.render import (
    CompiledVariant,
    RecipientContext,
    compile_variant,
    render,
)

BARE = "<mjml><mj-body></mj-body></mjml>"


def test_a_mail_has_everything_a_mailbox_shows(variant, ines):
    mail = render(variant, ines)
    assert mail.subject == "A bigger pot, Ines?"
    assert mail.preheader == "Winter is a good time for roots"
    assert '<html lang="en"' in mail.html
    assert "<title>A bigger pot, Ines?</title>" in mail.html
    assert 'name="color-scheme" content="light dark"' in mail.html
    assert mail.html.index("Winter is a good time") < mail.html.index("<h1")
    assert "Fresh pots &amp; fresh soil" in mail.html


def test_the_pixel_is_the_last_thing_in_a_tracked_mail(variant, ines):
    html = render(variant, ines).html
    tail = html[html.index(ines.links.pixel) :]
    assert tail.endswith('border:0;"></body></html>')


def test_the_button_leads_by_our_host_and_its_destination_is_in_the_table(
    variant, ines
):
    html = render(variant, ines).html
    assert f'href="{ines.links.click(0)}"' in html
    assert "lindenandloam.example/pots" not in html
    assert variant.links[0].url == "https://lindenandloam.example/pots"
    assert variant.links[0].label == "See the pots"


def test_without_consent_there_is_no_pixel_and_the_button_leads_there_directly(variant):
    links = UntrackedLinks(
        "https://mail.example.com", 77, ["k" * 20], variant.destinations
    )
    html = render(variant, RecipientContext({}, links)).html
    assert "<img" not in html
    assert 'href="https://lindenandloam.example/pots"' in html
    assert links.unsubscribe in html


def test_a_preview_is_the_same_mail_with_nothing_that_leads_anywhere(variant, ines):
    preview = render(variant, RecipientContext(ines.data, InertLinks()))
    assert set(re.findall(r'href="([^"]*)"', preview.html)) == {"#"}
    assert preview.headers == {}
    assert preview.subject == render(variant, ines).subject


def test_a_stored_variant_is_the_same_variant(variant, ines):
    again = CompiledVariant.from_json(json.loads(json.dumps(variant.to_json())))
    assert again == variant
    assert again.sha256 == variant.sha256
    assert render(again, ines) == render(variant, ines)


def test_a_changed_word_changes_the_digest(layout, shared, words, sender, variant):
    changed = replace(words, subject="Another")
    other = compile_variant(layout, shared, changed, sender=sender)
    assert other.sha256 != variant.sha256


def test_an_unknown_stored_format_is_refused(variant):
    with pytest.raises(ValueError, match="format 1; this one has 2"):
        CompiledVariant.from_json({**variant.to_json(), "format": 2})


def test_a_layout_without_a_footer_gets_one(shared, words, sender, ines):
    bare = replace(words, blocks={})
    mail = render(compile_variant(BARE, shared, bare, sender=sender), ines)
    assert mail.html.count(ines.links.unsubscribe) == 1
    assert mail.html.count("8 Sample Lane") == 1
    assert mail.text.count(ines.links.unsubscribe) == 1


def test_a_layout_with_a_footer_has_it_once(variant, ines):
    mail = render(variant, ines)
    assert mail.html.count(ines.links.unsubscribe) == 1
    assert mail.html.count("8 Sample Lane") == 1


def test_without_an_offer_its_box_goes_and_the_rest_stays(layout, words, sender, ines):
    shared = SharedBlocks(footer_reason="Because.")
    mail = render(compile_variant(layout, shared, words, sender=sender), ines)
    assert 'class="offer' not in mail.html
    assert 'class="btn' not in mail.html
    assert "Fresh pots" in mail.html


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"postal_address": ""}, "sender"),
        ({"shop_name": " "}, "sender"),
        ({"from_address": "nobody"}, "sender"),
        ({"from_name": "Mara\r\nBcc: a@b.example"}, "sender"),
    ],
)
def test_a_mail_without_a_whole_sender_is_not_compiled(
    layout, shared, words, sender, change, part
):
    with pytest.raises(TemplateError) as caught:
        compile_variant(layout, shared, words, sender=replace(sender, **change))
    assert [problem.part for problem in caught.value.problems] == [part]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": "a\nBcc: b@c.example"}, "subject"),
        ({"subject": "{{ a"}, "subject"),
        ({"preheader": "a\u2028b"}, "preheader"),
        ({"blocks": {"headline": "x"}}, "opening"),
    ],
)
def test_words_that_cannot_be_sent_name_their_part(
    layout, shared, words, sender, change, part
):
    with pytest.raises(TemplateError) as caught:
        compile_variant(layout, shared, replace(words, **change), sender=sender)
    assert caught.value.problems[0].part == part


@pytest.mark.parametrize("block", ["offer", "footer", "surprise"])
def test_the_words_of_a_tone_have_no_place_for_an_offer(
    layout, shared, words, sender, block
):
    changed = replace(words, blocks={**words.blocks, block: "20 % off"})
    with pytest.raises(TemplateError, match=f"The block {block}"):
        compile_variant(layout, shared, changed, sender=sender)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"button_url": "javascript:alert(1)"}, "button_url"),
        ({"button_url": ""}, "button_url"),
        ({"button_label": ""}, "button_label"),
        ({"offer": "{% if %}"}, "offer"),
    ],
)
def test_an_offer_that_cannot_be_sent_names_its_part(
    layout, shared, words, sender, change, part
):
    with pytest.raises(TemplateError) as caught:
        compile_variant(layout, replace(shared, **change), words, sender=sender)
    assert caught.value.problems[0].part == part


def test_every_problem_is_told_at_once(layout, shared, words, sender):
    changed = replace(words, subject="", blocks={**words.blocks, "opening": "{{ a"})
    with pytest.raises(TemplateError) as caught:
        compile_variant("<mjml>", shared, changed, sender=sender)
    parts = {problem.part for problem in caught.value.problems}
    assert parts == {"layout", "subject", "opening"}


def test_whoever_lacks_a_value_is_named_and_nobody_else_is_stopped(
    layout, shared, words, sender, ines
):
    blocks = {**words.blocks, "closing": "See you in {{ customer.city }}"}
    changed = replace(words, blocks=blocks)
    variant = compile_variant(layout, shared, changed, sender=sender)
    with pytest.raises(UndefinedValue, match=r"customer\.city"):
        render(variant, ines)
    bath = RecipientContext({"customer": {"city": "Bath"}}, ines.links)
    assert "See you in Bath" in render(variant, bath).text


def test_a_name_can_be_anything(variant, ines):
    name = "</title><script>{{ x }}\r\nBcc: a@b.example\u202e"
    mail = render(
        variant, RecipientContext({"customer": {"first_name": name}}, ines.links)
    )
    assert "<script" not in mail.html
    assert len(mail.subject.splitlines()) == 1
    assert "\u202e" not in mail.text
    assert "Hello </title><script>{{ x }}  Bcc: a@b.example," in mail.text


def test_a_subject_that_grows_too_long_skips_that_person(variant, ines):
    person = RecipientContext({"customer": {"first_name": "x" * 300}}, ines.links)
    with pytest.raises(TemplateError, match="at most 200"):
        render(variant, person)


def test_a_shop_name_is_text_and_no_template(layout, shared, words, sender, ines):
    odd = replace(sender, shop_name="Tom's <b> & {{ x }}")
    with pytest.raises(TemplateError) as caught:
        compile_variant(layout, shared, words, sender=odd)
    assert caught.value.problems[0].part == "sender"


def test_nothing_outside_names_the_tone(designs, sender):
    design = designs["service"]
    links = Links("https://mail.example.com", 77, ["k" * 20])
    for tone, words in design.words.items():
        variant = compile_variant(design.layout, design.shared, words, sender=sender)
        mail = render(variant, RecipientContext({}, links))
        assert tone not in " ".join(re.findall(r"<[^>]*>", mail.html)).lower()
        assert tone not in json.dumps(mail.headers).lower()
