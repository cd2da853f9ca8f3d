"""Sparklines of `corn top`, and the time axis and the marks of reloads below the service's. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from corn.frozen import frozen

_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)  # seconds between two labels of the axis
_MIN_LABEL_GAP = 10  # columns between two labels, at least


@frozen
class Mark:
    """An event `ago` seconds before the last sample; `text` begins with the sign that stands in its column."""

    ago: float
    text: str
    is_bad: bool


def sparkline(rates: Sequence[float], width: int, sparks: str) -> str:
    """The last `width` rates as columns, the highest as high as can be."""
    recent = rates[-width:] if width else ()
    most = max(recent, default=0.0) or 1.0
    return "".join(sparks[min(int(each / most * len(sparks)), len(sparks) - 1)] for each in recent).rjust(width)


def axis(ages: Sequence[float], width: int) -> str:
    """The time axis of a sparkline; `ages` are seconds before the last sample, whose column is the last."""
    shown = ages[-width:]
    if len(shown) < 2 or shown[0] <= 0:
        return "now".rjust(width)
    columns = [" "] * width
    step = next((each for each in _STEPS if each * (len(shown) - 1) / shown[0] >= _MIN_LABEL_GAP), _STEPS[-1])
    for tick in range(0, int(shown[0]) + 1, step):
        _write(columns, _column(tick, shown, width), f"-{_seconds(tick)}" if tick else "now")
    return "".join(columns)


def marks(events: Sequence[Mark], ages: Sequence[float], width: int, room: int) -> str:
    """Marks below an axis of a width, each in the column of its time; their texts may take `room` columns.

    Of those that would overlap, the newer has its text.
    """
    shown = ages[-width:]
    columns = [" "] * room
    seen = [each for each in events if shown and each.ago <= shown[0]]
    for each in seen:
        columns[_column(each.ago, shown, width)] = each.text[:1]
    for each in reversed(seen):
        column = _column(each.ago, shown, width)
        if column + len(each.text) <= room and _is_free(columns, column + 1, column + len(each.text) + 1):
            columns[column : column + len(each.text)] = each.text
        elif _is_free(columns, column - len(each.text), column):
            _write(columns, column, f"{each.text[1:].strip()} {each.text[:1]}")
    return "".join(columns).rstrip()


def _column(ago: float, shown: Sequence[float], width: int) -> int:
    """The column of the first sample that was taken at that time or later."""
    index = next((number for number, age in enumerate(shown) if age <= ago), len(shown) - 1)
    return width - len(shown) + index


def _write(columns: list[str], end: int, text: str) -> None:
    """Write text so that it ends in a column, unless it would overlap other text or the edge."""
    start = end - len(text) + 1
    if start >= 0 and _is_free(columns, start, end):
        columns[start : end + 1] = text


def _is_free(columns: Sequence[str], start: int, end: int) -> bool:
    return start >= 0 and all(each == " " for each in columns[start:end])


def _seconds(seconds: int) -> str:
    if seconds < 120 or seconds % 60:
        return f"{seconds}s"
    return f"{seconds // 60}m" if seconds < 7200 else f"{seconds // 3600}h"
