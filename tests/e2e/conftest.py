"""A real Chromium on a real server with the sample shop in it."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone

from campaigns.models import Sender
from campaigns.services import starter_template
from customers.services import record_interactions
from customers.sources.history_file import rows
from demo.sample_shop import write_history
from segmentation.publishing import publish_run
from segmentation.services import refresh_segments

# Playwright's loop runs in this thread; the ORM is used beside it on purpose.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Where the pictures of README go when asked for; else nowhere that stays.
PICTURES = os.environ.get("ATTUNE_PICTURES", "")


@dataclass
class Watched:
    """A page, and everything about it that should not have happened."""

    page: Any
    address: str
    folder: Path
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)
        self.page.wait_for_load_state("load")

    def picture(self, name: str) -> Path:
        """The whole page. A frame outside the window is not painted, so the window
        grows to the page first."""
        window = self.page.viewport_size
        tall = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": window["width"], "height": tall})
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(400)
        path = self.folder / f"{name}.png"
        self.page.screenshot(path=path)
        self.page.set_viewport_size(window)
        return path


@pytest.fixture(scope="session")
def kept_shop(tmp_path_factory) -> Path:
    """Where the sample shop is kept, once a test has made it."""
    return tmp_path_factory.mktemp("shop") / "kept.sqlite3"


@pytest.fixture
def shop(transactional_db, settings, tmp_path, kept_shop):
    """The sample shop: imported, read, sorted, with starter templates."""
    settings.OUTBOX_DIR = tmp_path / "outbox"
    settings.OUTBOX_DIR.mkdir()
    settings.OPENS_FLUSH_MS = 0
    connection.ensure_connection()
    if kept_shop.exists():
        with closing(sqlite3.connect(kept_shop)) as kept:
            kept.backup(connection.connection)
        ContentType.objects.clear_cache()
        return
    open_shop(tmp_path / "shop.csv.gz")
    # Reading some thousand texts takes half a minute; every test gets the same shop.
    with closing(sqlite3.connect(kept_shop)) as kept:
        connection.connection.backup(kept)


def open_shop(path: Path) -> None:
    write_history(path, at=timezone.now())
    record_interactions(rows(path), source="sample shop", at=timezone.now())
    # Sorted last week and today, so that there is somebody who moved.
    refresh_segments(at=timezone.now() - timedelta(days=7), workers=2)
    run = refresh_segments(at=timezone.now()).run
    if run.state == run.State.WAITING:
        publish_run(run, at=timezone.now(), approved_by="the test")
    Sender.objects.create(
        shop_name="Linden & Loam",
        from_name="Linden & Loam",
        from_address="hello@lindenandloam.example",
        postal_address="Linden & Loam, 8 Sample Lane, Northport",
    )
    for design in ("announcement", "loyalty", "service"):
        starter_template(design)
    User.objects.create_superuser("marketer", "", "a quiet garden", first_name="Mara")


@pytest.fixture(params=[(1440, 900, "light"), (390, 844, "light"), (1440, 900, "dark")])
def screen(request):
    return request.param


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, live_server, shop, tmp_path):
    """Open a logged-in page of some size that notes errors and outside requests."""

    def opened(width: int, height: int, theme: str) -> Watched:
        folder = Path(PICTURES) if PICTURES else tmp_path
        folder.mkdir(parents=True, exist_ok=True)
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme
        )
        page = context.new_page()
        watched = Watched(page, live_server.url, folder)
        allowed = (live_server.url, "data:", "about:")

        def note_request(request: Any) -> None:
            if not request.url.startswith(allowed):
                watched.complaints.append(f"left the machine: {request.url}")

        def note_console(message: Any) -> None:
            if message.type == "error":
                watched.complaints.append(f"console: {message.text}")

        def note_answer(answer: Any) -> None:
            if answer.status >= 400:
                watched.complaints.append(f"{answer.status}: {answer.url}")

        page.on("request", note_request)
        page.on("console", note_console)
        page.on("response", note_answer)
        page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        watched.go("/admin/login/")
        page.fill("[name=username]", "marketer")
        page.fill("[name=password]", "a quiet garden")
        page.click("[type=submit]")
        page.wait_for_url("**/admin/")
        if theme == "dark":
            page.evaluate("localStorage.setItem('_x_adminTheme', '\"dark\"')")
            watched.go("/admin/")
        return watched

    return opened
