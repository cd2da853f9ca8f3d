"""Admin endpoint of real instances: metrics, readiness, liveness, and its independence from the service."""

from __future__ import annotations

import signal
import socket
import time
from bisect import bisect_left

import pytest

from tests.support.admin_client import Monitored
from tests.support.corn_process import Served, write_app
from tests.support.free_ports import free_port
from tests.support.http_client import Client, Load
from tests.support.packages import break_package


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "go").touch()
    return tmp_path


def test_metrics_agree_with_client(directory):
    with Monitored(directory, "-w", "2").wait_ready() as served:
        took = []
        with served.client() as client:
            for path in ["/"] * 200 + ["/slow"] * 20:
                began = time.monotonic()
                client.get(path, keep=True)
                took.append(time.monotonic() - began)
            for _ in range(7):
                client.request("/missing", keep=True)
        served.wait_until(lambda: served.samples()["corn_response_body_bytes_total",] == 454, "all counts")
        samples = served.samples()
        assert samples["corn_requests_total", "2xx"] == 220
        assert samples["corn_requests_total", "4xx"] == 7
        assert samples["corn_request_duration_seconds_count",] == 227
        bounds = served.status()["latency_bounds"]
        reported = [samples["corn_request_duration_seconds_bucket", str(bound)] for bound in bounds]
        seen = [bisect_left(sorted(took), bound) for bound in bounds]
        assert all(corn >= client for corn, client in zip(reported, seen, strict=True)), (
            reported,
            seen,
        )  # it is nearer
        assert reported[bounds.index(0.02)] <= 227 - 20
        assert samples["corn_workers", "ready"] == samples["corn_workers_ready",] == 2
        assert samples["corn_memory_bytes", "worker"] > 1_000_000


def test_counters_are_monotonic_across_worker_replacement(directory):
    with Monitored(directory, "-w", "2").wait_ready() as served, Load(served.address, clients=2) as load:
        counts = []

        def has(name, label, value):
            samples = served.samples()
            counts.append(samples["corn_requests_total", "2xx"])
            return samples[name, label] == value

        served.workers()[0].kill()
        served.wait_until(lambda: has("corn_worker_restarts_total", "crash", 1), "the end is counted")
        served.wait_until(lambda: has("corn_workers", "ready", 2), "another worker")
        served.signal(signal.SIGHUP)
        served.wait_until(lambda: has("corn_reloads_total", "done", 1), "a reload")
        served.wait_until(lambda: has("corn_workers", "draining", 0), "the old ones are gone")
        load.stop()
        assert counts == sorted(counts)
        answered = len(load.answers)
        # The kill may happen between the response and its count, or before the response arrives.
        fewest, most = answered - load.clients, answered + len(load.failures)
        served.wait_until(lambda: served.samples()["corn_requests_total", "2xx"] >= fewest, "all are counted")
        samples = served.samples()
        assert samples["corn_requests_total", "2xx"] <= most
        assert samples["corn_generation",] == 2


def test_readyz_follows_start_worker_loss_and_drain(tmp_path):
    port = free_port()
    more = ("-w", "2", "--drain-delay", "30", "--admin-ready-workers", "2")
    with Monitored(tmp_path, *more, admin=str(port)) as served:
        served.admin = Client(f"http://127.0.0.1:{port}")
        served.wait_until(lambda: served.readiness() == 503, "it says that it starts")
        assert served.admin.request("/readyz") == (503, b"starting: 0 of 2 workers are ready\n")
        assert served.admin.request("/livez")[0] == 200
        (tmp_path / "go").touch()
        served.wait_ready()
        served.wait_until(lambda: served.readiness() == 200, "ready")
        (tmp_path / "go").unlink()
        served.workers()[0].kill()
        served.wait_until(lambda: served.readiness() == 503, "too few workers are")
        assert b"1 of 2 workers are ready, 2 are required" in served.admin.request("/readyz")[1]
        (tmp_path / "go").touch()
        served.wait_until(lambda: served.readiness() == 200, "ready again")
        served.signal(signal.SIGTERM)
        served.wait_until(lambda: served.readiness() == 503, "it is to stop")
        assert served.client().get() == "ok"
        assert served.admin.request("/readyz")[1] == b"stopping: 2 of 2 workers are ready\n"
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []


def test_service_is_unaffected_by_killed_or_suspended_admin_process(directory):
    with Monitored(directory).wait_ready() as served, Load(served.address, clients=2) as load:
        served.wait_until(served.admin_process, "an admin process")
        first = served.admin_process()
        first.kill()
        served.wait_for("the admin process killed by SIGKILL; restarting it in")
        served.wait_until(lambda: served.admin_process() not in (None, first), "another")
        assert served.readiness() == 200
        served.admin_process().send_signal(signal.SIGSTOP)
        before = len(load.answers)
        served.wait_until(lambda: len(load.answers) > before + 100, "it serves on")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        load.stop()
        assert load.failures == []
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []


def test_livez_of_suspended_master_is_503(directory):
    with Monitored(directory).wait_ready() as served:
        served.wait_until(lambda: served.readiness() == 200, "ready")
        served.signal(signal.SIGSTOP)
        served.wait_until(lambda: served.admin.request("/livez")[0] == 503, "the master is silent")
        assert served.client().get() == "ok"
        served.signal(signal.SIGCONT)
        served.wait_until(lambda: served.admin.request("/livez")[0] == 200, "it answers again")


def test_readyz_during_upgrade_stays_200(directory):
    with Monitored(directory, "--pid", "pid").wait_ready() as served:
        served.wait_until(lambda: served.readiness() == 200, "ready")
        served.signal(signal.SIGUSR2)
        answers = set()

        def has_moved():
            answers.add(served.admin.request("/readyz"))
            return served.status()["pid"] != served.pid

        served.wait_until(has_moved, "the new master tells")
        assert answers == {(200, b"1 of 1 workers are ready\n")}


def test_refused_configuration_is_reported_until_success(directory):
    with Monitored(directory).wait_ready() as served:
        assert served.samples()["corn_last_reload_successful",] == 1
        (directory / "corn.toml").write_text("wrokers = 2")
        served.signal(signal.SIGHUP)
        served.wait_for("reload refused, nothing was changed")
        served.wait_until(lambda: served.status()["recent_reloads"], "it is reported")
        (last,) = served.status()["recent_reloads"]
        assert (last["generation"], last["outcome"]) == (None, "refused")
        assert "wrokers" in last["error"]
        assert served.samples()["corn_last_reload_successful",] == 0
        assert served.samples()["corn_reloads_total", "refused"] == 1
        (directory / "corn.toml").write_text("workers = 2")
        served.signal(signal.SIGHUP)
        served.wait_until(lambda: served.samples()["corn_last_reload_successful",] == 1, "it is forgotten")
        assert [each["outcome"] for each in served.status()["recent_reloads"]] == ["refused", "done"]


def test_admin_address_in_use_exits_with_one_line(directory):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        Monitored(directory, admin=str(taken.getsockname()[1])) as served,
    ):
        assert served.wait_exit() != 0
        assert len(served.output.splitlines()) == 1
        assert "--admin: " in served.output
        assert "is already in use" in served.output


def test_admin_unix_socket_is_removed_at_exit(directory):
    with Monitored(directory, admin="unix:admin.sock").wait_ready() as served:
        served.admin = Client(f"unix:{directory}/admin.sock")
        served.wait_until(lambda: served.readiness() == 200, "ready")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert not (directory / "admin.sock").exists()


def test_admin_endpoint_refuses_http2(directory):
    with Monitored(directory).wait_ready() as served:
        port = served.wait_for(r"admin endpoint at http://127\.0\.0\.1:(\d+)")[1]
        with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as sock:
            sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 505 ")


def test_broken_prometheus_client_is_logged_in_one_line(tmp_path):
    write_app(tmp_path, "one")
    command = ("main:app", "--port", "0", "--control", "off", "--admin", "0")
    with Served(tmp_path, *command, PYTHONPATH=break_package(tmp_path, "prometheus_client")) as served:
        said = "--admin cannot import prometheus_client: undefined symbol: PyX; reinstall it"
        served.wait_for(rf"ERROR +admin \[\d+\] {said}")
        served.wait_for("the admin process exited with code 2; restarting it")
        served.wait_ready()
        assert "Traceback" not in served.output
