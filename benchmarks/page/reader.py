"""A reader in Chromium: what came over the wire, when the page could be used, how long the next task took to appear."""

import os
import shutil
import sys
from dataclasses import dataclass, field
from typing import Any

ARGUMENTS = [
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    "--disable-features=PreloadTopChromeWebUI,PreloadTopChromeWebUILessNavigations",  # pages of the browser's own, in every window
]
WINDOW_AT_REST_MS = 1500
"""A new window keeps a core busy for a second; a visitor's was open before."""
WATCH = """
() => {
  const inView = () => document.querySelector("[data-slot]:not([hidden])")?.dataset.slot;
  window.took = [];
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const before = inView(), pressed = event.timeStamp;
    const look = () => {
      if (inView() && inView() !== before) window.took.push(performance.now() - pressed);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, { capture: true });
}
"""


@dataclass
class Wire:
    """What the browser fetched since `reset`: requests, and bytes with their headers, as they came, compressed or not."""

    requests: int = 0
    bytes: float = 0
    under_way: set[str] = field(default_factory=set)

    def listen(self, session: Any) -> None:
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.loadingFinished", self._ended)
        session.on("Network.loadingFailed", self._ended)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": False})

    def _sent(self, event: dict[str, Any]) -> None:
        if not event["request"]["url"].startswith("data:"):
            self.requests += 1
            self.under_way.add(event["requestId"])

    def _ended(self, event: dict[str, Any]) -> None:
        self.bytes += event.get("encodedDataLength", 0)
        self.under_way.discard(event["requestId"])

    def reset(self) -> None:
        self.requests, self.bytes = 0, 0


@dataclass
class Cold:
    kilobytes: float
    requests: int
    usable_ms: float


@dataclass
class Step:
    kilobytes: float
    requests: int
    milliseconds: float


def chromium(playwright: Any) -> Any:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        sys.exit("bench-page needs Chromium: install it, or set CHROMIUM to its path")
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


def signed_in(browser: Any, url: str, email: str, password: str) -> Any:
    """The cookies of somebody who has signed in; no other page was seen, and nothing is in the cache of the next context."""
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.goto("/sign-in/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your projects").wait_for()
    state = context.storage_state()
    context.close()
    return state


def open_cold(browser: Any, url: str, state: Any, path: str) -> tuple[Any, Wire, Cold]:
    """The page in a browser that has seen nothing of the site, to the mark its script sets when keys and controls work."""
    context = browser.new_context(base_url=url, storage_state=state, viewport={"width": 1366, "height": 900})
    page, wire = context.new_page(), Wire()
    wire.listen(context.new_cdp_session(page))
    page.wait_for_timeout(WINDOW_AT_REST_MS)
    page.goto(path)
    until(page, "() => performance.getEntriesByName('label-ready').length")
    usable = page.evaluate("performance.getEntriesByName('label-ready')[0].startTime")
    quiet(page, wire)
    return page, wire, Cold(wire.bytes / 1000, wire.requests, usable)


def until(page: Any, condition: str) -> None:
    """Asked again and again from outside: the page's own security policy forbids the browser's way of waiting for an expression."""
    for _ in range(1000):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise TimeoutError(f"20 seconds went by without {condition}")


def quiet(page: Any, wire: Wire) -> None:
    """Until nothing is under way, twice a twentieth of a second apart."""
    still = 0
    while still < 2:
        page.wait_for_timeout(50)
        still = 0 if wire.under_way else still + 1


def answer_many(page: Any, wire: Wire, count: int) -> list[Step]:
    """Answer by keyboard: a choice, Enter, and the next task; each only after the one before has come to rest."""
    page.evaluate(f"({WATCH})()")
    steps = []
    for number in range(count):
        wire.reset()
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        until(page, f"() => window.took.length > {number}")
        quiet(page, wire)
        steps.append(Step(wire.bytes / 1000, wire.requests, page.evaluate("window.took.at(-1)")))
    return steps
