"""SVG chart of the results: for each case, the ratio of each server to the reference. Pure.

The file contains a light and a dark colour scheme; the reader's system selects one.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from benchmarks.cases import CASES, PER_CPU, Case
from benchmarks.servers import BARE, REFERENCE
from benchmarks.summary import Results

_WIDTH, _LABELS, _MARGIN = 860, 240, 60
_BAR, _GAP, _HEAD, _FOOT = 13, 16, 86, 34
_MOST_LINES = 20
_COLORS = ("#e0a100", "#3b82c4", "#4c9a6a", "#b06fb0", "#8a8f98", "#c4694a")

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.small { font-size: 11px; fill: #57606a; stroke: #ffffff; stroke-width: 3; paint-order: stroke }
.ours { font-weight: 600 }
.reference { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 4 3 }
.grid { stroke: #d0d7de; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.small { fill: #9da7b3; stroke: #0d1117 }
.reference { stroke: #9da7b3 }
.grid { stroke: #3d444d }
}
"""


def chart(results: Results, subtitle: str) -> str:
    """An SVG of requests per CPU-second as ratios to the reference; the longest bar reaches the right margin."""
    tried = set(results.cases()) & {run.case for run in results.runs if run.server == REFERENCE}
    cases = [case for case in CASES if case.headline == PER_CPU and case.name in tried]
    servers = [name for name in results.servers() if name not in (REFERENCE, BARE)]
    known = [ratio for case in cases for server in servers if (ratio := _ratio(results, case, server))]
    scale = (_WIDTH - _LABELS - _MARGIN) / max([1.0, *known])
    group = _BAR * len(servers) + _GAP
    height = _HEAD + group * len(cases) + _FOOT
    parts = [*_heading(servers, subtitle), *_scale(scale, max([1.0, *known]), height)]
    for number, case in enumerate(cases):
        parts += _group(results, case, servers, scale, _HEAD + group * number)
    return _document(height, parts)


def _ratio(results: Results, case: Case, server: str) -> float | None:
    return results.ratio(case.name, server, PER_CPU, REFERENCE)


def _document(height: float, parts: Iterable[str]) -> str:
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" role="img">'
    return "\n".join([opening, f"<style>{_STYLE}</style>", *parts, "</svg>"]) + "\n"


def _heading(servers: list[str], subtitle: str) -> Iterable[str]:
    yield _text(16, 26, f"Requests per CPU-second, {REFERENCE} = 1", "title")
    yield _text(16, 45, subtitle, "small")
    x = 16
    for number, server in enumerate(servers):
        yield f'<rect x="{x}" y="57" width="10" height="10" rx="2" fill="{_color(number)}"/>'
        yield _text(x + 15, 66, server)
        x += 33 + 7 * len(server)


def _scale(scale: float, longest: float, height: float) -> Iterable[str]:
    """Grid lines with labels that do not overlap, and the line of the reference."""
    step = next(each for each in (0.5, 1, 2, 5, longest) if longest / each <= _MOST_LINES)
    for ratio in sorted({1.0, *(number * step for number in range(int(longest / step) + 1))}):
        x = _LABELS + ratio * scale
        kind = "reference" if ratio == 1 else "grid"
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 6}" y2="{height - _FOOT}"/>'
        yield _text(x, height - _FOOT + 16, f"{ratio:g}", "small", anchor="middle")


def _group(results: Results, case: Case, servers: list[str], scale: float, top: float) -> Iterable[str]:
    middle = top + _BAR * len(servers) / 2 + 4
    yield _text(_LABELS - 10, middle, case.title, anchor="end")
    for number, server in enumerate(servers):
        y = top + _BAR * number
        ratio = _ratio(results, case, server)
        if ratio is None:
            yield _text(_LABELS + 5, y + 10, "failed" if results.faulty(case.name, server) else "-", "small")
            continue
        width = ratio * scale
        yield (
            f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" rx="1.5" fill="{_color(number)}">'
            f"<title>{escape(f'{server}, {case.title}: {ratio:.2f}')}</title></rect>"
        )
        yield _text(_LABELS + width + 5, y + 10, f"{ratio:.2f}", "small ours" if number == 0 else "small")


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(words)}</text>'


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]
