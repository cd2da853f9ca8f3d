"""Benchmark of the recovery time after all workers are killed, and of the memory of four workers.

    .venv-bench/bin/python -m benchmarks.resilience --kills 30

Both workers of a service are killed at once (SIGKILL); the recovery time ends with the first response on a new
connection. Memory is the PSS of all processes of a service with four workers, after each has served some hundred
requests.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
MIB = 1 << 20
port = 0
SERVERS = {
    "corn": "corn serve {app} --port {port} --workers {workers} --no-access-log",
    "corn --preload none": "corn serve {app} --port {port} --workers {workers} --no-access-log --preload none",
    "uvicorn": "uvicorn {app} --port {port} --workers {workers} --no-access-log",
    "gunicorn": "gunicorn {app} -k asgi -b 127.0.0.1:{port} -w {workers}",
    "gunicorn --preload": "gunicorn {app} -k asgi -b 127.0.0.1:{port} -w {workers} --preload",
}
APPS = {"tiny": "benchmarks.apps:plain", "heavy": "benchmarks.heavy_app:app"}


@contextmanager
def service(name: str, app: str, workers: int) -> Iterator[psutil.Process]:
    """Run a server until it responds; yields its master."""
    global port
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = SERVERS[name].format(app=app, port=port, workers=workers).split()
    with subprocess.Popen([BIN / line[0], *line[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        master = psutil.Process(process.pid)
        try:
            wait_for_answer(30)
            wait_for(lambda: len(workers_of(master)) == workers, 30)
            yield master
        finally:
            for each in [*master.children(recursive=True), master]:
                each.kill()


def workers_of(master: psutil.Process) -> list[psutil.Process]:
    """Worker processes: by name with corn, the children of the master with other servers."""
    names = {each: name for each in master.children(recursive=True) if (name := _name_of(each))}
    if any(name.startswith("corn ") for name in names.values()):
        return [each for each, name in names.items() if name.startswith("corn worker")]
    return [each for each in names if not _is_tracker(each)]


def _name_of(process: psutil.Process) -> str:
    """Name of a process, "" if it has exited."""
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.name())
    except psutil.Error:
        return ""


def _is_tracker(process: psutil.Process) -> bool:
    """True for helper processes of multiprocessing, which are not workers."""
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.Error:
        return True


def answers() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_for(condition: object, seconds: float) -> float:
    """Seconds until `condition` is true; raises TimeoutError if it never is."""
    began = time.perf_counter()
    while not condition():  # type: ignore[operator]
        if time.perf_counter() - began > seconds:
            raise TimeoutError
        time.sleep(0.001)
    return time.perf_counter() - began


def wait_for_answer(seconds: float) -> float:
    return wait_for(answers, seconds)


def measure_kills(name: str, app: str, kills: int) -> dict[str, float]:
    with service(name, app, 2) as master:
        times = []
        for _ in range(kills):
            for worker in workers_of(master):
                worker.kill()
            times.append(wait_for_answer(30) * 1000)
            wait_for(lambda: len(workers_of(master)) == 2, 30)
            time.sleep(1.2)  # let both be ready, and stay below what a server forgives
        times.sort()
    return {"median": statistics.median(times), "p95": times[int(0.95 * (len(times) - 1))], "max": times[-1]}


def measure_memory(name: str, app: str) -> float:
    with service(name, app, 4) as master:
        for _ in range(1200):
            answers()
        processes = [master, *master.children(recursive=True)]
        return sum(each.memory_full_info().pss for each in processes) / MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    print("| application | server | killed to answering: median, p95, max (ms) | PSS of 4 workers (MiB) |")
    print("|---|---|---|---|")
    for kind, app in APPS.items():
        for name in SERVERS:
            kills = measure_kills(name, app, chosen.kills)
            memory = measure_memory(name, app)
            figures.setdefault(kind, {})[name] = {**kills, "pss": memory}
            shown = ", ".join(f"{kills[each]:.0f}" for each in ("median", "p95", "max"))
            print(f"| {kind} | {name} | {shown} | {memory:.0f} |", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
