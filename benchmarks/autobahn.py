"""The Autobahn WebSocket suite against corn and its peers: `make autobahn`.

Its cases run in parts, one after the other and at low priority, so that none runs for more than some minutes and the
machine stays usable. The suite is a program for Python 2.7 and gets an environment of its own outside the checkout.
"""

from __future__ import annotations

import argparse
import collections
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.servers import SERVERS, Server
from benchmarks.service import running
from benchmarks.tables import aligned

PARTS = (
    ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"),
    ("9.*",),
    *((f"12.{number}.*",) for number in range(1, 6)),
    *((f"13.{number}.*",) for number in range(1, 8)),
)
VERDICTS = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED")
_PATIENCE = 900  # seconds for a part
_CASE = next(case for case in CASES if case.name == "websocket")

Verdicts = dict[str, str]  # by case


def main() -> int:
    given = _parser().parse_args()
    servers = [server for server in SERVERS if server.name in given.servers.split(",")]
    found = {server.name: _examine(server, given.wstest, given.groups.split(",")) for server in servers}
    print(aligned(_table(found)))
    for name, verdicts in found.items():
        for case, verdict in verdicts.items():
            if verdict not in ("OK", "INFORMATIONAL"):
                print(f"{name}: {case} {verdict}")
    return 1 if {"FAILED", "UNIMPLEMENTED"} & set(found.get("corn", {}).values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.autobahn", description="Run the Autobahn suite.")
    parser.add_argument("--wstest", type=Path, required=True, metavar="FILE", help="path of wstest")
    parser.add_argument(
        "--servers", default="corn", metavar="A,B", help="servers, of those of the benchmark [%(default)s]"
    )
    parser.add_argument(
        "--groups", default="1,9,12,13", metavar="A,B", help="groups of cases; 1 means 1 to 7 and 10 [%(default)s]"
    )
    return parser


def _examine(server: Server, wstest: Path, groups: list[str]) -> Verdicts:
    verdicts: Verdicts = {}
    with running(server, _CASE, None) as service:
        for cases in PARTS:
            if cases[0].partition(".")[0] in groups:
                verdicts |= _run(server.name, service.port, cases, wstest)
                print(f"{server.name}: {' '.join(cases)}", file=sys.stderr, flush=True)
    return verdicts


def _run(name: str, port: int, cases: tuple[str, ...], wstest: Path) -> Verdicts:
    with tempfile.TemporaryDirectory(prefix="corn-autobahn-") as directory:
        url = f"ws://127.0.0.1:{port}"
        spec = {"outdir": directory, "servers": [{"agent": name, "url": url}], "cases": cases}
        Path(directory, "spec.json").write_text(json.dumps(spec | {"exclude-cases": [], "exclude-agent-cases": {}}))
        subprocess.run(
            ["nice", str(wstest), "-m", "fuzzingclient", "-s", "spec.json"],
            cwd=directory,
            stdout=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=True,
        )
        found = json.loads(Path(directory, "index.json").read_text())[name]
    return {case: _verdict(each) for case, each in found.items()}


def _verdict(found: dict[str, str]) -> str:
    """The worse one of the verdicts on its behaviour and on its close."""
    both = [_known(found["behavior"]), _known(found["behaviorClose"])]
    return max(both, key=VERDICTS.index)


def _known(verdict: str) -> str:
    return verdict if verdict in VERDICTS else "FAILED"


def _table(found: dict[str, Verdicts]) -> list[list[str]]:
    """A row for each server."""
    rows = [["server", "cases", *(each.lower() for each in VERDICTS)]]
    for name, verdicts in found.items():
        counts = collections.Counter(verdicts.values())
        rows.append([name, str(len(verdicts)), *(str(counts[each]) for each in VERDICTS)])
    return rows


if __name__ == "__main__":
    sys.exit(main())
