"""Python API: `corn.run` as a program, and `corn.serve` in an event loop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

import corn
from corn.errors import ApplicationError, BindError, ConfigError
from tests.support.corn_process import DEADLINE, Served, write_app
from tests.support.http_client import Client


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})


async def ask(address):
    return await asyncio.get_running_loop().run_in_executor(None, Client(address).get)


async def started(application, **options):
    """Start `corn.serve`; returns its task and its address."""
    address = asyncio.get_running_loop().create_future()
    options = {"port": 0, "lifespan": "off", **options}
    task = asyncio.create_task(corn.serve(application, ready=lambda found: address.set_result(found[0]), **options))
    await asyncio.wait([task, address], return_when=asyncio.FIRST_COMPLETED, timeout=DEADLINE)
    return task, await address


def test_serve_runs_until_cancelled():
    async def main():
        task, address = await started(app)
        assert await ask(address) == "hello"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ConnectionRefusedError):
            await ask(address)

    asyncio.run(main())


def test_serve_returns_on_sigterm_and_restores_handlers():
    before = signal.getsignal(signal.SIGTERM)

    async def main():
        task, _ = await started(app)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(task, DEADLINE)

    asyncio.run(main())
    assert signal.getsignal(signal.SIGTERM) is before


def test_serve_returns_after_limit_max_requests():
    async def main():
        task, address = await started(app, limit_max_requests=2)
        assert [await ask(address) for _ in range(2)] == ["hello", "hello"]
        await asyncio.wait_for(task, DEADLINE)

    asyncio.run(main())


def test_two_servers_in_one_loop_serve():
    async def main():
        tasks, addresses = zip(*[await started(app) for _ in range(2)], strict=True)
        assert [await ask(address) for address in addresses] == ["hello", "hello"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_invalid_argument_raises():
    async def main():
        with pytest.raises(ConfigError, match="unknown option 'wokers'; did you mean 'workers'"):
            await corn.serve(app, wokers=3)
        with pytest.raises(ConfigError, match="port"):
            await corn.serve(app, port=70000)
        task, address = await started(app)
        with pytest.raises(BindError, match="already in use"):
            await corn.serve(app, port=int(address.rpartition(":")[2]))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(ApplicationError, match="no database"):
            await corn.serve(broken, port=0, lifespan="on")

    async def broken(scope, receive, send):
        raise RuntimeError("no database")

    asyncio.run(main())


PROGRAM = """
import corn
{app}
if __name__ == "__main__":
    corn.run({application}, port=0{more})
"""


def run_program(directory, application, more=""):
    write_app(directory, "one")
    source = (directory / "main.py").read_text()
    (directory / "main.py").write_text(PROGRAM.format(app=source, application=application, more=more))
    return Served(directory, program=[sys.executable, "main.py"])


def test_run_with_application_name_supervises_workers(tmp_path):
    with run_program(tmp_path, "'main:app'", ", workers=2").wait_ready() as served:
        assert len(served.workers()) == 2
        assert served.client().get().startswith("one ")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0


def test_run_with_application_object_serves_in_process(tmp_path):
    with run_program(tmp_path, "app", ", lifespan='off'").wait_ready() as served:
        assert served.client().get() == f"one {served.pid}"
        served.signal(signal.SIGINT)
        assert served.wait_exit() == 0


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        ("corn.run('main:app', port=0)", 3, "guard it by __name__ == '__main__'"),
        ("__name__ == '__main__' and corn.run(print, workers=2)", 2, "several workers need the application by name"),
        ("__name__ == '__main__' and corn.run('main:nope', port=0)", 2, "has no 'nope'"),
        ("__name__ == '__main__' and corn.run('main:app', port='x')", 2, "port"),
        ("__name__ == '__main__' and corn.run('main:app', reload=True)", 2, "reload is an option of 'corn dev'"),
    ],
)
def test_mistake_exits_with_one_line(tmp_path, call, code, said):
    (tmp_path / "main.py").write_text(f"import corn\nasync def app(scope, receive, send): ...\n{call}\n")
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr.replace("Traceback (most recent call last):\n  File", "", 1)
