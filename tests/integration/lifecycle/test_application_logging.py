"""Logging of the application: its configuration works as in a standalone program."""

from __future__ import annotations

import pytest

from tests.support.corn_process import Served

APPLICATION = """
import logging, logging.config, os, sys
WHERE = os.environ["WHERE"]
{at_import}

def lifespan():
    {lifespan}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        lifespan()
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        return await send({{"type": "lifespan.shutdown.complete"}})
    logging.getLogger("httpx").info("a request of a library")
    logging.getLogger("shop").info("at work")
    logging.getLogger("shop").warning("be careful")
    if scope["path"] == "/boom":
        raise ValueError("seen")
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""
FILE_CONFIG = """
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = short
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = short
[formatter_short]
format = own %(name)s %(message)s
"""


def output_of(directory, *arguments, at_import="", lifespan="pass", environment=None):
    """Log of a run with two requests, of which one fails."""
    (directory / "main.py").write_text(APPLICATION.format(at_import=at_import, lifespan=lifespan))
    (directory / "log.ini").write_text(FILE_CONFIG)
    with Served(directory, "main:app", "--port", "0", *arguments, WHERE=str(directory)).wait_ready() as served:
        with served.client() as client:
            client.get("/")
        with served.client() as client:
            assert client.request("/boom")[0] == 500
        served.wait_for("GET /boom")
        served.process.terminate()
        assert served.wait_exit() == 0
        return served.output


MODES = pytest.mark.parametrize("mode", ["app", "none"])


@MODES
def test_basic_config_in_lifespan_writes_its_file(tmp_path, mode):
    code = "logging.basicConfig(filename='app.log', level=logging.INFO, format='%(name)s %(message)s')"
    output = output_of(tmp_path, "--preload", mode, lifespan=code)
    assert (tmp_path / "app.log").read_text().count("shop at work\nshop be careful\n") == 2
    assert "shop" not in output
    assert "failed with ValueError" in output


@MODES
def test_file_config_disabling_loggers_keeps_corn_log(tmp_path, mode):
    code = "logging.config.fileConfig('log.ini')"
    output = output_of(tmp_path, "--preload", mode, lifespan=code)
    assert "failed with ValueError" in output
    assert "own shop be careful" in output
    assert output.count("be careful") == 2


def test_dict_config_disabling_loggers_keeps_corn_log(tmp_path):
    output = output_of(tmp_path, at_import="logging.config.dictConfig({'version': 1})")
    assert "failed with ValueError" in output
    assert output.count("be careful") == 2


def test_handler_on_application_logger_writes_one_line(tmp_path):
    code = "logging.getLogger('shop').addHandler(logging.StreamHandler())"
    for where in ({"at_import": code}, {"lifespan": code}):
        output = output_of(tmp_path, **where)
        assert output.count("be careful") == 2


def test_unconfigured_application_log_has_corn_format_from_warning(tmp_path):
    output = output_of(tmp_path, "--log-format", "json")
    assert output.count('"logger": "shop"') == 2 or output.count('"logger":"shop"') == 2
    assert "a request of a library" not in output
    assert "at work" not in output


def test_log_level_of_application_is_set_separately(tmp_path):
    output = output_of(tmp_path, "--log-level", "info,app=info")
    assert output.count("a request of a library") == 2
    assert output.count("at work") == 2
