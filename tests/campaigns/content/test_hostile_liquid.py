"""Templates that mean harm: they get at nothing, and cost little."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from campaigns.content.headers import HeaderProblem, header_safe
from campaigns.content.liquid import parse, render_whole
from campaigns.content.problems import TemplateError, UndefinedValue

CUSTOMER = {"first_name": "Ines", "a": 1}
LONG_CONDITION = " and ".join(["a == a"] * 90)
# As large as a compiled mail may be, with nothing wrong: what the others may cost is
# told by it, since machines differ.
PLAIN = {"plain": "{{ a }}" * 27_000}
TIMES_PLAIN = 4
# As large as well; whatever grows does it in a loop.
LARGE = {
    "breaks outside": "{% if a %}" * 10_000 + "{% break %}" * 9_000,
    "unknown tags": "{% x %}" * 28_000,
    "the last is wrong": "{{ a }}" * 27_000 + "{% if a == %}{% endif %}",
    "unknown filters": "{{ a | nope }}" * 14_000,
    "many loops": "{% for i in (1..2000) %}{% endfor %}" * 5_500,
    "a long loop": (
        "{% for i in (1..2000) %}" + "{%if a%}{%endif%}" * 11_000 + "{% endfor %}"
    ),
    "assign in a loop": (
        "{% for i in (1..2000) %}" + "{%assign b=a%}" * 13_000 + "{% endfor %}"
    ),
    "loops in a loop": (
        "{% for i in (1..44) %}{% for j in (1..44) %}"
        + "{%if a%}{%endif%}" * 11_000
        + "{% endfor %}{% endfor %}"
    ),
    "conditions": (
        "{% for i in (1..2000) %}{% if " + LONG_CONDITION + " %}{% endif %}{% endfor %}"
    ),
    "cases": (
        "{% for i in (1..2000) %}{% case i %}"
        + "{% when 'x' %}" * 12_000
        + "{% endcase %}{% endfor %}"
    ),
    "elsif": "{% if b %}" + "{% elsif b %}" * 15_000 + "{% endif %}",
    "filters in a loop": (
        "{% for i in (1..2000) %}{{ 'é' | replace: '', '"
        + "é" * 200
        + "' | replace: '', 'éé' | url_encode | upcase | squish | url_encode | size }}"
        "{% endfor %}"
    ),
    "blanks": (
        "{% for i in (1..2000) %}{{ ' ' | replace: '', '"
        + " " * 900
        + "' | replace: ' ', '    ' | squish | strip | lstrip | rstrip }}{% endfor %}"
    ),
    "joins": "{% assign r = (1..2000) %}" + "{{ r | join | size }}" * 9_000,
    "words": "{{ 'a' | replace: '', ' a a' | truncatewords: 100000000 }}" * 3_000,
    "white space": "{{- a -}} " * 20_000,
    "remarks": "{% # x\n# y %}" * 15_000,
}
SMALL = {
    "round to the right": "{{ 1.5 | round: 999999999999999999 }}",
    "round to the left": "{{ 10 | round: -999999999999999999 }}",
    "a long path": "{{ a" + ".b" * 480 + " }}",
    "a deep path": "{{ a" + "['b'" * 200 + "]" * 200 + " }}",
    "brackets": "{{ " + "(" * 900 + " }}",
    "a long condition": "{% if " + LONG_CONDITION + " %}x{% endif %}",
    "nothing replaced": "{{ a | remove: '' | replace: '', '' | replace_first: '' }}",
    "a slice of all": "{{ 'abc' | slice: -999999999999999999, 999999999999999999 }}",
    "cut to nothing": "{{ 'abc' | truncate: -999999999999999999 }}",
    "a glue": "{{ (1..2000) | join: '" + "x" * 900 + "' | size }}",
    "backwards": "{% for i in (999999999999..1) %}x{% endfor %}",
    "a limit": "{% for i in (1..9) limit: 999999999999999999999 %}x{% endfor %}",
    "numbers": "{{ 0.1 | times: 1e308 | times: 1e308 }}{{ 1e18 | plus: 1e18 }}",
    "a huge exponent": "{{ 1e999999999 }}{{ '1e999999999' | plus: 1 }}",
    "digits": "{{ '" + "9" * 900 + "' | plus: 1 }}",
    "other digits": "{{ '\u0661\u0662' | plus: 1 }}{{ '²' | plus: 1 }}",
    "a quote": "{{ 'a }}' }}{% if 'x %}",
    "loop names": "{% for forloop in (1..3) %}{{ forloop }}{% endfor %}",
    "the loop itself": "{% for i in (1..3) %}{{ forloop }}{% endfor %}",
}
_RUN = """
import json, resource, sys, time
from campaigns.content.liquid import parse, render_whole
from campaigns.content.problems import TemplateError, UndefinedValue
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (192 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
results = {}
for name, source in json.load(sys.stdin).items():
    for mode in ("html", "line"):
        start = time.process_time()
        try:
            data = {"a": "x", "customer": {"first_name": "Ines"}}
            size = len(render_whole(parse(source, mode), source, data))
        except (TemplateError, UndefinedValue) as error:
            size = -len(str(error))
        results[f"{name}, {mode}"] = (size, time.process_time() - start)
print(json.dumps(results))
"""


def _results(templates):
    ran = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps(templates),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    "templates", [SMALL, pytest.param(LARGE, marks=pytest.mark.slow)], ids=["s", "l"]
)
def test_a_hostile_template_takes_little_time_and_memory(templates):
    results = _results(PLAIN | templates)
    assert len(results) == 2 * len(templates) + 2
    assert {name: size for name, (size, _) in results.items() if size > 200_000} == {}
    # An error, too, is something to read.
    assert {name: size for name, (size, _) in results.items() if size < -9_000} == {}
    most = TIMES_PLAIN * max(
        took for name, (_, took) in results.items() if "plain, " in name
    )
    assert {name: took for name, (_, took) in results.items() if took > most} == {}


class Guarded:
    """What must never get into a template's data, and shall tell nothing if it does."""

    secret = "TELLTALE"
    __html__ = __liquid__ = lambda self: "TELLTALE"

    def __getitem__(self, name):
        return "TELLTALE"


@pytest.mark.parametrize(
    "name",
    "__class__ __dict__ __doc__ __init__ __globals__ __mro__ __subclasses__ secret "
    "items keys values get pop format mro func_globals gi_frame _data env".split(),
)
@pytest.mark.parametrize("place", ["customer", "list", "text", "number"])
def test_no_attribute_of_anything_can_be_reached(name, place):
    data = {"customer": dict(CUSTOMER), "list": ["x"], "text": "x", "number": 1}
    for source in (f"{place}.{name}", f"{place}['{name}']", f"{place}.{name}.{name}"):
        with pytest.raises((TemplateError, UndefinedValue)):
            render_whole(parse(f"{{{{ {source} }}}}", "text"), source, data)
        shown = f"{{% if {source} %}}reached{{% endif %}}"
        assert render_whole(parse(shown, "text"), shown, data) == ""


@pytest.mark.parametrize(
    "tag",
    "include render capture tablerow increment decrement cycle ifchanged liquid echo "
    "extends block macro call raw doc layout section style import from load with "
    "autoescape debug ssi url translate".split(),
)
def test_no_other_tag_is_known(tag):
    with pytest.raises(TemplateError, match="not a tag"):
        parse(f"{{% {tag} 'x' %}}{{% end{tag} %}}", "html")


@pytest.mark.parametrize(
    "name",
    "safe date map where sort sort_natural uniq compact concat sum find reject split "
    "base64_encode base64_decode strip_html newline_to_br json t translate currency "
    "attr format eval index script_tag stylesheet_tag unit datetime".split(),
)
def test_no_other_filter_is_known(name):
    with pytest.raises(TemplateError, match="no filter"):
        parse(f"{{{{ a | {name}: 'x' }}}}", "html")


def test_data_that_hold_themselves_end_in_a_clear_error():
    ring = ["x"]
    ring += [ring, ring]
    knot = {"a": 1}
    knot["knot"] = knot
    for source in ("{{ ring }}", "{{ ring | join }}", "{{ knot.knot.knot }}"):
        with pytest.raises(TemplateError):
            render_whole(parse(source, "html"), source, {"ring": ring, "knot": knot})
    source = "{{ knot.knot.knot.knot.a }}"
    assert render_whole(parse(source, "html"), source, {"knot": knot}) == "1"


@pytest.mark.parametrize("end", ["\r", "\n", "\x0b", "\x85", "\u2028", "\u2029", "\0"])
@pytest.mark.parametrize("how", ["{{ a }}", "{{ a | upcase }}", "{{ b | append: a }}"])
def test_no_value_makes_two_headers_of_one(end, how):
    data = {"a": f"x{end}Bcc: y@example.com", "b": "z"}
    subject = render_whole(parse(how, "line"), how, data)
    assert header_safe(subject, name="The subject") == subject
    assert len(subject.splitlines()) == 1
    with pytest.raises(HeaderProblem):
        header_safe(data["a"], name="The subject")
