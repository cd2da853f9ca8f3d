"""Parser of h2load's output and log."""

import pytest

from benchmarks import h2load
from benchmarks.wrk import UnreadableError

PRINTED = """\
TLS Protocol: TLSv1.3
Application protocol: h2

finished in 414.01ms, 48307.66 req/s, 4.10MB/s
requests: 20000 total, 20000 started, 20000 done, {} succeeded, {} failed, 0 errored, 0 timeout
status codes: 20000 2xx, 0 3xx, 0 4xx, 0 5xx
"""


def test_h2load_output_is_parsed():
    logged = [f"1337 200 {took}\n" for took in range(1000, 0, -1)]
    load = h2load.parse(PRINTED.format(20000, 0), logged, seconds=2)
    assert (load.requests, load.seconds, load.errors) == (20000, 2.0, {})
    assert load.p99 == pytest.approx(991e-6)


def test_h2load_failed_requests_are_counted():
    assert h2load.parse(PRINTED.format(19990, 10), [], seconds=2).errors == {"failed": 10}
    assert h2load.parse(PRINTED.format(19990, 0), [], seconds=2).errors == {"status": 10}


def test_h2load_other_protocol_is_refused():
    with pytest.raises(UnreadableError):
        h2load.parse(PRINTED.replace("h2\n", "http/1.1\n"), [], seconds=2)


def test_h2load_command_ends_with_address():
    line = h2load.command("https://127.0.0.1:1/", seconds=3, log="/tmp/log")
    assert line[-1] == "https://127.0.0.1:1/"
    assert "-D3" in line
