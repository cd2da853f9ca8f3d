"""Middleware for static files, called as an application: what is passed on, and files that change or cannot be read."""

import asyncio
import os
import tempfile
from itertools import takewhile
from pathlib import Path

import pytest

from corn.config import Config
from corn.server.static.app import Static
from corn.server.static.files import opened


def scope_of(path, method="GET", headers=(), **fields):
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": ""}
    return {**scope, "query_string": b"", "headers": list(headers), **fields}


def serve(directory, scope, sent=None):
    """Messages that the middleware sends, and the scope if the application was called."""
    messages, called = [], []

    async def app(scope, receive, send):
        called.append(scope)

    async def send(message):
        messages.append(message)
        if sent is not None:
            sent(message)

    config = Config(app="main:app", static=(f"/static={directory}",))
    asyncio.run(Static(app, config)(scope, None, send))
    return messages, called


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_scopes_are_passed_on(tmp_path, kind):
    (tmp_path / "a.txt").write_text("a")
    scope = scope_of("/static/a.txt", type=kind)
    assert serve(tmp_path, scope) == ([], [scope])


def test_failed_precondition_is_answered_without_file(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (start, body), called = serve(tmp_path, scope_of("/static/a.txt", headers=[(b"if-match", b'"other"')]))
    assert (start["status"], called) == (412, [])
    assert body["body"] != b"a"


def test_file_that_gets_shorter_while_it_is_sent_is_error(tmp_path):
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(1_000_000))

    def truncate(message):
        if message.get("body"):
            os.truncate(path, 1000)

    with pytest.raises(RuntimeError, match="the file became shorter while it was sent"):
        serve(tmp_path, scope_of("/static/big.bin"), truncate)


def test_file_that_is_removed_before_it_is_opened_is_none(tmp_path):
    with opened(str(tmp_path / "removed")) as file:
        assert file is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_file_that_worker_may_not_read_is_forbidden(tmp_path):
    path = tmp_path / "secret.txt"
    path.write_text("secret")
    path.chmod(0o600)
    for each in takewhile(lambda each: each != Path(tempfile.gettempdir()), [tmp_path, *tmp_path.parents]):
        each.chmod(0o755)
    os.seteuid(65534)
    try:
        (start, body), called = serve(tmp_path, scope_of("/static/secret.txt"))
    finally:
        os.seteuid(0)
    assert (start["status"], called) == (403, [])
    assert b"secret" not in body["body"]
