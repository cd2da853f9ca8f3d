"""Live reload of corn dev in a real browser, with saves as an editor makes them."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.corn_process import Served

APP = """
PAGE = '''<!doctype html><html><head><link rel="stylesheet" href="/style.css"></head>
<body><h1>{version}</h1><input id="field"></body></html>'''


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, kind = PAGE.encode(), b"text/html; charset=utf-8"
    if scope["path"] == "/style.css":
        body, kind = open("style.css", "rb").read(), b"text/css"
    if scope["path"] == "/broken":
        raise LookupError("nothing is here")
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)){more}]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})
"""


def save(directory: Path, version: str, more: str = "", name: str = "main.py") -> None:
    """Save atomically, as an editor does."""
    fresh = directory / f".{name}.swp"
    fresh.write_text(APP.format(version=version, more=more))
    fresh.rename(directory / name)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "style.css").write_text("h1 { color: rgb(1, 2, 3) }")
    save(tmp_path, "first")
    return tmp_path


def develop(directory: Path, *arguments: str) -> Served:
    dev = [sys.executable, "-m", "corn", "dev"]
    return Served(directory, "main:app", "--port", "0", *arguments, program=dev).wait_ready()


def test_error_page_is_replaced_after_fix(project, chromium):
    with develop(project) as served:
        chromium.go(f"{served.address}/")
        chromium.wait_for_text("first")
        (project / "main.py").write_text("import os\n\ndef app(:\n    pass\n")
        served.wait_for("SyntaxError")
        chromium.go(f"{served.address}/")
        chromium.wait_for_text("SyntaxError")
        assert "main.py:3" in chromium.text()
        assert "def app(:" in chromium.text()
        save(project, "fixed")
        chromium.wait_for_text("fixed")


def test_page_reloads_after_save(project, chromium):
    with develop(project) as served:
        chromium.go(f"{served.address}/?kept=1")
        chromium.wait_for_text("first")
        for version in ("second", "third"):
            save(project, version)
            chromium.wait_for_text(version)
        assert chromium.run("return location.search") == "?kept=1"


def test_page_with_strict_csp_reloads(project, chromium):
    save(project, "first", ', (b"content-security-policy", b"default-src \'self\'")')
    with develop(project) as served:
        chromium.go(f"{served.address}/")
        chromium.wait_for_text("first")
        save(project, "second")
        chromium.wait_for_text("second")


def test_style_sheet_is_replaced_without_page_reload(project, chromium):
    with develop(project) as served:
        chromium.go(f"{served.address}/")
        chromium.wait_for("getComputedStyle(document.querySelector('h1')).color === 'rgb(1, 2, 3)'")
        chromium.run("document.getElementById('field').value = 'typed'; window.stayed = true")
        (project / "style.css").write_text("h1 { color: rgb(4, 5, 6) }")
        chromium.wait_for("getComputedStyle(document.querySelector('h1')).color === 'rgb(4, 5, 6)'")
        assert chromium.run("return [window.stayed, document.getElementById('field').value]") == [True, "typed"]
        assert chromium.run("return document.querySelectorAll('link').length") == 1


def test_changed_script_reloads_page_only(project, chromium):
    with develop(project) as served:
        chromium.go(f"{served.address}/")
        chromium.wait_for_text("first")
        for number in range(2):
            chromium.run("window.stayed = true")
            (project / "app.js").write_text(f"let x = {number}")
            chromium.wait_for("window.stayed === undefined && document.readyState === 'complete'")
        assert "reloaded in" not in served.output


HELD = """
import asyncio, os
views = 0

async def app(scope, receive, send):
    global views
    if scope["type"] != "http":
        return
    is_held = scope["path"] == "/held"
    views += is_held
    page = f"<!doctype html><html><body><h1>view {views}</h1>"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": page.encode(), "more_body": True})
    if is_held:
        open("began", "w").close()
        while not os.path.exists("end"):
            await asyncio.sleep(0.02)
    await send({"type": "http.response.body", "body": b"</body></html>"})
"""


def test_script_saved_before_page_connects_reloads_page(project, chromium):
    (project / "main.py").write_text(HELD)
    with develop(project) as served:
        (listens,) = re.findall(r'"listens": "([^"]+)"', served.client().get("/"))
        with ThreadPoolExecutor() as pool:
            opened = pool.submit(chromium.go, f"{served.address}/held")
            served.wait_until((project / "began").exists, "the page is half sent")
            (project / "app.js").write_text("let x = 1")
            served.wait_until(lambda: json.load(urlopen(f"{listens}/state"))["pages"] == 1, "the change is announced")
            (project / "end").touch()
            opened.result()
        chromium.wait_for_text("view 2")


def test_image_rewritten_by_each_request_does_not_loop_reloads(project, chromium):
    made = "open('plot.png', 'wb').write(__import__('os').urandom(8)) if scope['path'] == '/' else None"
    text = (project / "main.py").read_text().replace("    body, kind = PAGE", f"    {made}\n    body, kind = PAGE")
    (project / "main.py").write_text(text)
    with develop(project) as served:
        chromium.go(f"{served.address}/")
        chromium.wait_for_text("first")
        chromium.run("return new Promise((done) => setTimeout(done, 1500))")
        assert served.output.count('"GET / HTTP/1.1"') <= 3


def test_failed_save_keeps_page(project, chromium):
    with develop(project) as served:
        chromium.go(f"{served.address}/")
        chromium.wait_for_text("first")
        chromium.run("window.stayed = true")
        (project / "main.py").write_text("def app(:")
        served.wait_for("SyntaxError")
        assert chromium.run("return window.stayed") is True
        save(project, "second")
        chromium.wait_for_text("second")


def test_request_exception_page_is_replaced_after_fix(project, chromium):
    with develop(project) as served:
        chromium.go(f"{served.address}/broken")
        chromium.wait_for_text("LookupError: nothing is here")
        assert 'raise LookupError("nothing is here")' in chromium.text()
        save(project, "fixed")
        source = (project / "main.py").read_text()
        (project / "main.py").write_text(source.replace('raise LookupError("nothing is here")', "pass"))
        chromium.wait_for_text("fixed")


def test_page_without_watcher_connection_polls_application(project, chromium):
    """As in a container that does not publish the port of the live-reload server."""
    with develop(project, "--host", "127.0.0.2") as served:
        chromium.go(f"{served.address}/")
        chromium.wait_for_text("first")
        save(project, "second")
        chromium.wait_for_text("second")


def test_page_reconnects_to_restarted_service(project, chromium):
    with develop(project) as served:
        address = served.address
        chromium.go(f"{address}/")
        chromium.wait_for_text("first")
    save(project, "second")
    port = address.rpartition(":")[2]
    with Served(project, "main:app", "--port", port, program=[sys.executable, "-m", "corn", "dev"]).wait_ready():
        chromium.wait_for_text("second")


def test_no_refresh_option_leaves_page_unchanged(project, chromium):
    with develop(project, "--no-refresh") as served:
        chromium.go(f"{served.address}/")
        chromium.wait_for_text("first")
        assert chromium.run("return document.querySelectorAll('script').length") == 0
