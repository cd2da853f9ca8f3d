"""Results as text: aligned for a terminal, or as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cases import CASES, P50, P99, P999, PER_CPU, RATE, UNITS, Case
from benchmarks.goals import GOALS
from benchmarks.servers import BARE, REFERENCE
from benchmarks.summary import Results

Rows = list[list[str]]


def headline_rows(results: Results) -> Rows:
    """Each case by its headline measure, with the ratio to the reference."""
    return [["case", "measure", *results.servers()]] + [
        [case.title, UNITS[case.headline], *_cells(results, case, case.headline)] for case in _cases_of(results)
    ]


def summary_rows(results: Results) -> Rows:
    """Requests per CPU-second of one worker, by case and server; varying cases come first."""
    servers = [name for name in results.servers() if name != BARE]
    cases = [case for case in _cases_of(results) if case.headline == PER_CPU and case.workers == 1]
    cells = ([case.title, *(_cell(results, case.name, server, PER_CPU) for server in servers)] for case in cases)
    return [["case", *servers], *cells]


def measure_rows(results: Results, measure: str) -> Rows:
    """Load cases by another measure."""
    loads = [case for case in _cases_of(results) if case.probe in ("load", "websocket", "http2")]
    rows = [[case.title, *_cells(results, case, measure)] for case in loads]
    return [[f"case ({UNITS[measure]})", *results.servers()], *rows]


def fixed_rate_rows(results: Results) -> Rows:
    """Percentiles of the cases at a fixed rate."""
    servers = [name for name in results.servers() if name != BARE]
    rows = [
        [f"{case.title}: {UNITS[measure]}", *(_cell(results, case.name, server, measure) for server in servers)]
        for case in _cases_of(results)
        if case.probe == "rate"
        for measure in (P50, P99, P999)
    ]
    return [["case", *servers], *rows]


def spread_rows(results: Results) -> Rows:
    """Lowest and highest ratio to the reference in the rounds, by the headline measure of each case."""
    others = [name for name in results.servers() if name != REFERENCE]
    rows = []
    for case in _cases_of(results):
        spreads = [results.spread(case.name, server, case.headline, REFERENCE) for server in others]
        rows.append([case.title, *(f"{ends[0]:.2f} to {ends[1]:.2f}" if ends else "-" for ends in spreads)])
    return [["case", *others], *rows]


def goal_rows(results: Results) -> Rows:
    """Goals for which this run has figures; those that it does not meet come first."""
    titles = {case.name: case.title for case in CASES}
    rows = []
    for goal in GOALS:
        reached = goal.reached(results)
        if reached is not None:
            verdict = "met" if goal.is_met(reached) else "NOT MET"
            rows.append([verdict, titles[goal.case], UNITS[goal.measure], goal.limit(), _short(reached)])
    return [["verdict", "case", "measure", "goal", "reached"], *sorted(rows, key=lambda row: row[0])]


def fault_rows(results: Results) -> Rows:
    """All runs with errors."""
    faulty = [run for run in results.runs if run.faults]
    rows = [[run.case, run.server, str(run.round), "; ".join(run.faults).replace("\n", " ")] for run in faulty]
    return [["case", "server", "round", "faults"], *rows]


def everything(results: Results) -> str:
    """All tables for a terminal; empty ones are omitted."""
    tables = [headline_rows(results), measure_rows(results, RATE), measure_rows(results, P99)]
    tables += [goal_rows(results), fault_rows(results)]
    return "\n\n".join(aligned(rows) for rows in tables if len(rows) > 1)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text with aligned columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * sum(widths, 2 * (len(widths) - 1)), *lines[1:]])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _cases_of(results: Results) -> list[Case]:
    ran = set(results.cases())
    return [case for case in CASES if case.name in ran]


def _cells(results: Results, case: Case, measure: str) -> list[str]:
    return [_cell(results, case.name, server, measure) for server in results.servers()]


def _cell(results: Results, case: str, server: str, measure: str) -> str:
    """Median, its ratio to the reference, and the number of runs with errors."""
    ran, faulty = results.ran(case, server), results.faulty(case, server)
    if not ran:
        return "-"
    value = results.value(case, server, measure)
    if value is None:
        return f"failed ({faulty} of {ran})"
    ratio = results.ratio(case, server, measure, REFERENCE)
    shown = _short(value) if ratio is None else f"{_short(value)} ({ratio:.2f}x)"
    return f"{shown} !{faulty}" if faulty else shown


def _short(value: float) -> str:
    """Number with about three significant digits."""
    if abs(value) >= 1000:
        return f"{round(value, -2):,.0f}" if abs(value) >= 10000 else f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
