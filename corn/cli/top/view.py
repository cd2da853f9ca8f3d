"""Renderer of the screen, as lines of a given width and height. Pure.

No information is conveyed by colour alone, and no line is wider than the screen: the sparklines fill the rest.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from corn.cli.control.client import shown
from corn.cli.control.formatting import duration, size
from corn.cli.control.status import notes, phase
from corn.cli.top.keys import Interaction
from corn.cli.top.model import Row, View

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.:-=+*#"
_HEAD = ("W", "STATE", "GEN", "PID", "REQ/S", "P50", "P99", "BUSY", "LAG", "CPU%", "PSS", "AGE", "RST")
_LEFT = (1,)
_SPARK_AFTER = 5  # columns
_WIDEST_SPARK = 30
_FOOT = 2  # lines
_KEYS = "r reload  b rollback  +/- scale  up/down: d drain  x restart  s stacks  q quit"
_PAGE_KEYS = "up/down, space: scroll  q: back"
_STYLES = {
    "ready": "green",
    "serving": "green",
    "booting": "yellow",
    "starting": "yellow",
    "draining": "yellow",
    "stuck": "bold red",
    "killing": "bold red",
    "degraded": "bold red",
    "stopping": "bold red",
}


@dataclass(frozen=True, slots=True)
class Area:
    """Columns and lines, the digits for sparklines, and a warning about the figures ("" for none)."""

    width: int
    height: int
    sparks: str = BLOCKS
    lost: str = ""


def lines(view: View | None, person: Interaction, area: Area) -> list[Text]:
    """The whole screen; `view` is None before the first answer."""
    if person.page is not None:
        room = max(1, area.height - _FOOT)
        body = [Text(each.expandtabs()) for each in person.page[person.top : person.top + room]]
        bottom = _PAGE_KEYS
    else:
        body = [Text("waiting for the instance")] if view is None else _body(view, person, area)
        body = [*([_lost(area.lost)] if area.lost else []), *body]
        bottom = _KEYS
    room = max(0, area.height - _FOOT)
    filled = [*body[:room], *[Text("")] * (room - len(body)), _answer(person), Text(bottom, style="dim")]
    for line in filled:
        line.truncate(area.width, overflow="crop")
    return filled


def sparkline(rates: Sequence[float], width: int, sparks: str) -> str:
    """The last `width` rates as columns, the highest as high as can be."""
    recent = rates[-width:] if width else ()
    most = max(recent, default=0.0) or 1.0
    return "".join(sparks[min(int(each / most * len(sparks)), len(sparks) - 1)] for each in recent).rjust(width)


def latency(seconds: float | None) -> str:
    """A latency in at most five characters: `0.4ms`, `37ms`, `1.2s`."""
    if seconds is None:
        return "-"
    if seconds >= 0.9995:
        return f"{seconds:.1f}s"
    return f"{seconds * 1000:.1f}ms" if seconds < 0.00995 else f"{seconds * 1000:.0f}ms"


def rate(count: float | None) -> str:
    """A rate in at most five characters: `0.5`, `312`, `40.8k`."""
    if count is None:
        return "-"
    if count >= 9999.5:
        return f"{count / 1000:.1f}k" if count < 999_500 else f"{count / 1e6:.1f}M"
    return f"{count:.0f}" if count >= 9.95 or not count else f"{count:.1f}"


def _lost(why: str) -> Text:
    return Text(f"NO ANSWER: {_flat(why)}; trying again", style="bold red")


def _answer(person: Interaction) -> Text:
    said = f"{person.asked.question}? y/n" if person.asked is not None else _flat(person.said)
    return Text(said, style="bold")


def _body(view: View, person: Interaction, area: Area) -> list[Text]:
    head = _summary(view, area)
    told = [textwrap.wrap(_flat(each), area.width, subsequent_indent="  ") for each in notes(dict(view.status))]
    remarks = [Text(line) for each in told for line in each][: max(1, (area.height - len(head) - 5) // 2)]
    room = max(1, area.height - len(head) - len(remarks) - _FOOT - 3)
    return [*head, Text(""), *_table(view.rows, person, area, room), *remarks]


def _summary(view: View, area: Area) -> list[Text]:
    status, traffic = view.status, view.traffic
    title = f"corn {status['version']} serves {status['app']} at {', '.join(status['addresses'])}"
    up = f"up {duration(status['uptime'])}"
    room = max(8, area.width - len(up) - 2)
    title = _flat(title)
    title = title if len(title) <= room else title[: room - 3] + "..."
    errors = "-" if view.errors is None else f"{view.errors * 100:.2g}%"
    figures = f"p50 {latency(traffic.p50)}  p99 {latency(traffic.p99)}  5xx {errors}"
    counted = status["counted"]
    held = f"in flight {counted['active']}  connections {counted['connections']}"
    memory = f"{size(view.memory)} in {view.processes} processes" if view.processes else "memory unknown"
    now = f"{rate(traffic.rate)} req/s"
    spark = sparkline(traffic.rates, min(_WIDEST_SPARK, max(0, area.width - len(now) - len(figures) - 6)), area.sparks)
    return [
        Text(f"{title.ljust(room)}  {up}", style="bold"),
        Text(
            f"{_flat(phase(dict(status)))}, {status['ready']}/{status['target']} ready",
            _STYLES.get(status["phase"], ""),
        ),
        Text.assemble((now, "bold"), "  ", (spark.strip() or "-", "cyan"), f"  {figures}"),
        Text(f"{held}  {memory}"),
    ]


def _table(rows: Sequence[Row], person: Interaction, area: Area, room: int) -> list[Text]:
    """The head, the rows that fit, among them the selected one, and the number of the others."""
    cells = [_HEAD, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    spark = min(_WIDEST_SPARK, area.width - sum(widths) - len(widths) - 2)
    selected = max(0, min(person.selected, len(rows) - 1))
    first = max(0, min(selected - room // 2, len(rows) - room))
    seen = [
        _line(_cells(row), widths, _spark(row, spark, area.sparks), ">" if index == selected else " ", row.stage)
        for index, row in enumerate(rows)
    ][first : first + room]
    heading = _line(_HEAD, widths, "" if spark < 4 else " " * spark, " ", "")
    heading.stylize("bold")
    more = f"  {len(rows) - len(seen)} more" if len(seen) < len(rows) else ""
    return [heading, *seen, Text(more)]


def _spark(row: Row, width: int, sparks: str) -> str:
    return sparkline(row.traffic.rates, width, sparks) if width >= 4 else ""


def _line(cells: Sequence[str], widths: Sequence[int], spark: str, mark: str, stage: str) -> Text:
    line = Text(mark, style="bold" if mark == ">" else "")
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = cell.ljust(width) if column in _LEFT else cell.rjust(width)
        line.append(text if not column else f" {text}", _STYLES.get(stage, "") if column == 1 else "")
        if column + 1 == _SPARK_AFTER and spark:
            line.append(f" {spark}", "cyan")
    return line


def _cells(row: Row) -> tuple[str, ...]:
    return (
        str(row.slot),
        row.stage,
        str(row.generation),
        str(row.pid or "-"),
        rate(row.traffic.rate),
        latency(row.traffic.p50),
        latency(row.traffic.p99),
        str(row.active),
        latency(row.lag),
        "-" if row.cpu is None else f"{row.cpu:.0f}",
        size(row.pss),
        duration(row.age),
        str(row.restarts),
    )


def _flat(text: str) -> str:
    """Text in one line, from an instance that may belong to another user."""
    return " ".join(shown(text).split())
