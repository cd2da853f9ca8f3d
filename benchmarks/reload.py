"""Benchmark of reload times: corn dev compared with the --reload of its peers.

    .venv-bench/bin/python -m benchmarks.reload --edits 10

It starts a project and saves its main.py repeatedly, each time with another version number. A client requests the page
continuously, each time over a new connection. The time of a reload begins before the save and ends with the first
response that has the new version. A request has failed if it was refused or reset, if its status is not 200, or if it
began after a response with the new version and has the old one.

The servers run one at a time, in turns. The pause between edits is random, so that it does not coincide with the
polling interval of a server.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks import projects
from benchmarks.environment import machine, versions

BIN = Path(sys.executable).parent
PATIENCE = 30.0
SETTLING = 4.0  # seconds from the first answer to the first edit
SERVERS = {
    "corn": "corn dev main:app --port {port}",
    "uvicorn": "uvicorn main:app --port {port} --reload",
    "granian": "granian --interface asgi main:app --port {port} --reload",
    "hypercorn": "hypercorn main:app --bind 127.0.0.1:{port} --reload",
    "gunicorn": "gunicorn main:app -k asgi --bind 127.0.0.1:{port} --reload",
}
PACKAGES = {each: each for each in SERVERS} | {"corn": "corn-server"}
LIBRARIES = ("fastapi", "pydantic", "sqlalchemy", "numpy", "pandas", "watchfiles")


@dataclass
class Edits:
    """Results of one server and project: milliseconds for each edit, and the requests sent meanwhile."""

    server: str
    project: str
    times: list[float] = field(default_factory=list)
    requests: int = 0
    failed: int = 0
    lost: int = 0  # edits that were never served

    @property
    def median(self) -> float:
        return statistics.median(self.times) if self.times else float("nan")


@contextmanager
def serving(server: str, directory: Path) -> Iterator[int]:
    """Run a server for the project in the directory; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    line = SERVERS[server].format(port=port).split()
    environment = os.environ | {"PYTHONPATH": str(directory)}
    with (directory.parent / f"{directory.name}.log").open("wb") as log:
        process = subprocess.Popen([BIN / line[0], *line[1:]], cwd=directory, stdout=log, stderr=log, env=environment)
    try:
        yield port
    finally:
        for each in [*psutil.Process(process.pid).children(recursive=True), process]:
            each.kill()
        process.wait()


def ask(port: int) -> str:
    """Body of the response; raises OSError or HTTPException if there is none, or its status is not 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        return body
    finally:
        connection.close()


def body_of(port: int, edits: Edits | None) -> str:
    """Send and count one request; returns the response, "" for a failure."""
    try:
        body = ask(port)
    except (OSError, http.client.HTTPException):
        body = ""
    if edits is not None:
        edits.requests += 1
        edits.failed += not body
    return body


def ask_until(port: int, version: int, edits: Edits | None) -> float | None:
    """Send requests until `version` is served; returns the time, None if it never is."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        if body_of(port, edits) == f"version {version}":
            return time.perf_counter()
        time.sleep(0.002)
    return None


def settle(port: int, version: int, edits: Edits) -> None:
    """Send requests for a random time; a response without the new version has failed."""
    end = time.perf_counter() + random.uniform(0.8, 1.6)
    while time.perf_counter() < end:
        edits.failed += body_of(port, edits) not in ("", f"version {version}")
        time.sleep(0.02)


def edit(server: str, project: str, count: int, edits: Edits) -> None:
    """Start a server, edit its project `count` times, and stop it."""
    with tempfile.TemporaryDirectory() as parent:
        directory = Path(parent) / "project"
        directory.mkdir()
        projects.write(project, directory, 0)
        with serving(server, directory) as port:
            if ask_until(port, 0, None) is None:
                log = directory.with_suffix(".log").read_text()
                raise SystemExit(f"{server} does not serve {project}:\n{log}")
            time.sleep(SETTLING)
            for version in range(1, count + 1):
                saved = time.perf_counter()
                projects.save(project, directory, version)
                served = ask_until(port, version, edits)
                if served is None:
                    edits.lost += 1
                    continue
                edits.times.append((served - saved) * 1000)
                settle(port, version, edits)


def rows(results: list[Edits]) -> Iterator[str]:
    """Table with a row for each server and project."""
    yield "| project | server | median ms | least | greatest | of the fastest peer | failed requests |"
    yield "|---|---|---|---|---|---|---|"
    for project in dict.fromkeys(each.project for each in results):
        here = [each for each in results if each.project == project]
        fastest = min((each.median for each in here if each.server != "corn" and each.times), default=float("nan"))
        for each in here:
            least, greatest = (min(each.times), max(each.times)) if each.times else (float("nan"),) * 2
            lost = f", {each.lost} edits never served" if each.lost else ""
            yield (
                f"| {project} | {each.server} | {each.median:.0f} | {least:.0f} | {greatest:.0f} "
                f"| {each.median / fastest:.2f} | {each.failed} of {each.requests}{lost} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=10, help="number of edits for each server and project")
    parser.add_argument("--rounds", type=int, default=2, help="number of rounds over which the edits are distributed")
    parser.add_argument("--servers", default=",".join(SERVERS), help="servers, comma-separated")
    parser.add_argument("--projects", default="tiny,heavy", help="projects, comma-separated")
    parser.add_argument("--note", default="", help="sentence for the published page")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args()
    servers, kinds = chosen.servers.split(","), chosen.projects.split(",")
    results = [Edits(server, project) for project in kinds for server in servers]
    for number in range(chosen.rounds):
        count = chosen.edits // chosen.rounds + (number < chosen.edits % chosen.rounds)
        for each in results[number % len(results) :] + results[: number % len(results)]:
            edit(each.server, each.project, count, each)
            print(f"{each.project} {each.server}: {[round(one) for one in each.times]}", file=sys.stderr, flush=True)
    print("\n".join(rows(results)))
    if chosen.json:
        about = machine() | {"edits": chosen.edits, "rounds": chosen.rounds, "note": chosen.note}
        about["versions"] = versions([*(PACKAGES[each] for each in servers), *LIBRARIES])
        data = {"about": about, "runs": [asdict(each) for each in results]}
        chosen.json.write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
