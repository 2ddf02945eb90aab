"""The colours keep the promises of the design: contrast, and distance for every sight.

Sources: WCAG 2.2 relative luminance; Machado, Oliveira and Fernandes 2009 (severity 1,
linear RGB); CIEDE2000 as in Sharma, Wu and Dalal 2005.
"""

import re
from itertools import combinations, pairwise
from math import atan2, cos, degrees, exp, hypot, radians, sin, sqrt
from pathlib import Path

import pytest

from segmentation.emotion.families import FAMILIES

TOKENS = Path(__file__).parents[2] / "static" / "attune" / "tokens.css"
SEGMENT_FAMILIES = [name for name in FAMILIES if name not in {"confusion", "joy"}]
SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
WHITE = (0.95047, 1, 1.08883)


def read_tokens() -> dict[str, dict[str, str]]:
    css = TOKENS.read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block[1]))
        for block in (
            re.search(r":root\s*{(.*?)\n}", css, re.DOTALL),
            re.search(r"\n\.dark\s*{(.*?)\n}", css, re.DOTALL),
        )
        if block
    )
    return {"light": light, "dark": {**light, **dark}}


def linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def contrast(one: str, other: str) -> float:
    weights = (0.2126, 0.7152, 0.0722)
    light, dark = sorted(
        (
            sum(w * c for w, c in zip(weights, linear(colour), strict=True))
            for colour in (one, other)
        ),
        reverse=True,
    )
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str, sight: str) -> tuple[float, float, float]:
    rgb = linear(colour)

    def times(matrix, vector):
        return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]

    seen = [min(1, max(0, value)) for value in times(SIGHT[sight], rgb)]
    xyz = [value / w for value, w in zip(times(TO_XYZ, seen), WHITE, strict=True)]
    x, y, z = (v ** (1 / 3) if v > 216 / 24389 else v * 841 / 108 + 4 / 29 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one, other) -> float:
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (hypot(a1, b1) + hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * sqrt(mean**7 / (mean**7 + 25**7))
    c1, c2 = hypot(a1 * g, b1), hypot(a2 * g, b2)
    h1, h2 = degrees(atan2(b1, a1 * g)) % 360, degrees(atan2(b2, a2 * g)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    dh = 2 * sqrt(c1 * c2) * sin(radians(turn / 2))
    lm, cm, hm = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + turn / 2) % 360
    t = (
        1
        - 0.17 * cos(radians(hm - 30))
        + 0.24 * cos(radians(2 * hm))
        + 0.32 * cos(radians(3 * hm + 6))
        - 0.20 * cos(radians(4 * hm - 63))
    )
    sl = 1 + 0.015 * (lm - 50) ** 2 / sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    rc = 2 * sqrt(cm**7 / (cm**7 + 25**7))
    rt = -rc * sin(radians(60 * exp(-(((hm - 275) / 25) ** 2))))
    dl, dc = (l2 - l1) / sl, (c2 - c1) / sc
    return sqrt(dl**2 + dc**2 + (dh / sh) ** 2 + rt * dc * dh / sh)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("family", FAMILIES)
def test_marks_and_words_of_a_family_can_be_seen_on_paper(theme, family):
    token = read_tokens()[theme]
    mark, ink, tint = (
        token[f"family-{family}{part}"] for part in ("", "-ink", "-tint")
    )
    assert min(contrast(mark, token[on]) for on in ("card", "page")) >= 3
    assert min(contrast(ink, token["card"]), contrast(ink, tint)) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["text", "text-quiet", "text-strong"])
def test_words_of_the_interface_can_be_read(theme, name):
    token = read_tokens()[theme]
    assert min(contrast(token[name], token[on]) for on in ("card", "page")) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
def test_families_stay_apart_for_every_sight(theme, sight):
    token = read_tokens()[theme]
    seen = {name: lab(token[f"family-{name}"], sight) for name in FAMILIES}
    neighbours = [*pairwise(FAMILIES), *pairwise(SEGMENT_FAMILIES)]
    assert min(distance(seen[a], seen[b]) for a, b in neighbours) >= 14
    assert min(distance(seen[a], seen[b]) for a, b in combinations(FAMILIES, 2)) >= 9
