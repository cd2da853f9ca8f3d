"""Results to documentation: docs/explanation/performance.md and its chart, both written from one results file.

python -m benchmarks.publish RESULTS.json
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.cases import P99, RATE, STRANGERS
from benchmarks.chart import chart
from benchmarks.contention import TOLERABLE
from benchmarks.options import RESULTS
from benchmarks.summary import Results, Run
from benchmarks.tables import fault_rows, goal_rows, headline_rows, markdown, measure_rows, spread_rows

_DOCS = Path(__file__).resolve().parent.parent / "docs" / "explanation"

_PAGE = """\
# Performance

corn beside uvicorn, granian, gunicorn and hypercorn, measured on {date}, also where it is behind. This page
is written by `make bench BENCH=--publish` from [{name}](../../benchmarks/results/{name}); the words stand in
`benchmarks/publish.py`.
{note}
![Requests per CPU-second by case and server, relative to uvicorn](performance.svg)

## Requests, memory, balance

The median of {rounds} rounds, and in brackets the median of the rounds' ratios to uvicorn. `!n` marks n runs that had
errors and are not in the median; the errors are listed at the end.

{headline}

`bare` is a protocol of forty lines on uvloop and httptools that reads the request and answers from memory, without
ASGI, limits, deadlines or a log: what remains to be had.

## Is it as claimed?

The goals that corn was built to, and what this run says of them. {fallen}

{goals}

## Requests per second

By the clock, one worker on one core unless the case says otherwise. wrk had the other core, and where a server is
fast enough it is wrk that sets the pace; the figures per CPU-second do not depend on that.

{rate}

## Latency

The 99th percentile with 64 connections that send as fast as they are answered. A server at its limit queues, so this
is mostly throughput seen from the other side; only `10 ms sleep` leaves the servers room, and the case whose rate is
half of what the slowest server can bear, whose percentiles are among the goals above.

{p99}

## How far the rounds lie apart

The least and the greatest ratio to uvicorn, of the same rounds as above. Where two servers' ranges overlap, the run
does not say which is faster.

{spread}

## How it was measured

- Machine: {processor}, {cores} cores, Linux {kernel}, Python {python}, {wrk}. The server was pinned to one core
  and wrk to the other with taskset (the balance case is not pinned). Load average before the run: {load_before}.
- corn at commit {commit}. Versions: {versions}.
- In each round each server was started anew, asked once and its answer compared, warmed up for a second, then loaded by
  wrk for {seconds} s over 64 connections. The servers took turns within a round, beginning with another each time.
- In cases called *varying* each request has sixteen fields, of which cookies, ids, addresses and Referer differ from
  request to request, as behind a proxy. In cases called *repeated* all requests are the same bytes, which no client
  sends and which favours servers that remember. HAProxy, where it is named, shares wrk's core and keeps its
  connections.
- h2corn is written in Rust and peregrine in Swift: they parse and write outside of Python, and where the application
  itself is small they are ahead of every server in Python. On FastAPI most of the time is the application's.
- Every peer runs its fastest parts: uvicorn with httptools and uvloop, granian in ASGI mode on uvloop, gunicorn's own
  asgi worker with its C parser and uvloop, hypercorn on uvloop. `benchmarks/servers.py` has the command lines.
- CPU time is user and system time of all of a server's processes, with corn's master and template and granian's
  threads. Memory is PSS of all of them.
- Access logs were off, except where the case says so; then they went to a file, and a run that logged fewer lines than
  it answered requests counts as failed. By default corn and uvicorn log requests; granian, gunicorn and hypercorn do
  not, so the rows `each server's default` compare unequal work.
- The memory of a connection is what PSS grew by over 2,000 connections that had one request each, divided by them.
- {strangers} Ratios within a round bear some disturbance; absolute figures and p99 do not, and a figure from another
  day or machine proves nothing beside these.

{faults}
Again, on your machine: `make bench`. In less than a minute:
`make bench BENCH="--cases plain,echo --servers corn,uvicorn --rounds 3 --seconds 2"`.
"""


def load(path: Path) -> tuple[dict[str, Any], Results]:
    """What a results file says: the circumstances, and the runs."""
    data = json.loads(path.read_text())
    return data["about"], Results(Run.from_json(each) for each in data["runs"])


def publish(path: Path) -> Path:
    """Keep a results file under its date, and write the documentation from it; the page's path."""
    about, results = load(path)
    kept = RESULTS / f"{about['date']}.json"
    kept.write_text(path.read_text())
    subtitle = f"{about['date']}, median of {about['rounds']} rounds, Python {about['python']}, {about['processor']}"
    (_DOCS / "performance.svg").write_text(chart(results, subtitle))
    target = _DOCS / "performance.md"
    target.write_text(page(about, results, kept.name))
    return target


def strangers(results: Results) -> str:
    """How quiet the machine was, in a sentence."""
    seconds = [run.figures[STRANGERS] for run in results.runs if STRANGERS in run.figures]
    if not seconds:
        return "Other work ran on the same cores, and how much was not recorded."
    disturbed = sum(each > TOLERABLE for each in seconds)
    return (
        f"Other work took {statistics.median(seconds):.2f} CPU-seconds a second of the two cores in the median run, "
        f"and more than {TOLERABLE} in {disturbed} of {len(seconds)}, after trying again."
    )


def page(about: dict[str, Any], results: Results, name: str) -> str:
    """The page in Markdown."""
    goals, faults = goal_rows(results), fault_rows(results)
    fallen = sum(row[0] != "holds" for row in goals[1:])
    words = about | {
        "name": name,
        "note": f"\n**{about['note']}**\n" if about.get("note") else "",
        "versions": ", ".join(f"{package} {version}" for package, version in about["versions"].items()),
        "headline": markdown(headline_rows(results)),
        "fallen": f"{len(goals) - 1 - fallen} hold, {fallen} fall short.",
        "goals": markdown(goals),
        "rate": markdown(measure_rows(results, RATE)),
        "p99": markdown(measure_rows(results, P99)),
        "spread": markdown(spread_rows(results)),
        "strangers": strangers(results),
        "faults": f"## Runs with errors\n\n{markdown(faults)}\n" if len(faults) > 1 else "No run had errors.\n",
    }
    return _PAGE.format(**words)


if __name__ == "__main__":
    print(publish(Path(sys.argv[1])))
