"""Renders of one email per second: our slots against Django's templates, in one run.

The same HTML, the same values, the same number of people; the best of several rounds,
taken in turn. `django_per_recipient` compiles the template anew for everybody, as some
senders do. Rates are per
second of this process's CPU. One JSON line on standard output.
"""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import django
from django.conf import settings
from django.template import Context, Template
from measure import say

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from campaigns.content.data import plain_data  # noqa: E402
from campaigns.content.designs import load_design  # noqa: E402
from campaigns.content.headers import SenderFacts  # noqa: E402
from campaigns.content.links import Links  # noqa: E402
from campaigns.content.mjml import compile_layout  # noqa: E402
from campaigns.content.render import (  # noqa: E402
    RecipientContext,
    compile_variant,
    render,
)

DESIGNS = ROOT / "templates" / "emails"
PEOPLE = 2_000
ROUNDS = 5
KEYS = ["a key for a benchmark and nothing else"]
LINK_NAMES = ("click_0", "unsubscribe", "preferences", "pixel")


def best_rate(work: Callable[[int], object], people: int) -> float:
    start = time.process_time()
    for person in range(people):
        work(person)
    return people / (time.process_time() - start)


def main() -> None:
    settings.configure(
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
    )
    django.setup()
    design = load_design(DESIGNS, "service")
    sender = SenderFacts("Linden & Loam", "Mara", "mara@shop.example", "", "8 Lane")
    variant = compile_variant(
        design.layout, design.shared, design.words["neutral"], sender=sender
    )
    source = re.sub(r"\|\s*default:\s*", "|default:", variant.html.source)
    template = Template(source)

    links = [Links("https://mail.example.com", n + 1, KEYS) for n in range(PEOPLE)]
    plain = [
        plain_data(
            {
                "customer": {"first_name": f"Ines & {number}"},
                "shop": {"name": "Linden & Loam"},
            }
        )
        for number in range(PEOPLE)
    ]
    named = [
        {
            "click_0": one.click(0),
            **{name: getattr(one, name) for name in LINK_NAMES if name != "click_0"},
        }
        for one in links
    ]

    def skeleton(person: int) -> str:
        return variant.html.render(plain[person], links[person])

    def whole_mail(person: int) -> object:
        return render(variant, RecipientContext(plain[person], links[person]))

    def liquid(person: int) -> str:
        return variant.html.render_whole(plain[person], links[person])

    def django_once(person: int) -> str:
        return template.render(Context({**plain[person], "links": named[person]}))

    def django_each(person: int) -> str:
        return Template(source).render(
            Context({**plain[person], "links": named[person]})
        )

    if skeleton(0) != django_once(0):
        raise SystemExit("The two do not render the same mail: nothing to compare.")
    contenders: dict[str, tuple[Callable[[int], object], int]] = {
        "skeleton": (skeleton, PEOPLE),
        "whole_mail_with_text_subject_headers": (whole_mail, PEOPLE),
        "liquid_whole": (liquid, PEOPLE // 4),
        "django_compiled_once": (django_once, PEOPLE),
        "django_per_recipient": (django_each, PEOPLE // 10),
        "mjml_compile": (lambda _: compile_layout(design.layout), PEOPLE // 20),
        "variant_compile": (
            lambda _: compile_variant(
                design.layout, design.shared, design.words["neutral"], sender=sender
            ),
            PEOPLE // 20,
        ),
    }
    rates = dict.fromkeys(contenders, 0.0)
    for _ in range(ROUNDS):
        for name, (work, people) in contenders.items():
            rates[name] = max(rates[name], best_rate(work, people))
    slots = rates["skeleton"]
    say(
        "render",
        html_bytes=len(skeleton(0).encode()),
        slots=len(variant.html.slots),
        per_cpu_second={name: round(rate) for name, rate in rates.items()},
        skeleton_over_django_once=slots / rates["django_compiled_once"],
        skeleton_over_django_per_recipient=slots / rates["django_per_recipient"],
    )


if __name__ == "__main__":
    main()
