"""Main program of `make bench`: runs the benchmark, prints the results and stores them."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from typing import Any

from benchmarks import wrk
from benchmarks.cases import RATE, STRANGERS, Case
from benchmarks.contention import TOLERABLE
from benchmarks.environment import environment
from benchmarks.goals import regressions
from benchmarks.options import Options, parse
from benchmarks.probes import Client, look
from benchmarks.publish import publish
from benchmarks.response_check import WrongAnswerError
from benchmarks.servers import BARE, Server
from benchmarks.service import running
from benchmarks.summary import Results, Run
from benchmarks.tables import everything


def main() -> int:
    options = parse()
    for tool, advice in (("wrk", wrk.MISSING), ("taskset", "taskset is not installed: it is in util-linux")):
        if shutil.which(tool) is None:
            print(advice, file=sys.stderr)
            return 1
    about, results = environment(options), Results()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no server is left running
    try:
        _run_all(options, results)
    except KeyboardInterrupt:
        print("interrupted; the results so far:", file=sys.stderr)
    print(everything(results))
    _write(options, about, results)
    return _verdict(options, results)


def _run_all(options: Options, results: Results) -> None:
    """Run all servers of a case in turn, round by round, so that other load affects all servers of a round."""
    for case in options.cases:
        rate = half_of_the_slowest(results)
        for number in range(1, options.rounds + 1):
            for server in _in_turn(options.servers, number):
                if server.serves(case):
                    results.add(_undisturbed(options, case, server, number, rate))


def half_of_the_slowest(results: Results) -> int:
    """Rate for all servers: half of the throughput of the slowest one on the same application."""
    rates = [results.value("fastapi", server, RATE) for server in results.servers() if server != BARE]
    known = [rate for rate in rates if rate is not None]
    return int(min(known) / 2) if known else Client.rate


def _in_turn(servers: tuple[Server, ...], number: int) -> tuple[Server, ...]:
    """Order of the servers in a round; it differs in each round, so that none always runs after the same one."""
    first = (number - 1) % len(servers)
    return servers[first:] + servers[:first]


def _undisturbed(options: Options, case: Case, server: Server, number: int, rate: int) -> Run:
    """First run without much other load, or else the last one; the choice does not depend on its figures."""
    run = _run(options, case, server, number, rate)
    _tell(options, run)
    for _ in range(options.patience):
        if run.figures.get(STRANGERS, 0) <= TOLERABLE:
            break
        run = _run(options, case, server, number, rate)
        _tell(options, run)
    return run


def _run(options: Options, case: Case, server: Server, number: int, rate: int) -> Run:
    """Run one server in a fresh process; errors are recorded in the run and do not end the benchmark."""
    core = options.server_core if case.pinned else None
    try:
        with running(server, case, core, options.client_core) as service:
            cores = (options.server_core, options.client_core)
            figures, faults = look(service, case, Client(options.client_core, options.seconds, cores, rate))
    except (WrongAnswerError, OSError, wrk.UnreadableError) as error:
        return Run(case.name, server.name, number, {}, (f"{type(error).__name__}: {error}",))
    return Run(case.name, server.name, number, figures, faults)


def _tell(options: Options, run: Run) -> None:
    figures = "  ".join(f"{name} {figure:,.2f}" for name, figure in run.figures.items())
    faults = "".join(f"  ! {fault}" for fault in run.faults)
    clock = time.strftime("%H:%M:%S")
    line = f"{clock}  {run.case:15} {run.round}/{options.rounds}  {run.server:10} {figures}{faults}"
    print(line, file=sys.stderr, flush=True)


def _write(options: Options, about: dict[str, Any], results: Results) -> None:
    text = json.dumps({"about": about, "runs": [run.to_json() for run in results.runs]}, indent=1) + "\n"
    options.output.write_text(text)
    print(f"\nresults: {options.output}")
    if options.publish:
        print(f"published: {publish(options.output)}")


def _verdict(options: Options, results: Results) -> int:
    denied = regressions(results) if options.check else []
    for goal in denied:
        print(f"regression: {goal.case} reaches {goal.reached(results):.2f}, not {goal.limit()}", file=sys.stderr)
    return 1 if denied else 0


if __name__ == "__main__":
    sys.exit(main())
