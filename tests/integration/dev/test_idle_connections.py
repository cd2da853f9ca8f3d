"""Kept connections of clients across reloads of corn dev."""

from __future__ import annotations

import sys

from tests.support.corn_process import Served, write_app

DEV = [sys.executable, "-m", "corn", "dev"]
PATIENT = ("--timeout-keep-alive", "1000", "--timeout-header", "1000")


def test_kept_connection_is_served_by_new_code(tmp_path):
    write_app(tmp_path, "0")
    with (
        Served(tmp_path, "main:app", "--port", "0", *PATIENT, program=DEV).wait_ready() as served,
        served.client() as kept,
        served.client().connect() as fresh,
    ):
        assert kept.get(keep=True).startswith("0 ")
        for version in "12345":
            mark = served.mark()
            write_app(tmp_path, version)
            served.wait_for("reloaded in", since=mark)
            assert kept.get(keep=True).startswith(f"{version} ")
        fresh.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := fresh.recv(4096):
            answer += data
        assert b"\r\n\r\n5 " in answer
