import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.content.liquid import (
    check,
    parse,
    render_whole,
    scan,
    variables_used,
    without_default,
)
from campaigns.content.problems import TemplateError, UndefinedValue

# Templates that would eat time or memory; each is tried in a process of its own that
# the kernel stops after 20 seconds of work or at 1 GB.
HOSTILE = [
    "{% for i in (1..30000000) %}x{% endfor %}",
    "{% for i in (1..1000000000) reversed %}x{% endfor %}",
    "{% for i in (1..1000000000) offset: 999999999 %}x{% endfor %}",
    "{% for i in (1..2000) %}{% for j in (1..2000) %}x{% endfor %}{% endfor %}",
    "{% assign r = (1..100000000) %}{{ r | join: ',' }}",
    "{% assign r = (1..100000000) %}{{ r | size }}{{ r | last }}",
    "{{ (1..100000000000) | first }}",
    "{% assign a = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' %}"
    + "{% assign a = a | append: a %}" * 40
    + "{{ a }}",
    "{{ 'a'" + " | replace: 'a', 'aaaaaaaaaaaaaaaaaaaa'" * 8 + " }}",
    "{{ ''" + " | replace: '', 'aaaaaaaaaaaaaaaaaaaa'" * 8 + " }}",
    "{{ 9" + " | times: 999999999999999" * 8 + " }}",
    "{{ " + "9" * 900 + " | times: 9 }}",
    "{% for i in (1..2000) %}" + "a" * 900 + "{% endfor %}",
    "{% for i in (1..2000) %}{% assign a" + "b" * 400 + " = i %}{% endfor %}",
    "{% if a %}" * 5000,
    "{% if a %}" * 60 + "x" + "{% endif %}" * 60,
    "{{ a" + "[a" * 400 + "]" * 400 + " }}",
    "{{" * 50_000,
    "{%" * 50_000,
    "{{ " + " " * 90_000 + "x",
    "{% raw %}" * 10_000,
    "{% comment %}" * 10_000,
    "{{ 'a' | truncate: 1000000000, 'b' }}{{ 'a' | slice: 0, 1000000000 }}",
    "{{ 1 | divided_by: 0 }}{{ 1.5 | modulo: 0 }}",
    "{{ 1e400 }}{{ 'x' | times: 3 }}{{ nil | upcase }}",
    "{{ customer | append: customer }}",
    "{% case customer.a %}" + "{% when 1 %}x" * 4000 + "{% endcase %}",
    "{% assign x = 'a' %}{% for i in x %}{{ i | append: i | append: i }}{% endfor %}",
]
# As large as a compiled mail may be, and nothing wrong with it.
PLAIN = "{{ customer.a }}" * 11_000
TIMES_PLAIN = 6
_RUN = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from campaigns.content.liquid import parse, render_whole
from campaigns.content.problems import TemplateError, UndefinedValue
results = []
for source in json.load(sys.stdin):
    start = time.process_time()
    try:
        size = len(render_whole(parse(source, "html"), source, {"customer": {"a": 1}}))
    except (TemplateError, UndefinedValue):
        size = -1
    results.append((size, time.process_time() - start))
print(json.dumps(results))
"""


def _written(source, mode="html", **data):
    return render_whole(parse(source, mode), source, data)


def test_hostile_templates_are_stopped_soon_and_small():
    ran = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps([PLAIN, *HOSTILE]),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=True,
    )
    (_, plain), *results = json.loads(ran.stdout)
    assert len(results) == len(HOSTILE)
    assert max(size for size, _ in results) <= 200_000
    assert max(seconds for _, seconds in results) < TIMES_PLAIN * plain


def test_data_is_escaped_in_html():
    assert _written("{{ a }}", a="<b>&\"'") == "&lt;b&gt;&amp;&quot;&#x27;"


@pytest.mark.parametrize(
    "source",
    [
        "{{ '<script>' }}",
        "{{ '%3Cscript%3E' | replace: '%3C', '<' }}",
        "{{ 'script' | prepend: '<' }}",
        "{% assign a = '<script>' %}{{ a | escape }}",
    ],
)
def test_what_a_template_spells_itself_is_escaped_as_well(source):
    assert "<" not in _written(source)


def test_text_and_subjects_are_not_escaped():
    assert _written("{{ a }}", "text", a="Ines & <co>") == "Ines & <co>"


@pytest.mark.parametrize("mode", ["html", "text", "line"])
def test_no_value_can_start_a_new_line(mode):
    written = _written("{{ a }}", mode, a="x\r\nBcc: y\u2028z\x00\x85\u202etxt")
    assert written == "x  Bcc: y z  txt"


def test_delimiters_in_data_are_text():
    assert _written("{{ a }}", "text", a="{{ b }}{% if %}") == "{{ b }}{% if %}"


@pytest.mark.parametrize("value", ["שלום", "مرحبا", "日本", "Zoë 🌱", "o’Neill"])
def test_names_of_any_script_come_through(value):
    assert _written("{{ a }}", a=value) == value


def test_what_we_do_not_know_is_named_as_the_template_spells_it():
    with pytest.raises(UndefinedValue) as caught:
        _written("Hi {{ customer.nick }}", customer={"first_name": "Ines"})
    assert caught.value.name == "customer.nick"
    assert "default" in str(caught.value)


def test_a_default_stands_in_for_what_we_do_not_know():
    assert _written('{{ customer.nick | default: "there" }}', customer={}) == "there"


def test_what_we_do_not_know_is_false():
    assert _written("{% if customer.nick %}a{% else %}b{% endif %}", customer={}) == "b"


@pytest.mark.parametrize(
    ("source", "line", "column", "said"),
    [
        ("a\n{{ b", 2, 1, "{{ is not closed"),
        ("{% if a %}x", 1, 1, "{% if %} is not closed"),
        ("ab{% endif %}", 1, 3, "{% endif %} closes nothing"),
        ("{% for a in b %}\n{% endif %}{% endfor %}", 2, 1, "closes nothing"),
        ("{% include 'x' %}", 1, 1, "{% include %} is not a tag"),
        ("{% render 'x' %}", 1, 1, "{% render %} is not a tag"),
        ("{% raw %}x{% endraw %}", 1, 1, "{% raw %} is not a tag"),
        ("{% capture a %}x{% endcapture %}", 1, 1, "{% capture %} is not a tag"),
        ("{% break %}", 1, 1, "outside of a loop"),
        ("{{ a | safe }}", 1, 8, "no filter 'safe'"),
        ("{{ a | date: '%s' }}", 1, 8, "no filter 'date'"),
        ("{{ a }}\n {{ b | nope }}", 2, 9, "no filter 'nope'"),
        ("{{ a" + " | upcase" * 9 + " }}", 1, 4, "through 9 filters"),
        ("{{ now }}", 1, 4, "no clock"),
        ("{{ }}", 1, 1, "Expected"),
        ("x\x00", 1, 2, "no text"),
        ("ab {% if a == %}{% endif %}", 1, 4, "."),
        ("{% if a %}\n{% elsif %}{% endif %}", 2, 4, "."),
    ],
)
def test_a_mistake_is_found_with_its_place(source, line, column, said):
    with pytest.raises(TemplateError) as caught:
        parse(source, "html")
    problem = caught.value.problems[0]
    assert said in problem.message
    assert (problem.line, problem.column) == (line, column)


def test_a_mistake_says_which_part_it_is_in():
    with pytest.raises(TemplateError, match="subject, line 1, column 1"):
        check("{{ a", "line", "subject")


def test_a_group_of_values_is_not_written_out():
    with pytest.raises(TemplateError, match="group of values"):
        _written("{{ customer }}", customer={"a": 1})


@given(st.text(alphabet="{}%| ab.:'\"<>=[]()1,-\n#", max_size=60))
def test_whatever_is_typed_is_a_mail_or_a_clear_error(source):
    try:
        outcome = _written(source, a={"b": "x"}, b="y")
    except (TemplateError, UndefinedValue) as error:
        outcome = str(error)
    assert isinstance(outcome, str)


@given(st.text(alphabet="{}%ab -", max_size=40))
def test_the_pieces_of_a_template_are_the_template(source):
    try:
        tokens = scan(source)
    except TemplateError:
        return
    assert "".join(token.source for token in tokens) == source
    assert [token.start for token in tokens] == sorted({t.start for t in tokens})


def test_the_data_a_template_asks_for_are_known():
    source = '{{ customer.first_name | default: "x" }}'
    source += "{% if order.late %}{{ shop.name }}{% endif %}"
    assert variables_used(source) == ("customer.first_name", "order.late", "shop.name")


def test_values_without_a_default_are_found_with_their_place():
    source = "{{ shop.name }}\n{{ customer.city }}{% if a %}{{ a }}{% endif %}"
    assert without_default(source) == [("customer.city", 2, 1)]
