"""Renderer of the screen, as lines of a given width and height. Pure.

No information is conveyed by colour alone, and no line is wider than the screen: what is too long is continued on the
next line, sparklines fill the rest, and a narrow screen leaves columns out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.text import Text

from corn.cli.control.client import shown
from corn.cli.control.formatting import duration, size
from corn.cli.control.status import notes, phase
from corn.cli.top.chart import axis, marks, sparkline
from corn.cli.top.keys import Interaction
from corn.cli.top.model import KEPT, Row, View
from corn.frozen import frozen

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.:-=+*#"
_HEAD = ("W", "STATE", "GEN", "PID", "REQ/S", "P50", "P99", "ACT", "BUSY", "LAG", "CPU%", "PSS", "AGE", "RST")
_OPTIONAL_COLUMNS = (
    "CPU%",
    "P50",
    "AGE",
    "PSS",
    "LAG",
    "GEN",
    "RST",
    "ACT",
    "P99",
    "PID",
)  # in this order, if it is narrow
_LEFT = ("STATE",)
_SPARK_AFTER = "REQ/S"
_WIDEST_SPARK = 30
_LOWEST_WITH_CHART = 16  # lines
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
_ALARM = "bold white on red"


@frozen
class Area:
    """Columns and lines, the digits for sparklines, and a warning about the figures ("" for none)."""

    width: int
    height: int
    sparks: str = BLOCKS
    lost: str = ""


def lines(view: View | None, interaction: Interaction, area: Area) -> list[Text]:
    """The whole screen; `view` is None before the first answer."""
    footer = [*_answer(interaction, area), Text(_PAGE_KEYS if interaction.page is not None else _KEYS, style="dim")]
    room = max(0, area.height - len(footer))
    if interaction.page is not None:
        page = (each.expandtabs() for each in interaction.page[interaction.top : interaction.top + room])
        body = [line for each in page for line in _wrapped(each, area.width, indent="    ")]
    else:
        body = [Text("waiting for the instance")] if view is None else _body(view, interaction, area, room)
        body = [*([_lost(area.lost)] if area.lost else []), *body]
    filled = [*body[:room], *[Text("")] * (room - len(body)), *footer]
    for line in filled:
        line.truncate(area.width, overflow="crop")
    return filled


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
    return Text(f"NO RESPONSE: {_flat(why)}; retrying", style="bold red")


def _answer(interaction: Interaction, area: Area) -> list[Text]:
    message = f"{interaction.pending.question}? y/n" if interaction.pending is not None else _flat(interaction.message)
    return _wrapped(message, area.width, style="bold")[: max(1, area.height // 8)]


def _body(view: View, interaction: Interaction, area: Area, height: int) -> list[Text]:
    head = [*_summary(view, area), *_refusal(view, interaction, area)]
    if area.height >= _LOWEST_WITH_CHART:
        head += _chart(view, area)
    told = [line for each in notes(dict(view.status)) for line in _wrapped(_flat(each), area.width, indent="  ")]
    remarks = told[: max(1, (height - len(head) - 3) // 2)]
    room = max(1, height - len(head) - len(remarks) - 3)
    return [*head, Text(""), *_table(view.rows, interaction, area, room), *remarks]


def _summary(view: View, area: Area) -> list[Text]:
    status, traffic = view.status, view.traffic
    title = _flat(f"corn {status['version']} serves {status['app']} at {', '.join(status['addresses'])}")
    up = f"up {duration(status['uptime'])}"
    room = max(8, area.width - len(up) - 2)
    title = title if len(title) <= room else title[: room - 3] + "..."
    errors = "-" if view.errors is None else f"{view.errors * 100:.2g}%"
    counted = status["counted"]
    held = f"in flight {counted['active']}  connections {counted['connections']}"
    memory = f"{size(view.memory)} in {view.processes} processes" if view.processes else "memory unknown"
    now = f"{rate(traffic.rate)} req/s  p50 {latency(traffic.p50)}  p99 {latency(traffic.p99)}  5xx {errors}"
    state = f"{_flat(phase(dict(status)))}, {status['ready']}/{status['target']} ready"
    return [
        Text(f"{title.ljust(room)}  {up}", style="bold"),
        *_wrapped(state, area.width, indent="  ", style=_STYLES.get(status["phase"], "")),
        Text(now, style="bold"),
        Text(f"{held}  {memory}"),
    ]


def _refusal(view: View, interaction: Interaction, area: Area) -> list[Text]:
    """The banner of a refused reload, until somebody acknowledges it."""
    refused = view.refused
    if refused is None or refused.key == interaction.acknowledged:
        return []
    what = f"{refused.what.upper()} {refused.when}: {_flat(refused.error)}"
    banner = _wrapped(what, area.width, indent="  ")[: max(1, area.height // 6)]
    banner += _wrapped(f"{refused.serves}; the log has the whole error (a: acknowledge)", area.width, indent="  ")
    return [Text(line.plain.ljust(area.width), style=_ALARM) for line in banner]


def _chart(view: View, area: Area) -> list[Text]:
    """Requests per second of the last minute, a time axis, and marks for the reloads of that time."""
    most = f" max {rate(max(view.traffic.rates, default=0.0))}"
    width = min(KEPT - 1, area.width - len(most))
    events = marks(view.marks, view.ages, width, area.width)
    is_bad = any(each.is_bad for each in view.marks)
    drawn = [
        Text.assemble((sparkline(view.traffic.rates, width, area.sparks), "cyan"), most),
        Text(axis(view.ages, width), style="dim"),
    ]
    return [*drawn, Text(events, style="bold red" if is_bad else "bold")] if events else drawn


def _table(rows: Sequence[Row], interaction: Interaction, area: Area, room: int) -> list[Text]:
    """The head, the rows that fit, among them the selected one, and the number of the others."""
    table = [dict(zip(_HEAD, each, strict=True)) for each in (_HEAD, *map(_cells, rows))]
    widths = {name: max(len(line[name]) for line in table) for name in _HEAD}
    for name in _OPTIONAL_COLUMNS:
        if sum(widths.values()) + len(widths) > area.width:
            del widths[name]
    spark = min(_WIDEST_SPARK, area.width - sum(widths.values()) - len(widths) - 1)
    selected = interaction.index([(row.worker, row.slot) for row in rows])
    first = max(0, min(selected - room // 2, len(rows) - room))
    seen = [
        _line(cells, widths, _spark(row, spark, area.sparks), ">" if index == selected else " ")
        for index, (row, cells) in enumerate(zip(rows, table[1:], strict=True))
    ][first : first + room]
    heading = _line(table[0], widths, " " * spark if spark >= 4 else "", " ")
    heading.stylize("bold")
    more = f"  {len(rows) - len(seen)} more" if len(seen) < len(rows) else ""
    return [heading, *seen, Text(more)]


def _spark(row: Row, width: int, sparks: str) -> str:
    return sparkline(row.traffic.rates, width, sparks) if width >= 4 else ""


def _line(cells: dict[str, str], widths: dict[str, int], spark: str, mark: str) -> Text:
    line = Text(mark, style="bold" if mark == ">" else "")
    for number, (name, width) in enumerate(widths.items()):
        text = cells[name].ljust(width) if name in _LEFT else cells[name].rjust(width)
        line.append(f" {text}" if number else text, _STYLES.get(cells[name], "") if name == "STATE" else "")
        if name == _SPARK_AFTER and spark:
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
        f"{row.busy * 100:.0f}%",
        latency(row.lag),
        "-" if row.cpu is None else f"{row.cpu:.0f}",
        size(row.pss),
        duration(row.age),
        str(row.restarts),
    )


def _wrapped(text: str, width: int, *, indent: str = "", style: str = "") -> list[Text]:
    """Text on as many lines as it needs; continuation lines are indented by as much as the first, and `indent`."""
    own = text[: len(text) - len(text.lstrip())][: width // 2]
    indent = (own + indent)[: width // 2]
    return [Text(each, style=style) for each in textwrap.wrap(text, width, subsequent_indent=indent) or [""]]


def _flat(text: str) -> str:
    """Text of an instance in one line; the instance may belong to another user."""
    return " ".join(shown(text).split())
