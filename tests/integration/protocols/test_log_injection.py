"""Log injection: data of a client forges no log line and no terminal control sequence."""

from __future__ import annotations

import pytest

from tests.support.corn_process import Served

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")
    if scope["path"].startswith("/silent"):
        return
    raise ValueError(scope["path"])
"""
FORGED = "%0A2026-01-01%2000:00:00.000%20INFO%20%20%20%20master%20[1]%20forged%1B[31m%C2%9B"


@pytest.mark.parametrize("path", ["/raised", "/silent"])
def test_path_in_error_log_is_escaped(tmp_path, path):
    (tmp_path / "main.py").write_text(APPLICATION)
    with Served(tmp_path, "main:app", "--port", "0", "--color", "never").wait_ready() as served:
        assert served.client().request(path + FORGED)[0] == 500
        served.wait_for("ERROR .*GET " + path)
        served.wait_for('"GET ' + path)
        served.process.terminate()
        served.wait_exit()
        lines = served.output.split("\n")
        assert not any(line.startswith("2026-01-01") for line in lines)
        assert all(line.isprintable() for line in lines)
