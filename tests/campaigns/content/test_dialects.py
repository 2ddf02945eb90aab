import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.content.dialects import (
    DIALECTS,
    mark_for,
    refuse_code,
    refuse_code_in_headers,
    stencil,
)
from campaigns.content.problems import TemplateError
from campaigns.content.render import fill, render
from campaigns.sending.channels.calls import CALLS

NAMES = pytest.mark.parametrize("name", list(DIALECTS))
SIGNS = ["%", "%%", "%recipient.", "%recipient.s0%", "%unsubscribe_url%", "-s0-", "-"]
SIGNS += ["{", "}", "{{", "}}", "\\", "{{x}}", "{{{x}}}", "{{#if x}}", "a{b:c}"]
SIGNS += ["width:100%;", "%20", "%c3%a9", "50%off", "x", " ", "\n", "é", "🌱", "שלום"]
TEXT = st.lists(st.sampled_from(SIGNS), max_size=6).map("".join)


def as_the_provider_fills_it(fill_in, name, spelled, values):
    """Its own way of filling in, given the values under the names it knows."""
    before, after = DIALECTS[name].before, DIALECTS[name].after
    if name in {"sparkpost", "amazon_ses"}:
        known = {**dict(zip(spelled.keys, values, strict=True)), **spelled.constants}
        return fill_in(spelled.text, known)
    known = {**dict(zip(spelled.keys, values, strict=True)), **spelled.constants}
    if name == "mailgun":
        return fill_in(spelled.text, {f"recipient.{k}": v for k, v in known.items()})
    return fill_in(spelled.text, {f"{before}{k}{after}": v for k, v in known.items()})


@NAMES
@given(st.lists(st.tuples(TEXT, TEXT), max_size=5), TEXT)
def test_a_provider_that_fills_in_gets_what_joining_gives(emulators, name, pairs, end):
    static, values = [*(one[0] for one in pairs), end], [one[1] for one in pairs]
    mark = mark_for("0123456789abcdef" * 4, [*static, *values])
    spelled = stencil(static, DIALECTS[name], part="h", mark=mark)
    joined = "".join(a + b for a, b in zip(static, [*values, ""], strict=True))
    filled = as_the_provider_fills_it(emulators[name], name, spelled, values)
    assert filled == joined


@NAMES
def test_keys_are_letters_and_digits(name):
    spelled = stencil(["%a%", "%b%", ""], DIALECTS[name], part="t", mark="sabc")
    keys = [*spelled.keys, *spelled.constants]
    assert all(re.fullmatch(r"[a-z0-9]+", key) for key in keys)
    assert len(set(keys)) == len(keys)


def test_a_mark_is_never_one_that_a_text_holds():
    assert mark_for("aaaaaabbbbbb", ["x", "y"]) == "saaaaaa"
    assert mark_for("aaaaaabbbbbb", ["xsaaaaaay", ""]) == "saaaaab"
    with pytest.raises(TemplateError):
        mark_for("aaaaaaaa", ["saaaaaa"])


@NAMES
def test_what_is_the_same_for_all_is_told_once(name, variant):
    whole = variant.html.static
    spelled = stencil(whole, DIALECTS[name], part="h", mark="s0")
    own = sum(map(len, spelled.constants.values()))
    assert len(spelled.text) > 0.9 * sum(map(len, whole))
    assert own < 0.01 * sum(map(len, whole))


def test_slots_filled_alone_are_the_rendered_mail(variant, ines):
    slots, email = fill(variant, ines), render(variant, ines)
    assert variant.html.filled(slots.html) == email.html
    assert variant.text.filled(slots.text) == email.text
    assert (slots.subject, slots.headers) == (email.subject, email.headers)


@pytest.mark.parametrize("name", ["brevo", "unisender_go"])
def test_text_that_a_provider_would_read_as_code_is_refused(name):
    refuse_code(name, "a { b } 100% {", "{ {")
    with pytest.raises(TemplateError, match="its own code"):
        refuse_code(name, "fine", "{{ x }}")


@pytest.mark.parametrize("code", ["{{ x }}", "x }}"])
def test_an_address_or_a_header_that_a_provider_would_read_as_code_is_refused(code):
    refuse_code_in_headers("sparkpost", "a{b}@example.com", "<https://shop.example>")
    with pytest.raises(TemplateError, match="its own code"):
        refuse_code_in_headers("sparkpost", "ann@example.com", code)
    refuse_code_in_headers("postmark", code)


BRACES = ["a", "{", "}", "\\", "{{", "}}", "\n"]


@pytest.mark.parametrize("name", ["amazon_ses", "sparkpost"])
@given(st.lists(st.lists(st.sampled_from(BRACES), max_size=6).map("".join), min_size=1))
def test_no_brace_or_backslash_of_a_text_touches_a_placeholder_or_is_code(name, static):
    dialect = DIALECTS[name]
    spelled = stencil(static, dialect, part="t", mark="s0")
    for key in (*spelled.keys, *spelled.constants):
        before, after = spelled.text.split(dialect.placeholder(key), 1)
        assert not before.endswith(("{", "\\"))
        assert not after.startswith("}")
    assert "{{" not in re.sub(r"\{\{\w+\}\}", "|", spelled.text)


def test_every_dialect_is_one_that_ten_thousand_customers_get_mail_in():
    # tests/campaigns/sending/test_many.py mails them through each of these.
    assert {*DIALECTS} <= {*CALLS}


def test_others_read_nothing():
    refuse_code("postmark", "{{ x }} {% if %} %recipient.x%")
