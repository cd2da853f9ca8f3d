"""Access log: contents of its lines, reopening, and blocked log files."""

import json
import os
import re

import pytest

from corn.config.sections.logs import LineFormat
from corn.errors import ConfigError
from tests.support.asgi_server import hello, serving, until

GET = b'GET /a"b?q=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: me "too" \xff\r\n\r\n'


def lines_of(run, tmp_path, *requests, app=hello, **options):
    path = tmp_path / "access.log"

    async def main():
        async with serving(app, access_log=True, access_log_file=str(path), **options) as at:
            for request in requests:
                await at.request(request)

    run(main())
    return path.read_text().splitlines()


def test_text_line_has_all_fields(run, tmp_path):
    (line,) = lines_of(run, tmp_path, GET, color="never")
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
    pattern = stamp + r' INFO    \[\d+\] 127\.0\.0\.1:\d+ "GET /a\\x22b\?q=1 HTTP/1\.1" 200 5 \d+\.\dms'
    assert re.fullmatch(pattern, line)


def test_color_marks_status_in_terminal(run, tmp_path):
    (line,) = lines_of(run, tmp_path, GET, color="always")
    assert "\x1b[32m200\x1b[0m" in line


def test_json_line_has_all_fields(run, tmp_path):
    (line,) = lines_of(run, tmp_path, GET, log_format="json")
    values = json.loads(line)
    assert values["time"].endswith("Z")
    assert values["pid"] == os.getpid()
    assert [values[each] for each in ("method", "path", "query", "version", "status", "bytes")] == [
        "GET",
        '/a"b',
        "q=1",
        "1.1",
        200,
        5,
    ]


def test_atoms_are_replaced_by_their_values(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CORN_TEST_ATOM", "from the environment")
    text = (
        '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(m)s %(U)s %(q)s %(H)s %(s)s %(B)s %(b)s "%(f)s" "%(a)s" %(T)s %(M)s %(D)s '
    )
    text += "%(L)s %(p)s %({host}i)s %({Content-Type}o)s %({x}o)s %({CORN_TEST_ATOM}e)s 100%%"
    (line,) = lines_of(run, tmp_path, GET, access_log_format=LineFormat().parse(text))
    pattern = (
        r"127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        r'"GET /a\\x22b\?q=1 HTTP/1\.1" GET /a\\x22b q=1 '
        r'HTTP/1\.1 200 5 5 "-" "me \\x22too\\x22 \\xff" \d+ \d+ \d+ \d+\.\d{6} <\d+> x text/plain - '
        r"from the environment 100%"
    )
    assert re.fullmatch(pattern, line)


@pytest.mark.parametrize("text", ["%(x)s", "%(h)", "100%", "%({a}z)s", "%h", "a\nb", ""])
def test_unknown_atoms_are_refused(text):
    with pytest.raises(ValueError, match="expected a line"):
        LineFormat().parse(text)


def test_refused_requests_are_logged(run, tmp_path):
    (line,) = lines_of(run, tmp_path, b"GET /\r\n\r\n", color="never")
    assert ' "-" 400 0 0.0ms (invalid request line)' in line
    (line,) = lines_of(run, tmp_path / "..", b"GET / HTTP/9.9\r\n\r\n", log_format="json")[-1:]
    assert json.loads(line)["status"] == 505


def test_client_disconnect_is_logged_as_499(run, tmp_path):
    path = tmp_path / "log"

    async def app(scope, receive, send):
        await receive()
        await receive()

    async def main():
        async with serving(app, access_log=True, access_log_file=str(path)) as at:
            peer = await at.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: at.server._service.running)
            peer.close()
            await until(path.read_text)

    run(main())
    assert '" 499 0 ' in path.read_text()


def test_access_log_is_reopened(run, tmp_path):
    path, old = tmp_path / "log", tmp_path / "log.1"

    async def main():
        async with serving(hello, access_log=True, access_log_file=str(path)) as at:
            await at.request(GET)
            path.rename(old)
            at.server.reopen_logs()
            await at.request(GET)
            await at.request(GET)

    run(main())
    assert (len(old.read_text().splitlines()), len(path.read_text().splitlines())) == (1, 2)


def test_unopenable_access_log_is_config_error(run, tmp_path):
    async def main():
        async with serving(hello, access_log=True, access_log_file=str(tmp_path / "no" / "log")):
            pass

    with pytest.raises(ConfigError, match="cannot open"):
        run(main())


def test_full_access_log_pipe_loses_lines_and_no_request(run, tmp_path, caplog):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def main():
        async with serving(hello, access_log=True, access_log_file=str(path)) as at:
            peer = await at.connect()
            long = b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
            for _ in range(300):
                assert (await peer.request(long)).status == 200
            await until(lambda: "lines of the access log lost" in caplog.text)

    run(main())
    os.close(reader)
