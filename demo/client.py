"""HTTP as a person or as a token does it. Nothing here knows the database."""

import re
import threading
import time
from typing import Any

import httpx

PATIENCE_SECONDS = 60.0
"""A web process that was killed is back within seconds; the request is sent again until then."""


class Refused(Exception):
    """The server said no. `status` is HTTP's."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class Stopped(Exception):
    """Somebody pressed Ctrl-C."""


class Client:
    """One connection, either signed in by `sign_in` or carrying a token."""

    def __init__(self, base_url: str, over: threading.Event, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.over = over
        self.http = httpx.Client(base_url=base_url, headers=headers, timeout=60.0, trust_env=False)

    def sign_in(self, email: str, password: str) -> bool:
        """Through the page people use. False when the password is not taken."""
        page = self._send("GET", "/sign-in/")
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        if found is None:
            raise Refused(page.status_code, "The sign-in page has no form.")
        form = {"username": email, "password": password, "csrfmiddlewaretoken": found.group(1)}
        answer = self._send("POST", "/sign-in/", data=form)
        return answer.status_code == 302

    def get(self, path: str, **params: Any) -> Any:
        return self._json(self._send("GET", path, params=params or None))  # {} would cut the address's own query off

    def find(self, path: str, **params: Any) -> Any:
        """Like `get`, None where there is nothing."""
        try:
            return self.get(path, **params)
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise

    def every(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """All pages of a list, newest first as the API gives them."""
        page = self.get(path, limit=200, **params)
        if isinstance(page, list):
            return page
        rows = list(page["results"])
        while page.get("next"):
            page = self.get(page["next"])
            rows += page["results"]
        return rows

    def post(self, path: str, body: Any, key: str = "") -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        if "csrftoken" in self.http.cookies:
            headers["X-CSRFToken"] = self.http.cookies["csrftoken"]
        return self._json(self._send("POST", path, json=body, headers=headers))

    def delete(self, path: str) -> None:
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"]} if "csrftoken" in self.http.cookies else {}
        self._json(self._send("DELETE", path, headers=headers))

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Sent again while nobody answers: every write of the loop is idempotent or keyed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            if self.over.is_set():
                raise Stopped
            try:
                answer = self.http.request(method, path, **more)
                if answer.status_code not in (502, 503) or time.monotonic() > deadline:
                    return answer
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            self.over.wait(0.5)

    @staticmethod
    def _json(answer: httpx.Response) -> Any:
        if answer.status_code >= 300:
            raise Refused(answer.status_code, f"{answer.request.method} {answer.request.url.path}: {_reason(answer)}")
        return answer.json() if answer.content else None


def _reason(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}"
    parts = [body.get("detail"), body.get("hint"), body.get("errors")] if isinstance(body, dict) else [body]
    return " ".join(str(part) for part in parts if part) or f"HTTP {answer.status_code}"
