"""Admin process: readiness, the Prometheus exposition, and the admin address."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from corn.admin.app import readiness
from corn.admin.metrics import exposition, metrics
from corn.config.sections.admin import AdminAddress
from corn.config.validation import check_extras
from corn.config.values import parse_value
from corn.errors import ConfigError
from corn.ipc.scoreboard import LATENCY_BOUNDS
from corn.supervisor.policy.state import Stage, State, Worker
from corn.supervisor.projections.history import History
from corn.supervisor.projections.status import About, Observed, Reading, status_of
from tests.support.policy_world import settings_with

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference" / "metrics.md"


def a_status():
    workers = {number: Worker(number, number, 1, Stage.READY, 1.0, pid=number + 100) for number in (0, 1)}
    state = State(settings_with(workers=2), 2, current=1, workers=workers)
    reading = Reading(
        requests=3, busy=0.5, statuses=(0, 0, 2, 0, 0, 1, 0, 0), latency=(1, 1, *(0,) * 13, 1), connections=2
    )
    observed = Observed({0: reading, 1: reading}, Reading(), {}, "info", LATENCY_BOUNDS)
    history = History(causes={"crash": 2, "of a kind that comes later": 1}, reloads={"rolled back": 1})
    status = asdict(
        status_of(About("1", 1, 'main:app "x"\n\\', ("http://[::1]:1",), 0.0), state, history, observed, 9.0)
    )
    for each in (status, *status["workers"]):
        each["pss"] = 1000
    return status


@pytest.mark.parametrize(
    ("accept", "parse"), [("", plain), ("application/openmetrics-text;version=1.0.0", openmetrics)]
)
def test_metrics_page_is_parsed_by_prometheus_client(accept, parse):
    body, kind = exposition(a_status(), accept)
    assert kind.startswith("application/openmetrics-text" if accept else "text/plain; version=0.0.4")
    families = list(parse(body.decode()))
    samples = {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}
    assert all(family.documentation and family.name.startswith("corn_") for family in families)
    assert samples["corn_requests_total", "2xx"] == 4
    assert samples["corn_requests_total", "5xx"] == 2
    assert samples["corn_request_duration_seconds_bucket", "0.001"] == 4
    assert (
        samples["corn_request_duration_seconds_bucket", "+Inf"] == samples["corn_request_duration_seconds_count",] == 6
    )
    assert samples["corn_request_duration_seconds_sum",] == 1.0
    assert samples["corn_worker_restarts_total", "crash"] == 2
    assert samples["corn_worker_restarts_total", "of_a_kind_that_comes_later"] == 1
    assert samples["corn_reloads_total", "rolled_back"] == 1
    assert samples["corn_memory_bytes", "worker"] == 2000


def test_unknown_memory_is_omitted():
    status = a_status() | {"pss": None}
    (memory,) = [each for each in metrics(status) if each.name == "corn_memory_bytes"]
    assert [each.labels["process"] for each in memory.samples] == ["template", "worker"]


def test_metrics_reference_lists_all_metrics():
    def name(metric):
        return metric.name + ("_total" if metric.type == "counter" else "")

    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", REFERENCE.read_text(), re.MULTILINE)
    assert rows == [(name(each), each.type) for each in metrics(a_status())]


@pytest.mark.parametrize(
    ("phase", "ready", "needed", "is_ready"),
    [
        ("serving", 4, 1, True),
        ("degraded", 1, 1, True),
        ("degraded", 0, 1, False),
        ("degraded", 3, 4, False),
        ("serving", 4, 9, True),
        ("reloading", 4, 4, True),
        ("upgrading", 4, 1, True),
        ("starting", 4, 1, False),
        ("stopping", 4, 1, False),
    ],
)
def test_readiness_follows_service_state(phase, ready, needed, is_ready):
    assert readiness({"phase": phase, "ready": ready, "target": 4}, needed)[0] is is_ready


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        *(("9100", "127.0.0.1:9100"), (9100, "127.0.0.1:9100"), ("0", "127.0.0.1:0"), (":9100", ":9100")),
        *(("[::1]:9100", "[::1]:9100"), ("unix:/run/admin.sock", "unix:/run/admin.sock"), ("a:1", "a:1")),
    ],
)
def test_admin_address_is_parsed(raw, address):
    assert AdminAddress().parse(raw) == address


@pytest.mark.parametrize("raw", ["", "localhost", "[::1]", "99999", "fd://3", "fd://admin", True, None, "http://a:1"])
def test_malformed_admin_address_is_refused(raw):
    with pytest.raises(ValueError, match="expected a port, host:port"):
        AdminAddress().parse(raw)


def test_missing_admin_extra_is_named(monkeypatch):
    monkeypatch.setattr("corn.config.validation.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"--admin needs prometheus-client, the extra 'admin': pip install prometheus-client"
    ):
        check_extras({"admin": parse_value("admin", "9100", "command line", "--admin")})
