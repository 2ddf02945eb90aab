"""The map, what has moved, free clusters: in a real browser, on three screens."""

import re

import pytest
from django.db.models import Count

from segmentation.models import EmotionScore, MapDot
from segmentation.services import published_run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

# Words of our pages whose contrast with what is behind them is below 4.5 to 1. Colours
# are read back from a canvas, since a page may name them in any way.
TOO_PALE = """() => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const read = (colour, under) => {
    pen.clearRect(0, 0, 1, 1);
    for (const layer of [under && `rgb(${under.join(",")})`, colour].filter(Boolean)) {
      pen.fillStyle = layer;
      pen.fillRect(0, 0, 1, 1);
    }
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      layers.push(colour);
      if (read(colour)[3] === 255) break;
    }
    const over = (under, colour) => read(colour, under).slice(0, 3);
    return layers.reverse().reduce(over, [255, 255, 255]);
  };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) =>
    0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const pale = [];
  for (const element of document.querySelectorAll("#attune *")) {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3);
    const words = own.map((node) => node.data.trim()).join("");
    if (!words || !element.checkVisibility()) continue;
    if (element.closest(".sr, title")) continue;
    const style = getComputedStyle(element);
    const under = behind(element);
    const ink = read(element.closest("svg") ? style.fill : style.color, under);
    const [high, low] = [light(ink), light(under)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) pale.push(`${words.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return pale;
}"""


@pytest.fixture
def watched(open_page, screen):
    """A logged-in page that fits its screen, can be read, and complains of nothing."""
    watched = open_page(*screen)
    yield watched
    assert watched.complaints == []


def looked_at(watched, screen, name):
    width, _, theme = screen
    watched.picture(f"{name}_{theme if theme == 'dark' else width}")
    wide = watched.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    assert watched.page.evaluate(TOO_PALE) == []
    return " ".join(watched.page.content().split())


def test_the_map_leads_to_a_customer_by_mouse_and_by_keyboard(watched, screen):
    page, dots = watched.page, MapDot.objects.filter(run=published_run()).count()
    watched.go("/admin/segments/")
    page.get_by_role("link", name="Map of customers").click()
    page.wait_for_load_state("load")
    looked_at(watched, screen, "map")
    links = page.locator(".map svg a")
    assert 0 < links.count() <= dots <= 600
    assert re.match(r".+: .+, .+", links.first.get_attribute("aria-label"))

    page.locator(".skip-map").focus()
    assert page.locator(".skip-map").is_visible()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "places"
    links.first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/customers/customer/*/change/")

    watched.go("/admin/segments/map/")
    page.locator(".map-choice a").first.click()
    page.wait_for_load_state("load")
    looked_at(watched, screen, "map_one")
    assert 0 < page.locator(".map svg a").count() < dots


def test_what_has_moved_is_told_in_words(watched, screen):
    watched.go("/admin/segments/drift/")
    text = looked_at(watched, screen, "drift")
    assert "What they write" in text
    assert "Segments, run by run" in text
    for summary in watched.page.locator("details.tab summary").all():
        summary.click()
    looked_at(watched, screen, "drift_tables")
    watched.page.get_by_role("link", name="Map", exact=True).click()
    watched.page.wait_for_url("**/segments/map/")


def test_a_profile_over_time_fits_and_can_be_read(watched, screen):
    talkative = EmotionScore.objects.values("customer").annotate(n=Count("pk"))
    pk = talkative.order_by("-n", "customer")[0]["customer"]
    watched.go(f"/admin/customers/customer/{pk}/change/")
    text = looked_at(watched, screen, "customer")
    assert "Profile over time" in text
    marks = watched.page.locator("#course .tl")
    assert marks.count() == EmotionScore.objects.filter(customer=pk).count()
    for summary in watched.page.locator("#course details.tab summary").all():
        summary.click()
    looked_at(watched, screen, "customer_tables")


def test_free_clusters_are_looked_for_when_asked(watched, screen):
    page = watched.page
    watched.go("/admin/segments/diagnostics/")
    looked_at(watched, screen, "diagnostics_before")
    page.get_by_role("button", name="Look for free clusters").click()
    page.wait_for_load_state("load")
    text = looked_at(watched, screen, "diagnostics")
    assert "Where seven free clusters sit" in text or "are needed to look" in text
