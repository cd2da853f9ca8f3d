"""examples/deploy/haproxy.cfg, with other ports, in front of three instances that are replaced under load."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import urllib.request
from pathlib import Path

from tests.support.corn_process import DEADLINE, Served, write_app
from tests.support.free_ports import free_ports
from tests.support.http_client import Client, Load

CONFIG = Path(__file__).parents[3] / "examples" / "deploy" / "haproxy.cfg"


SCHEME = """
async def app(scope, receive, send):
    body = scope["scheme"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


@contextlib.contextmanager
def haproxy(program: str, directory: Path, ports: list[int]):
    """HAProxy with the example's configuration, listening on the first of the ports, with the others behind it."""
    text = CONFIG.read_text()
    for example, port in zip(
        ("0.0.0.0:8080", "127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"), ports, strict=True
    ):
        assert example in text
        text = text.replace(example, f"127.0.0.1:{port}")
    path = directory / "haproxy.cfg"
    path.write_text(text)
    subprocess.run([program, "-c", "-q", "-f", str(path)], check=True, timeout=DEADLINE)
    with (directory / "haproxy.log").open("w") as log:
        process = subprocess.Popen([program, "-db", "-f", str(path)], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        process.kill()
        process.wait(DEADLINE)


def serve(directory: Path, port: int) -> Served:
    return Served(directory, "main:app", "--port", str(port), "--drain-delay", "0.5", "--no-access-log")


def answering(address: str, directory: Path) -> bool:
    assert "ALERT" not in (directory / "haproxy.log").read_text(), (directory / "haproxy.log").read_text()
    with contextlib.suppress(OSError), Client(address) as client:
        return client.request()[0] == 200
    return False


def balanced(stack: contextlib.ExitStack, program: str, directory: Path, ports: list[int]) -> tuple[list[Served], str]:
    """Instances behind HAProxy, ready to serve, and its address."""
    instances = [stack.enter_context(serve(directory, port)) for port in ports[1:]]
    for instance in instances:
        instance.wait_ready()
    address = stack.enter_context(haproxy(program, directory, ports))
    instances[0].wait_until(lambda: answering(address, directory), "HAProxy in front")
    return instances, address


def test_rolling_replacement_behind_haproxy_fails_no_request(tmp_path, program):
    write_app(tmp_path, "one")
    ports = free_ports(4)
    with contextlib.ExitStack() as stack:
        instances, address = balanced(stack, program("haproxy"), tmp_path, ports)
        with Load(address, clients=8) as load:
            write_app(tmp_path, "two")
            for number, instance in enumerate(instances):
                so_far = len(load.answers)
                instance.signal(signal.SIGTERM)
                assert instance.wait_exit() == 0
                instances[number] = stack.enter_context(serve(tmp_path, ports[1 + number])).wait_ready()
                instance.wait_until(lambda so_far=so_far: len(load.answers) > so_far + 100, "answers")
            instances[0].wait_until(lambda: {each.split()[0] for each in load.answers[-100:]} == {"two"}, "new code")
            instances[0].wait_until(
                lambda: len({each.split()[1] for each in load.answers}) == 6, "answers of each instance, old and new"
            )
            load.stop()
        assert load.failures == []


def test_forged_scheme_headers_are_replaced_by_haproxy(tmp_path, program):
    (tmp_path / "main.py").write_text(SCHEME)
    ports = free_ports(4)
    with serve(tmp_path, ports[1]).wait_ready() as instance, haproxy(program("haproxy"), tmp_path, ports) as address:
        instance.wait_until(lambda: answering(address, tmp_path), "HAProxy in front")
        forged = {"X-Forwarded-Proto": "https", "Forwarded": "for=6.6.6.6;proto=https"}
        request = urllib.request.Request(address, headers=forged)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            assert answer.read() == b"http"


def test_killed_instance_behind_haproxy_fails_no_request(tmp_path, program):
    write_app(tmp_path, "one")
    ports = free_ports(4)
    with contextlib.ExitStack() as stack:
        instances, address = balanced(stack, program("haproxy"), tmp_path, ports)
        with Load(address, clients=6) as load:
            instances[0].wait_until(lambda: len(load.answers) > 50, "answers")
            instances[0].process.kill()
            for worker in instances[0].leftovers():
                with contextlib.suppress(Exception):
                    worker.kill()
            so_far = len(load.answers)
            instances[1].wait_until(lambda: len(load.answers) > so_far + 100, "answers")
            load.stop()
        assert load.failures == []
