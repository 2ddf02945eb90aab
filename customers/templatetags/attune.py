"""How numbers, times, glyphs and tiles look on every page of ours (DESIGN.md)."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

MINUS = "−"


@register.simple_tag
def icon(name: str, css: str = "i") -> SafeString:
    """An icon of attune/symbols.html; hidden from readers, words carry."""
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true">'
        '<use href="#i-{}"/></svg>',
        css,
        name,
    )


@register.simple_tag
def glyph(family: str) -> SafeString:
    """The glyph of a family, or of mixed and unknown."""
    return format_html(
        '<svg class="i" viewBox="0 0 24 24" aria-hidden="true">'
        '<use href="#g-{}"/></svg>',
        family,
    )


@register.simple_tag
def family(name: str) -> SafeString:
    """Glyph and word of a family."""
    return format_html('<span class="fam f-{}">{}{}</span>', name, glyph(name), name)


@register.simple_tag
def chip(name: str, words: str) -> SafeString:
    """What a text reads as, in the family's tint: {% chip "anxiety" "reads as …" %}"""
    return format_html('<span class="chip f-{}">{}{}</span>', name, glyph(name), words)


@register.simple_tag
def tile(key: str, glyph_name: str, size: str = "") -> SafeString:
    """The rounded square of a segment; glyph_name is its family, or its own key."""
    return format_html(
        '<span class="tile {} s-{}">{}</span>', size, key, glyph(glyph_name)
    )


@register.simple_tag
def segment_name(segment: object, url: str = "") -> SafeString:
    """Tile and name of a segmentation.Segment; a link where a url is given."""
    key = str(getattr(segment, "key", ""))
    picture = tile(key, getattr(segment, "family", "") or key)
    name = getattr(segment, "name", "")
    if url:
        return format_html(
            '<a class="seg s-{}" href="{}">{}{}</a>', key, url, picture, name
        )
    return format_html('<span class="seg s-{}">{}{}</span>', key, picture, name)


@register.filter
def number(value: float | None) -> str:
    """4,812: whole, grouped; a dash where there is none."""
    return "–" if value is None else f"{round(value):,}".replace("-", MINUS)


@register.filter
def share(value: float | None) -> str:
    """A share 0 to 1 as per cent: whole above 10, one decimal below (5.4 %)."""
    if value is None:
        return "–"
    percent = 100 * value
    return f"{percent:.0f} %" if abs(percent) >= 9.95 else f"{percent:.1f} %"


@register.filter
def signed(value: float | None) -> str:
    """+60 or −30, with a true minus."""
    if value is None:
        return "–"
    rounded = round(value)
    return f"+{rounded:,}" if rounded > 0 else f"{rounded:,}".replace("-", MINUS)


@register.filter
def points(value: float | None) -> str:
    """A difference of shares in points: +2.4 or −1.8."""
    if value is None:
        return "–"
    return f"{100 * value:+.1f}".replace("-", MINUS)


@register.filter
def level(value: float | None) -> str:
    """A value between -1 and 1 with its sign: +0.42 or −0.10; 0.00 has none."""
    if value is None:
        return "–"
    words = f"{value:+.2f}"
    return "0.00" if words in ("+0.00", "-0.00") else words.replace("-", MINUS)


@register.filter
def times(value: float | None) -> str:
    """A ratio: 3.1 ×."""
    if value is None:
        return "–"
    return f"{value:.1f} ×" if value >= 0.995 else f"{value:.2f} ×"


@register.filter
def css(value: float | None) -> str:
    """A plain decimal for a style attribute, whatever the language."""
    return f"{value or 0:.2f}"


UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


@register.filter
def day(value: datetime | None) -> str:
    """14 Nov; with the year only when it is not this one."""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    words = f"{local.day} {local:%b}"
    return words if local.year == timezone.localtime().year else f"{words} {local:%Y}"


@register.filter
def moment(value: datetime | None) -> str:
    """14 Nov, 9:14"""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    return f"{day(value)}, {local.hour}:{local:%M}"


@register.filter
def moment_named(value: datetime | None) -> str:
    """14 Nov, 9:14 CET: by the shop's clock, for a sentence that leaves its page."""
    if value is None:
        return "–"
    return f"{moment(value)} {timezone.localtime(value):%Z}"


@register.filter
def duration(value: timedelta) -> str:
    """About how long, in the unit one would say it in: 40 seconds, 3 hours, 2 days."""
    seconds = max(1, round(value.total_seconds()))
    unit, size = next((one for one in UNITS if seconds >= 1.5 * one[1]), UNITS[-1])
    count = round(seconds / size)
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"
