"""StatsD datagrams, plain and with tags."""

import signal
import socket

import pytest

from tests.support.corn_process import Served, write_app


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one")
    return tmp_path


@pytest.fixture
def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(20)
        yield sock


def address(server):
    return f"127.0.0.1:{server.getsockname()[1]}"


def received(server, *wanted):
    """Receive until the wanted metrics have their values; returns counter sums and last gauge values."""
    found = {}
    while any(found.get(name) != value for name, value in wanted):
        for line in server.recv(65536).decode().splitlines():
            name, _, rest = line.partition(":")
            value, kind, *tags = rest.split("|")
            key = "|".join([name, *tags])
            found[key] = found.get(key, 0) + float(value) if kind == "c" else float(value)
    return found


def test_statsd_receives_counters_and_gauges(app_dir, server):
    with Served(app_dir, "main:app", "--port", "0", "--statsd", address(server)).wait_ready() as served:
        size = sum(len(served.client().get()) for _ in range(5))
        sent = ("corn.response_body_bytes", size)  # shown with the next tick of the worker's clock
        found = received(server, ("corn.requests.2xx", 5), sent, ("corn.workers_ready", 1))
        assert found["corn.generation"] == 1
        served.client().get()
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        received(server, ("corn.requests.2xx", 1))


def test_statsd_with_tags_sends_dogstatsd_format(app_dir, server):
    options = ("--statsd", address(server), "--statsd-tags", "env:test", "--statsd-prefix", "shop")
    with Served(app_dir, "main:app", "--port", "0", *options).wait_ready() as served:
        served.client().get()
        found = received(server, ("shop.requests|#env:test,class:2xx", 1), ("shop.workers_target|#env:test", 1))
        assert all(name.startswith("shop.") and "#env:test" in name for name in found)


def test_statsd_without_server_does_not_affect_service(app_dir):
    with Served(app_dir, "main:app", "--port", "0", "--statsd", "127.0.0.1:9").wait_ready() as served:
        assert served.client().get().startswith("one ")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert "Traceback" not in served.output


@pytest.mark.parametrize(
    ("option", "value"),
    [("--statsd", "localhost"), ("--statsd", "host.invalid:8125"), ("--statsd-tags", "a|b"), ("--statsd-tags", "#x")],
)
def test_invalid_statsd_option_exits_2_with_one_line(app_dir, option, value):
    with Served(app_dir, "main:app", "--port", "0", "--statsd", "127.0.0.1:9", option, value) as served:
        assert served.wait_exit() == 2
        assert option in served.output
        assert len(served.output.splitlines()) == 1
