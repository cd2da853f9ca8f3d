"""Headless Chromium, driven through chromedriver over WebDriver (w3.org/TR/webdriver2)."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.free_ports import free_port

DEADLINE = 40.0
_FLAGS = [
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
    *("disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars"),
]


class Chromium:
    """Browser with one tab; leaving the context closes it."""

    def __init__(self, chromedriver: str, chromium: str, profile: Path) -> None:
        port = free_port()
        self._process = subprocess.Popen(
            [chromedriver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE, trust_env=False)
        try:
            self._wait_until(self._is_ready, "chromedriver is ready")
            self._open(chromium, profile)
        except BaseException:
            self.__exit__()
            raise

    def _open(self, chromium: str, profile: Path) -> None:
        arguments = [f"--{flag}" for flag in [*_FLAGS, f"user-data-dir={profile}"]]
        options = {"binary": chromium, "args": arguments}
        # The certificates of tests come from an authority that the browser does not know.
        asked = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "acceptInsecureCerts": True}}}
        self._session = f"/session/{self._ask('POST', '/session', asked)['sessionId']}"

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, "chromedriver has ended"
        with contextlib.suppress(httpx.TransportError):
            return bool(self._ask("GET", "/status")["ready"])
        return False

    def _ask(self, method: str, path: str, values: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, path, json=values)
        value = answer.json()["value"]
        if answer.is_error:
            raise WebDriverError(value["error"], value["message"])
        return value

    def go(self, url: str) -> None:
        self._ask("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """Run a script in the page; returns its result."""
        return self._ask("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def text(self) -> str:
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true, also across pages; fails with the text of the page."""

        def holds() -> bool:
            with contextlib.suppress(WebDriverError):  # the page may be unloading
                return bool(self.run(f"return {condition}"))
            return False

        try:
            self._wait_until(holds, condition)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page says: {self.text()[:2000]!r}") from None

    def wait_for_text(self, words: str) -> None:
        self.wait_for(f"document.body !== null && document.body.innerText.includes({words!r})")

    def _wait_until(self, condition: Any, what: str) -> None:
        end = time.monotonic() + DEADLINE
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < end, f"not within {DEADLINE} s: {what}"
            pause.wait(0.02)

    def resize(self, width: int, height: int) -> None:
        self._ask("POST", f"{self._session}/window/rect", {"width": width, "height": height})

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(httpx.HTTPError, AttributeError):
            self._http.delete(self._session)
        self._http.close()
        self._process.terminate()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE)


class WebDriverError(Exception):
    """Error response of chromedriver."""
