"""The results of benchmarks/reload.py as documentation: docs/explanation/reloading.md, and its chart.

python -m benchmarks.reload_page RESULTS.json...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.options import RESULTS
from benchmarks.reload import Edits, rows

_DOCS = Path(__file__).resolve().parent.parent / "docs" / "explanation"
_WIDTH, _LABELS, _MARGIN, _BAR, _GAP, _HEAD = 860, 190, 90, 20, 26, 74
_COLOR, _OURS = "#8a8f98", "#e0a100"
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.small { font-size: 11px; fill: #57606a }
.ours { font-weight: 600 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9da7b3 } }
"""
_PAGE = """\
# Reloading, measured

How long it takes from saving a file to the first answer of the new code, and what happens to requests meanwhile. This
page is written by `python -m benchmarks.reload_page RESULTS.json`; the words stand there.
[Developing with corn](../how-to/developing.md) says how to use it.

![Milliseconds from save to the first new answer, by server](reloading.svg)

{table}

{goals}

## How it was measured

- {processor}, {cores} cores, Linux {kernel}, Python {python}, {date}, corn at commit {commit}.
- {note}
- Versions: {versions}.
- `main.py` of a project was saved {edits} times with another version in it, the pause between saves random. A client
  asked for the page all the time, each time over a new connection. The time is from before the save to the first answer
  with the new version; the median of all saves. The servers ran one at a time, and took turns.
- *Failed* is every request that was refused, broken off, not answered with 200, or answered by the old code after the
  new code had answered. A refused one is asked again after 2 ms, so a long refusal counts many times.
- `tiny` is an ASGI application of five lines. `heavy` has FastAPI with 24 routes, pydantic models, SQLAlchemy tables,
  numpy and pandas, in four modules of its own (`benchmarks/projects.py`). What its own modules take to import is in
  every server's time; what the packages take is in all but corn's, whose template has them loaded.
- Every server with its default options for development: `--reload`, and `corn dev`. granian and uvicorn have watchfiles
  installed. gunicorn runs its own asgi worker.

Again, on your machine: `python -m benchmarks.reload --json results.json`, in the environment of `make bench`.
"""


def chart(results: list[Edits], subtitle: str) -> str:
    """An SVG with a bar for each server and project."""
    kinds = list(dict.fromkeys(each.project for each in results))
    longest = max(each.median for each in results if each.times)
    height = _HEAD + _BAR * len(results) + _GAP * len(kinds) + 8
    parts = [*_bars(results, (_WIDTH - _LABELS - _MARGIN) / longest)]
    title = _text(16, 26, "Milliseconds from save to the first new answer", "title") + _text(16, 45, subtitle, "small")
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">'
    return "\n".join([opening, f"<style>{_STYLE}</style>", title, *parts, "</svg>"]) + "\n"


def _bars(results: list[Edits], scale: float) -> Iterator[str]:
    y, kind = float(_HEAD - _GAP), ""
    for each in results:
        if each.project != kind:
            kind, y = each.project, y + _GAP
            yield _text(16, y + 13, kind, "ours")
        ours = each.server == "corn"
        width = max(1.0, each.median * scale) if each.times else 0
        yield _text(_LABELS - 10, y + 13, each.server, "ours" if ours else "", "end")
        size = f'width="{width:.1f}" height="{_BAR - 5}"'
        yield f'<rect x="{_LABELS}" y="{y + 2}" {size} rx="2" fill="{_OURS if ours else _COLOR}"/>'
        yield _text(_LABELS + width + 6, y + 13, f"{each.median:.0f}", "small")
        y += _BAR


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'


def goals(results: list[Edits]) -> str:
    """What was aimed at, and whether this run shows it."""
    ours = {each.project: each for each in results if each.server == "corn"}
    peers = {
        project: min(each.median for each in results if each.project == project and each.server != "corn")
        for project in ours
    }
    lines = ["| goal | this run | |", "|---|---|---|"]
    for project, most in (("tiny", 60), ("heavy", 120)):
        if project in ours:
            found = ours[project].median
            lines.append(f"| {project}: median at most {most} ms | {found:.0f} ms | {_verdict(found <= most)} |")
    if "heavy" in ours:
        times = peers["heavy"] / ours["heavy"].median
        lines.append(f"| heavy: 8 times as fast as the fastest peer | {times:.1f} times | {_verdict(times >= 8)} |")
    failed = sum(each.failed + each.lost for each in ours.values())
    lines.append(f"| no failed request | {failed} | {_verdict(failed == 0)} |")
    return "\n".join(lines)


def _verdict(holds: bool) -> str:
    return "holds" if holds else "falls short"


def page(about: dict[str, Any], results: list[Edits]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    words = about | {"versions": versions, "table": "\n".join(rows(results)), "goals": goals(results)}
    return _PAGE.format(**words)


def combined(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Several results files of the same day as one; each has all servers, which took turns in it."""
    runs: dict[tuple[str, str], Edits] = {}
    for each in (Edits(**run) for data in files for run in data["runs"]):
        whole = runs.setdefault((each.project, each.server), Edits(each.server, each.project))
        whole.times += each.times
        whole.requests += each.requests
        whole.failed += each.failed
        whole.lost += each.lost
    about = files[-1]["about"] | {"edits": len(next(iter(runs.values())).times)}
    return {"about": about, "runs": [asdict(each) for each in runs.values()]}


def main(paths: list[Path]) -> None:
    data = combined([json.loads(path.read_text()) for path in paths])
    about, results = data["about"], [Edits(**each) for each in data["runs"]]
    (RESULTS / f"reload-{about['date']}.json").write_text(json.dumps(data, indent=2) + "\n")
    subtitle = f"{about['date']}, median of {about['edits']} saves, Python {about['python']}, {about['processor']}"
    (_DOCS / "reloading.svg").write_text(chart(results, subtitle))
    (_DOCS / "reloading.md").write_text(page(about, results))


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
