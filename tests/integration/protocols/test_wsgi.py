"""WSGI applications in real workers: threads, memory, and stop."""

import signal
import socket
import threading

from tests.support.corn_process import Served
from tests.support.http_client import Load

APP = """
import hashlib, threading, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stuck":
        print("stuck", flush=True)
        time.sleep(1000)
    if path == "/upload":
        size = 0
        while part := environ["wsgi.input"].read(65536):
            size += len(part)
        answer = str(size)
    else:
        answer = str(threading.active_count())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
"""
SIZE = 128 << 20


def serve(directory, *options):
    (directory / "main.py").write_text(APP)
    return Served(directory, "main:app", "--port", "0", *options).wait_ready()


def test_wsgi_threads_start_on_demand_up_to_limit(tmp_path):
    with serve(tmp_path, "--wsgi-threads", "3", "--no-access-log") as served:
        assert served.templates()[0].num_threads() == 1
        before = served.workers()[0].num_threads()
        with Load(served.address, clients=8) as load:
            served.wait_until(lambda: len(load.answers) > 500, "500 answers")
        assert load.failures == []
        assert served.workers()[0].num_threads() - before <= 3
        assert max(map(int, load.answers)) <= 4
        assert "not safe to fork" not in served.output


def test_wsgi_upload_is_streamed_in_bounded_memory(tmp_path):
    with serve(tmp_path) as served, socket.create_connection(address_of(served), 30) as peer:
        worker = served.workers()[0]
        before, most, done = worker.memory_info().rss, 0, threading.Event()

        def watch():
            nonlocal most
            while not done.wait(0.01):
                most = max(most, worker.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        peer.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE >> 20):
            peer.sendall(b"x" * (1 << 20))
        assert peer.recv(1000).endswith(str(SIZE).encode())
        done.set()
        watcher.join()
        assert most - before < 16 << 20


def address_of(served):
    host, port = served.address.removeprefix("http://").split(":")
    return host, int(port)


def test_stuck_wsgi_thread_delays_stop_by_grace_only(tmp_path):
    with serve(tmp_path, "--timeout-graceful-shutdown", "0.5") as served:
        with socket.create_connection(address_of(served), 30) as peer:
            peer.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            served.wait_for("stuck")
            served.signal(signal.SIGTERM)
            assert peer.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert served.wait_exit() == 0
        assert served.leftovers() == []


def test_worker_with_all_wsgi_threads_stuck_is_replaced(tmp_path):
    options = ("--wsgi-threads", "1", "--timeout-request", "0.3", "--timeout-graceful-shutdown", "1")
    with serve(tmp_path, *options) as served:
        first = served.workers()[0].pid
        with socket.create_connection(address_of(served), 30) as peer:
            peer.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            assert peer.recv(1000).startswith(b"HTTP/1.1 503 ")
        served.wait_for("all 1 WSGI threads are blocked")
        served.wait_until(lambda: first not in [each.pid for each in served.workers()], "another worker")
        # A response that a busy machine delays beyond --timeout-request is a 503.
        served.wait_until(lambda: served.client().request() == (200, b"2"), "an answer of its first thread")


def test_reload_under_load_fails_no_request(tmp_path):
    with serve(tmp_path, "--workers", "2", "--soak", "0", "--no-access-log") as served, Load(served.address) as load:
        served.wait_until(lambda: len(load.answers) > 100, "answers")
        for generation in (2, 3):
            served.signal(signal.SIGHUP)
            served.wait_for(f"reloaded: generation {generation} serves")
        seen = len(load.answers)
        served.wait_until(lambda: len(load.answers) > seen + 100, "answers after the reloads")
        load.stop()
        assert load.failures == []
