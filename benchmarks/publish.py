"""Results to documentation: docs/explanation/performance.md, its chart, and the table of the README, from one file.

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
from benchmarks.native import ahead
from benchmarks.options import RESULTS
from benchmarks.servers import BARE
from benchmarks.summary import Results, Run
from benchmarks.tables import (
    fault_rows,
    fixed_rate_rows,
    goal_rows,
    headline_rows,
    markdown,
    measure_rows,
    spread_rows,
    summary_rows,
)

_ROOT = Path(__file__).resolve().parent.parent
_DOCS = _ROOT / "docs" / "explanation"
_BEGIN, _END = "<!-- table: make bench BENCH=--publish -->", "<!-- end of table -->"

_PAGE = """\
# Performance

corn beside {peers}, measured on {date}, also where it is behind. This page is written
by `make bench BENCH=--publish` from [{name}](../../benchmarks/results/{name}); the words stand in
`benchmarks/publish.py`.
{note}
![Requests per CPU-second by case and server, relative to uvicorn](performance.svg)

## Requests, memory, balance

The median of {rounds} rounds, and in brackets the median of the rounds' ratios to uvicorn. `!n` marks n runs that had
errors and are not in the median; the errors are listed at the end.

{headline}
{bare}
In cases called *varying* each request has sixteen fields, of which cookies, ids, addresses and Referer differ from
request to request, as behind a proxy. In cases called *repeated* all requests are the same bytes, which no client sends
and which favours servers that remember.

## Servers that are not written in Python

They parse requests and write responses outside of Python, so they are ahead of every server in Python where the
application itself is small. By requests per CPU-second, in this run:

{native}

## Is it as claimed?

The goals that corn was built to, and what this run says of them. {fallen}

{goals}

## Requests per second

By the clock, one worker on one core unless the case says otherwise. wrk had the other core, and where a server is
fast enough it is wrk that sets the pace; the figures per CPU-second do not depend on that.

{rate}

## Latency

At a fixed rate, half of what the slowest server of the run can bear, a server's own time shows, and not its queue:

{fixed}

The 99th percentile with 64 connections that send as fast as they are answered. A server at its limit queues, so this is
mostly throughput seen from the other side.

{p99}

## How far the rounds lie apart

The least and the greatest ratio to uvicorn, of the same rounds as above. Where two servers' ranges overlap, the run
does not say which is faster.

{spread}

## How it was measured

- Machine: {processor}, {cores} cores, Linux {kernel}, Python {python}, {wrk}. The server was pinned to one core
  and wrk to the other with taskset, but for cases of several workers. Load average before the run: {load_before}.
- corn at commit {commit}. Versions: {versions}.
- In each round each server was started anew, asked once and its answer compared, warmed up for a second, then loaded by
  wrk for {seconds} s over 64 connections. The servers took turns within a round, beginning with another each time.
- Every peer runs its fastest parts: uvicorn with httptools and uvloop, granian in ASGI mode on uvloop, gunicorn's own
  asgi worker with its C parser and uvloop, hypercorn on uvloop. `benchmarks/servers.py` has the command lines.
- CPU time is user and system time of all of a server's processes, with corn's master and template and granian's
  threads. Memory is PSS of all of them.
{notes}- {strangers}
- Ratios within a round bear some disturbance; absolute figures and p99 do not, and a figure from another day or machine
  proves nothing beside these.

{faults}
Again, on your machine: `make bench`. In less than a minute:
`make bench BENCH="--cases plain,echo --servers corn,uvicorn --rounds 3 --seconds 2"`.
"""

# Notes that hold for some cases only, by those.
_NOTES = {
    ("proxied",): "- HAProxy shares wrk's core and keeps its connections to the server.",
    ("plain-log", "fastapi-log"): """\
- Access logs were off, except where the case says so; then they went to a file, and a run that logged fewer lines than
  it answered requests counts as failed.""",
    ("plain-default", "fastapi-default"): """\
- By default corn and uvicorn log requests; granian, gunicorn and hypercorn do not, so the rows `each server's default`
  compare unequal work.""",
    ("connections",): """\
- The memory of a connection is what PSS grew by over 2,000 connections that had one request each, divided by them.""",
}

_BARE = """
`bare` is a protocol of forty lines on uvloop and httptools that reads the request and answers from memory, without
ASGI, limits, deadlines or a log: what remains to be had.
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
    readme = _ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(), about, results))
    return target


def with_table(text: str, about: dict[str, Any], results: Results) -> str:
    """The README with the table of these results between its two comments."""
    before, _, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"the README has no table between {_BEGIN} and {_END}")
    where = f"{about['date']}, Python {about['python']}, {about['processor']}, one worker on one core"
    caption = f"Requests per CPU-second, in brackets the ratio to uvicorn ({where}):"
    return f"{before}{_BEGIN}\n\n{caption}\n\n{markdown(summary_rows(results))}\n\n{_END}{after}"


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
    peers = [server for server in results.servers() if server not in ("corn", BARE)]
    words = about | {
        "name": name,
        "peers": " and ".join([", ".join(peers[:-1]), peers[-1]] if len(peers) > 1 else peers) or "no peer",
        "bare": _BARE if BARE in results.servers() else "",
        "native": ahead(results),
        "note": f"\n**{about['note']}**\n" if about.get("note") else "",
        "versions": ", ".join(f"{package} {version}" for package, version in about["versions"].items()),
        "headline": markdown(headline_rows(results)),
        "fallen": f"{len(goals) - 1 - fallen} hold, {fallen} fall short.",
        "goals": markdown(goals),
        "notes": "".join(f"{text}\n" for cases, text in _NOTES.items() if {*cases} & {*results.cases()}),
        "fixed": markdown(fixed_rate_rows(results)),
        "rate": markdown(measure_rows(results, RATE)),
        "p99": markdown(measure_rows(results, P99)),
        "spread": markdown(spread_rows(results)),
        "strangers": strangers(results),
        "faults": f"## Runs with errors\n\n{markdown(faults)}\n" if len(faults) > 1 else "No run had errors.\n",
    }
    return _PAGE.format(**words)


if __name__ == "__main__":
    print(publish(Path(sys.argv[1])))
