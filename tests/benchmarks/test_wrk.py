"""Parser of wrk's output, and its command line."""

import pytest

from benchmarks import wrk

CLEAN = """\
Running 2s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   736.05us  118.70us   2.99ms   81.60%
    Req/Sec    86.49k     3.03k   90.99k    70.00%
  Latency Distribution
     50%  711.00us
     75%  786.00us
     90%    0.86ms
     99%    1.14ms
  172081 requests in 2.00s, 22.48MB read
Requests/sec:  85936.93
Transfer/sec:     11.23MB
"""
FAULTY = CLEAN.replace(
    "Requests/sec",
    "  Socket errors: connect 0, read 7, write 0, timeout 2\n  Non-2xx or 3xx responses: 31\nRequests/sec",
)


def test_wrk_output_is_parsed():
    load = wrk.parse(CLEAN)
    assert (load.requests, load.seconds, load.errors) == (172081, 2.0, {})
    assert load.p99 == pytest.approx(0.00114)


def test_wrk_errors_are_counted_by_kind():
    assert wrk.parse(FAULTY).errors == {"read": 7, "timeout": 2, "status": 31}


@pytest.mark.parametrize(("printed", "seconds"), [("87.00us", 87e-6), ("1.20s", 1.2), ("1.02m", 61.2)])
def test_wrk_time_units_are_parsed(printed, seconds):
    assert wrk.parse(CLEAN.replace("1.14ms", printed)).p99 == pytest.approx(seconds)


@pytest.mark.parametrize("printed", ["", "unable to connect to 127.0.0.1:8000 Connection refused\n"])
def test_wrk_other_output_is_refused_with_message(printed):
    with pytest.raises(wrk.UnreadableError, match=r"nothing|unable to connect"):
        wrk.parse(printed)


def test_wrk_body_is_quoted_for_lua():
    assert wrk.script("POST", b'a"\\\n1\xff') == 'wrk.method = "POST"\nwrk.body = "a\\034\\092\\0101\\255"\n'


def test_wrk_command_has_connections_duration_and_headers():
    line = wrk.command("http://x/", connections=64, seconds=2, headers={"A": "b"}, script="/tmp/s.lua")
    assert line == ["wrk", "-t1", "-c64", "-d2s", "--latency", "-H", "A: b", "-s", "/tmp/s.lua", "http://x/"]
