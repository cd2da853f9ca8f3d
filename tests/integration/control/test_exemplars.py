"""Exemplars at /metrics: the traces of requests that clients send, for scrapers that ask for OpenMetrics."""

import signal
import time

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.support.admin_client import Monitored

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
BUCKET = "corn_request_duration_seconds_bucket"


@pytest.fixture(params=["http1", "http2"])
def http(request):
    is_http2 = request.param == "http2"
    with httpx.Client(http1=not is_http2, http2=is_http2, trust_env=False, verify=False, timeout=40) as found:
        yield found


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "go").touch()
    return tmp_path


@pytest.fixture(scope="module")
def untraced(tmp_path_factory):
    """Instance that gets no request with a sampled trace."""
    directory = tmp_path_factory.mktemp("untraced")
    (directory / "go").touch()
    with Monitored(directory).wait_ready() as served:
        yield served


def scrape(served, accept="application/openmetrics-text; version=1.0.0"):
    with httpx.Client(trust_env=False, verify=False, timeout=40) as admin:
        return admin.get(f"{served.admin._address}/metrics", headers={"accept": accept})


def exemplars(served):
    """Exemplars by the upper bound of their bucket."""
    response = scrape(served)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    samples = [sample for family in openmetrics(response.text) for sample in family.samples]
    assert all(sample.exemplar is None for sample in samples if sample.name != BUCKET)
    return {float(sample.labels["le"]): sample.exemplar for sample in samples if sample.exemplar is not None}


def test_traced_request_is_exemplar_of_its_bucket(directory, http):
    with Monitored(directory, "-w", "2").wait_ready() as served:
        assert exemplars(served) == {}
        began = time.time()
        for _ in range(2):  # the second repeats the fields of the first
            http.get(f"{served.address}/slow", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
        served.wait_until(lambda: exemplars(served), "an exemplar")
        for bound, found in exemplars(served).items():
            assert found.labels == {"trace_id": TRACE, "span_id": SPAN}
            assert 0.029 <= found.value <= bound  # timers of uvloop are rounded to milliseconds
            assert began - 1 <= float(found.timestamp) <= time.time() + 1


@pytest.mark.parametrize(
    "value",
    [f"00-{TRACE}-{SPAN}-00", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", "x" * 55, ""],
)
def test_request_without_sampled_trace_is_no_exemplar(untraced, value):
    before = untraced.samples()["corn_requests_total", "2xx"]
    with httpx.Client(trust_env=False, verify=False, timeout=40) as http:
        http.get(untraced.address, headers={"traceparent": value})
    untraced.wait_until(lambda: untraced.samples()["corn_requests_total", "2xx"] == before + 1, "the request")
    assert exemplars(untraced) == {}


def test_last_exemplar_stays_when_workers_are_replaced(directory):
    with Monitored(directory).wait_ready() as served, httpx.Client(trust_env=False, verify=False, timeout=40) as http:
        for span in (SPAN, SPAN[::-1]):
            http.get(f"{served.address}/slow", headers={"traceparent": f"00-{TRACE}-{span}-01"})
        served.wait_until(lambda: any(e.labels["span_id"] == SPAN[::-1] for e in exemplars(served).values()), "both")
        before = exemplars(served)
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_until(lambda: served.samples()["corn_workers", "draining"] == 0, "the old worker gone")
        assert exemplars(served) == before


def test_text_format_of_prometheus_has_no_exemplars(directory):
    with Monitored(directory).wait_ready() as served, httpx.Client(trust_env=False, verify=False, timeout=40) as http:
        http.get(served.address, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
        served.wait_until(lambda: exemplars(served), "an exemplar")
        response = scrape(served, accept="text/plain")
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "corn_requests" in [family.name for family in plain(response.text)]
        assert TRACE not in response.text
