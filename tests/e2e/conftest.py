"""Debian's Chromium against a live server of the product, with axe at hand."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from config.settings import STORAGES

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    # Pages of the browser's own that it makes ready in every new window.
    "--disable-features=PreloadTopChromeWebUI,PreloadTopChromeWebUILessNavigations",
]  # fmt: skip


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[LiveServer]:
    """The site as `manage.py up` serves it: files collected, hashed and bundled, and handed out by the application."""
    with override_settings(
        STATIC_ROOT=tmp_path_factory.mktemp("static"), STORAGES=STORAGES, WHITENOISE_USE_FINDERS=False
    ):
        call_command("collectstatic", verbosity=0, interactive=False)
        server = LiveServer("localhost", start=False)
        server.thread.static_handler = lambda application: application
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: install it, or set CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, live_server: Any) -> Iterator[Callable[..., Any]]:
    """`open_page(dark=True, width=390)`: a fresh page that fails the test when its console shows an error."""
    contexts, complaints = [], []

    def opened(*, dark: bool = False, width: int = 1366, height: int = 900) -> Any:
        context = chromium.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    _let_the_server_finish()
    # A refused request is part of some tests and shows in the console as a failed load.
    assert [text for text in complaints if "Failed to load resource" not in text] == []


def _let_the_server_finish(seconds: float = 5) -> None:
    """Wait until no connection of a closed page is being served.

    A page saves its draft as it goes; that request must not write while the tables are being emptied for the next test.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any("process_request_thread" in t.name for t in threading.enumerate()):
        time.sleep(0.01)


@pytest.fixture
def sign_in(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """`sign_in(actor)`: a page in which that person has signed in through the form."""
    from tests.factories import PASSWORD

    def signed_in(actor: Any, **options: Any) -> Any:
        page = open_page(**options)
        page.goto("/sign-in/")
        page.get_by_label("Email").fill(actor.user.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Your projects").wait_for()
        return page

    return signed_in


@pytest.fixture
def axe() -> Callable[[Any], list[str]]:
    """The violations axe finds in the page as it stands, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    def violations(page: Any) -> list[str]:
        found = Axe().run(page).response["violations"]
        return [f"{row['id']}: {row['nodes'][0]['html'][:120]}" for row in found]

    return violations
