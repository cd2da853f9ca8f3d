"""Command-line options of `make bench BENCH="..."`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import CASES, Case
from benchmarks.servers import SERVERS, USUAL, Server

_QUICK = {
    "cases": "browser,proxied,plain,fastapi,fixed-rate,close,tls,http2,websocket,wsgi,idle,idle-4",
    "servers": "corn,uvicorn,granian,h2corn,peregrine",
    "rounds": 2,
    "seconds": 2,
    "patience": 0,
}
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Options:
    """Options of one benchmark, which runs each server on each case in each round."""

    cases: tuple[Case, ...]
    servers: tuple[Server, ...]
    rounds: int
    seconds: int
    server_core: int
    client_core: int
    patience: int
    output: Path
    note: str
    publish: bool
    check: bool


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Parse a command line; exits with an error message if it is invalid."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.quick:
        given = parser.parse_args(arguments, argparse.Namespace(**_QUICK))
    try:
        cases = _chosen(given.cases, {case.name: case for case in CASES})
        servers = _chosen(given.servers, {server.name: server for server in SERVERS})
    except ValueError as error:
        parser.error(str(error))
    if given.rounds < 1 or given.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    return Options(
        cases,
        servers,
        given.rounds,
        given.seconds,
        given.server_core,
        given.client_core,
        given.patience,
        given.output,
        given.note,
        given.publish,
        given.check,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Run corn and its peers in turn, and compare the results."
    )
    add = parser.add_argument
    add("--cases", default=_listed(CASES), metavar="A,B", help="cases to run; all are %(default)s")
    add(
        "--servers", default=",".join(USUAL), metavar="A,B", help=f"servers to run, of {_listed(SERVERS)} [%(default)s]"
    )
    add(
        "--quick",
        action="store_true",
        help="run the most important cases, in ten minutes; other options override parts of it",
    )
    add("--rounds", type=int, default=5, metavar="N", help="number of rounds [%(default)s]")
    add("--seconds", type=int, default=2, metavar="N", help="duration of each measurement, in seconds [%(default)s]")
    add("--server-core", type=int, default=0, metavar="N", help="core of the server [%(default)s]")
    add("--client-core", type=int, default=1, metavar="N", help="core of the client [%(default)s]")
    add("--patience", type=int, default=2, metavar="N", help="repeat a disturbed run up to N times [%(default)s]")
    add(
        "--output",
        type=Path,
        default=RESULTS / "latest.json",
        metavar="FILE",
        help="file for the results [%(default)s]",
    )
    add("--note", default="", metavar="TEXT", help="note at the top of the published page")
    add(
        "--publish",
        action="store_true",
        help="store the results under today's date, and generate the pages in docs/ from them",
    )
    add(
        "--check",
        action="store_true",
        help="exit with an error if corn is slower than its goals against the bare protocol",
    )
    return parser


def _listed(named: Sequence[Case] | Sequence[Server]) -> str:
    return ",".join(each.name for each in named)


def _chosen(names: str, known: dict[str, object]) -> tuple:
    unknown = [name for name in names.split(",") if name not in known]
    if unknown:
        raise ValueError(f"no such case or server: {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names.split(","))
