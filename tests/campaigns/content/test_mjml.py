import json
import subprocess
import sys
from pathlib import Path

import pytest

from campaigns.content import mjml
from campaigns.content.mjml import compile_layout, lint
from campaigns.content.problems import TemplateError

ROOT = Path(__file__).parents[3]


def _in_column(inner):
    return (
        "<mjml><mj-body><mj-section><mj-column>\n"
        f"{inner}\n</mj-column></mj-section></mj-body></mjml>"
    )


def _in_text(inner):
    return _in_column(f"<mj-text>{inner}</mj-text>")


@pytest.mark.parametrize(
    ("layout", "line", "column", "said", "instead"),
    [
        (_in_column("<mj-txt>a</mj-txt>"), 2, 1, "no tag <mj-txt>", "mj-text"),
        (_in_column('<mj-text colour="#333">a</mj-text>'), 2, 10, "colour", "color"),
        (_in_column('<mj-text font-size="big">a</mj-text>'), 2, 10, "big", "16px"),
        (
            _in_column('<mj-text color="greenish">a</mj-text>'),
            2,
            10,
            "green",
            "#1f4a3a",
        ),
        (_in_column('<mj-text padding="1 2">a</mj-text>'), 2, 10, "1 2", "44px"),
        (_in_column("<mj-text>a"), 2, 1, "not closed before", "</mj-text>"),
        (_in_column("</mj-text>"), 2, 1, "closes nothing", "<mj-text>"),
        (_in_column("loose words"), 1, 39, "Text cannot stand", "<mj-text>"),
        (_in_column("<p>a</p>"), 2, 1, "<p> cannot stand", "<mj-text>"),
        (_in_column("<mj-section></mj-section>"), 2, 1, "cannot stand", "mj-body"),
        (_in_text("1 < 2"), 2, 12, "bare <", "&lt;"),
        (_in_text("<a href=x>a</a>"), 2, 13, "no value in quotes", 'href="…"'),
        (_in_text("<a href='x' href='y'>a</a>"), 2, 22, "stands twice", "one"),
        (_in_text("{{ a"), 2, 10, "{{ is not closed", "}}"),
        (_in_text("{% if a %}"), 2, 1, "begins inside", "same tag"),
        (_in_text("&#123;&#123; a }}"), 2, 10, "entity spells", "plainly"),
        (_in_text("<!--[if mso]>x<![endif]-->"), 2, 10, "Outlook", "Delete"),
        (
            _in_column('<mj-include path="/etc/passwd" />'),
            2,
            1,
            "mj-include",
            "elsewhere",
        ),
        (_in_column("<mj-raw><b>x</b></mj-raw>"), 2, 1, "mj-raw", "mj-text"),
        (
            _in_column('<mj-block name="footer" kind="footer"/>'),
            2,
            1,
            "stand",
            "mj-text",
        ),
        ("words", 1, 1, "one <mjml> element", "</mjml>"),
        ("<mjml></mjml>", 1, 1, "<mj-body> is missing", "mj-body"),
    ],
)
def test_a_mistake_is_found_with_its_place_and_what_to_write(
    layout, line, column, said, instead
):
    problem = lint(layout)[0]
    assert said in problem.message
    assert instead in problem.hint
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        '<p onclick="alert(1)">x</p>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="  JaVaScRiPt:alert(1)">x</a>',
        '<a href="java&#115;cript:alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<a href="{{ customer.url }}">x</a>',
        '<a href="https://{{ customer.host }}/">x</a>',
        '<img src="javascript:alert(1)">',
        '<p style="background:url(https://evil.example)">x</p>',
        '<p style="width:expression(alert(1))">x</p>',
        '<p style="x:\\75rl(y)">x</p>',
        '<p style="color:{{ a }}">x</p>',
        '<p class="{{ a }}">x</p>',
        "<iframe></iframe>",
        "<form><input></form>",
        "<svg><script>x</script></svg>",
        '<meta http-equiv="refresh" content="0">',
        "<style>p{}</style>",
        "<!--<script>-->x<!-- {{ -->",
        "<b<script>x</script>",
        "<![CDATA[x]]>",
    ],
)
def test_nothing_that_runs_or_loads_gets_through(inner):
    with pytest.raises(TemplateError) as caught:
        compile_layout(_in_text(inner))
    assert caught.value.problems[0].hint


@pytest.mark.parametrize(
    "css",
    [
        "@import 'x';",
        "p{background:url(x)}",
        "</style><script>",
        "p{x:{{ a }}}",
        "\\75rl(",
    ],
)
def test_a_style_can_load_and_run_nothing(css):
    head = f"<mj-head><mj-style>{css}</mj-style></mj-head>"
    layout = _in_text("a").replace("<mj-body>", f"{head}<mj-body>")
    assert lint(layout)


def test_what_the_compiler_makes_for_outlook_stays():
    html = compile_layout(_in_text("a"))
    assert "<!--[if mso | IE]>" in html
    assert "<![endif]-->" in html


def test_liquid_comes_out_as_it_went_in():
    source = '{{ a | default: "<you>" }} {% if b < 3 %}é & more{% endif %}'
    assert '{{ a | default: "<you>" }} {% if b < 3 %}é &amp; more{% endif %}' in (
        compile_layout(_in_text(source))
    )


def test_a_condition_may_go_round_a_row_of_the_layout():
    text = "<mj-text>x</mj-text>"
    css = '<mj-head><mj-style inline="inline">p{margin:0}</mj-style></mj-head>'
    layout = _in_column(f"{{% if a %}}{text}{{% endif %}}")
    html = compile_layout(layout.replace("<mj-body>", f"{css}<mj-body>"))
    assert "<tbody>{% if a %}<tr>" in html.replace("\n", "")
    assert "</tr>{% endif %}</tbody>" in html.replace("\n", "")


def test_inline_styles_are_written_into_their_tags_and_the_head_keeps_the_others():
    head = (
        '<mj-head><mj-style inline="inline">.p{margin:7px}</mj-style>'
        "<mj-style>@media (max-width:9px){.p{margin:0}}</mj-style></mj-head>"
    )
    layout = _in_text('<p class="p">a</p>').replace("<mj-body>", f"{head}<mj-body>")
    html = compile_layout(layout)
    assert '<p class="p" style="margin: 7px' in html
    assert "@media (max-width:9px){.p{margin:0}}" in html


def test_a_values_in_an_address_may_stand_behind_the_host():
    href = "https://shop.example/?id={{ customer.id | url_encode }}"
    assert lint(_in_text(f'<a href="{href}">a</a>')) == []


def test_no_font_is_fetched_from_elsewhere():
    assert "<link" not in compile_layout(_in_text("in the compiler's own font"))


def test_a_panic_of_the_compiler_becomes_a_clear_error(capfd):
    with pytest.raises(TemplateError, match="compiler gave up"):
        mjml._run_compiler("<mjml><mj-body><p>éw>")


def test_inline_styles_that_cannot_be_read_are_a_clear_error():
    head = '<mj-head><mj-style inline="inline">p{margin:0}</mj-style></mj-head>'
    layout = _in_text('<p style="x">a</p>').replace("<mj-body>", f"{head}<mj-body>")
    with pytest.raises(TemplateError, match="inline styles could not be read"):
        compile_layout(layout)


def test_the_footer_cannot_be_made_conditional():
    layout = _in_text('<mj-block name="footer" kind="footer" />')
    layout = layout.replace("<mj-text>", "{% if a %}<mj-text>")
    layout = layout.replace("</mj-text>", "</mj-text>{% endif %}")
    assert "could be left out" in lint(layout)[0].message


@pytest.mark.parametrize(
    "layout",
    ["<b>" * 30_000, "<mjml>" * 15_000, "<mjml><mj-body>" + "<mj-section>" * 7_000],
)
def test_nesting_that_would_end_the_process_is_refused(layout):
    assert any("100 levels" in problem.message for problem in lint(layout))


def test_a_layout_that_is_too_long_is_refused():
    assert "at most 100,000 characters" in lint("<mjml>" + " " * 100_000)[0].message


_FUZZ = """
import json, random, sys, time
from campaigns.content.mjml import compile_layout
from campaigns.content.problems import TemplateError
source, rounds = json.load(sys.stdin)
rng = random.Random(20260302)
pieces = [
    "<", ">", "</", "/>", "'", '"', "é", "{{", "}}", "{% if a %}", "&", "<p>", "=",
    "ß<",
    "<mj-text>", "</mj-section>", "<!--", "-->", "\\ue000", "\\x00", "\\ud800",
    "zqattune0z",
]
compiled = refused = 0
slowest = 0.0
for _ in range(rounds):
    text = source
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text))
        match rng.randrange(4):
            case 0: text = text[:at] + rng.choice(pieces) + text[at:]
            case 1: text = text[:at] + text[at + rng.randint(1, 40):]
            case 2: text = text[:at] + text[at:at + 60] + text[at:]
            case 3: text = text[:at] + rng.choice(pieces) + text[at + 1:]
    start = time.process_time()
    try:
        compile_layout(text)
        compiled += 1
    except TemplateError as error:
        assert error.problems and all(p.message and p.line for p in error.problems)
        refused += 1
    slowest = max(slowest, time.process_time() - start)
print(json.dumps([compiled, refused, slowest]))
"""


def _fuzz(source, rounds):
    ran = subprocess.run(
        [sys.executable, "-c", _FUZZ],
        input=json.dumps([source, rounds]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    return json.loads(ran.stdout)


def test_two_thousand_broken_layouts_end_in_a_mail_or_a_clear_error():
    inner = (
        '<mj-text font-size="16px">Grüße {{ a }} <b>é</b> &amp; '
        '<a href="https://x.example">ü</a><br>{% if b %}x{% endif %}</mj-text>'
        '<mj-button href="https://x.example">ö</mj-button>'
        '<mj-image src="https://x.example/a.png" alt="à" />'
    )
    compiled, refused, slowest = _fuzz(_in_column(inner), 2_000)
    assert compiled + refused == 2_000
    assert compiled > 20
    assert refused > 100
    assert slowest < 1


@pytest.mark.slow
def test_the_starter_layouts_stand_a_longer_fuzzing(designs):
    for design in designs.values():
        compiled, refused, _ = _fuzz(design.layout, 3_000)
        assert compiled + refused == 3_000


def test_every_tag_that_is_allowed_compiles():
    picture = "https://shop.example/a.png"
    column = (
        f'<mj-image src="{picture}" alt="a" href="https://shop.example" />'
        '<mj-divider border-width="1px" /><mj-spacer height="9px" />'
        "<mj-table><tr><th>a</th></tr><tr><td>b</td></tr></mj-table>"
        '<mj-navbar><mj-navbar-link href="https://shop.example">n</mj-navbar-link>'
        "</mj-navbar><mj-social><mj-social-element "
        f'href="https://shop.example" src="{picture}" alt="s">s</mj-social-element>'
        "</mj-social>"
    )
    layout = (
        '<mjml lang="en"><mj-head><mj-breakpoint width="500px" /><mj-attributes>'
        '<mj-all color="#333" /><mj-class name="big" font-size="20px" />'
        '<mj-text font-size="16px" /></mj-attributes><mj-title>t</mj-title></mj-head>'
        f'<mj-body><mj-wrapper><mj-section background-url="{picture}"><mj-group>'
        f"<mj-column>{column}</mj-column></mj-group></mj-section></mj-wrapper>"
        f'<mj-hero background-url="{picture}" background-height="99px" '
        'background-width="600px"><mj-text mj-class="big">h</mj-text></mj-hero>'
        "</mj-body></mjml>"
    )
    assert lint(layout) == []
    assert picture in compile_layout(layout)
