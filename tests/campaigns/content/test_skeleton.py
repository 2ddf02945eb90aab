import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaigns.content.data import plain_data
from campaigns.content.links import InertLinks, Links, UntrackedLinks
from campaigns.content.problems import TemplateError, UndefinedValue
from campaigns.content.skeleton import Skeleton

LINKS = Links("https://mail.example.com", 77, ["a key with more than 16 letters"])
UNTRACKED = UntrackedLinks(
    "https://mail.example.com",
    77,
    ["a key with more than 16 letters"],
    ["https://shop.example/?a=1&b=2"],
)
PIECES = [
    "Hello ",
    "<p>&amp;</p>",
    "\n",
    "{{ customer.first_name }}",
    '{{ customer.first_name | default: "there" }}',
    "{{ customer.first_name | default: 'a' | upcase }}",
    "{{ customer.city | default: customer.first_name }}",
    "{{ customer.first_name.size }}",
    "{{ customer.orders }}",
    "{{ customer.orders | plus: 1 }}",
    "{{- customer.city -}}",
    "{{ links.click_0 }}",
    "{{ links.unsubscribe }}",
    "{% if links.pixel %}<img>{% endif %}",
    "{% if customer.city %} in {{ customer.city }}{% else %} far{% endif %}",
    "{% for i in (1..3) %}{{ i }}{{ forloop.last }}{% endfor %}",
    "{% assign a = customer.first_name %}",
    "{% if true %}{% assign customer = 'x' %}{% endif %}",
    "{{ a | default: 'none' }}",
    "{% if customer.vip %}{{ customer.orders }}{{ customer.city }}{% endif %}",
    "{% if customer %}<{{ customer.first_name | default: '<' }}>{% endif %}",
    "{% if customer.first_name %} {% else %}\n{% endif %}",
    "{% if customer.first_name.size %}long{% endif %}",
    "{% if links.click_0 %}x{% endif %}{% if links.nope %}y{% endif %}",
    "{% unless customer.vip %}no{% endunless %}",
    "{% case customer.orders %}{% when 1 %}one{% else %}more{% endcase %}",
    "{% comment %} {{ x }} {% endcomment %}",
]
VALUES = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(["<b>&'\"", "{{ a }}", "a\r\nb", "שלום", "🌱", " ", "\ud800"]),
    st.integers(-5, 5),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)


def _outcome(render, data, links):
    try:
        return render(data, links)
    except (TemplateError, UndefinedValue) as error:
        return type(error), str(error)


@given(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["first_name", "city", "orders", "vip"], VALUES)
    ),
    st.sampled_from(["html", "text", "line"]),
    st.sampled_from([LINKS, UNTRACKED, InertLinks()]),
)
@example("{{ customer.first_name }}", {"first_name": ""}, "html", LINKS)
def test_filling_the_slots_gives_what_rendering_the_whole_gives(
    source, customer, mode, links
):
    skeleton = Skeleton(source, mode)
    data = plain_data({"customer": customer})
    whole = _outcome(skeleton.render_whole, data, links)
    assert _outcome(skeleton.render, data, links) == whole


def test_text_stays_and_every_value_and_block_is_one_slot():
    source = "Hi {{ a }}, {% if b %}{{ c }}{% endif %}bye"
    skeleton = Skeleton(source, "text")
    assert skeleton.static == ("Hi ", ", ", "bye")
    assert len(skeleton.slots) == 2


def test_the_values_of_the_slots_can_be_had_alone():
    skeleton = Skeleton('{{ a }} & {{ links.click_2 }} {{ b | default: "<" }}', "html")
    assert skeleton.slot_values({"a": "<Ines>"}, LINKS) == [
        "&lt;Ines&gt;",
        LINKS.click(2),
        "&lt;",
    ]


def test_a_direct_link_is_escaped_in_html():
    html = Skeleton('<a href="{{ links.click_0 }}">', "html").render({}, UNTRACKED)
    assert html == '<a href="https://shop.example/?a=1&amp;b=2">'


def test_a_link_that_a_message_does_not_have_is_undefined():
    skeleton = Skeleton("{{ links.pixel }}", "html")
    with pytest.raises(UndefinedValue, match=r"links\.pixel"):
        skeleton.render({}, UNTRACKED)


def test_a_mail_that_grows_too_long_is_refused():
    skeleton = Skeleton("{{ a }}" * 60, "text")
    with pytest.raises(TemplateError, match="has 204,000 bytes"):
        skeleton.render({"a": "x" * 4_000}, LINKS)


def test_a_stored_skeleton_renders_the_same():
    skeleton = Skeleton("Hi {{ a }}", "html")
    again = Skeleton(json.loads(json.dumps(skeleton.source)), "html")
    assert again.render({"a": "é"}, LINKS) == skeleton.render({"a": "é"}, LINKS)
