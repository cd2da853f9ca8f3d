"""Plain tables for a terminal, and human-readable figures."""

from __future__ import annotations

from collections.abc import Sequence

import click

_MIB = 1 << 20


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """A table with columns of minimal width; those in `right` are aligned to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = []
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)


def columns(rows: Sequence[tuple[str, str, str]]) -> str:
    """Options with their values and origins, in columns; defaults are dim in a terminal."""
    from corn.config.sources import DEFAULT
    from corn.logs import wants_color

    color = wants_color("auto", fd=1)
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [(f"{name:<{name_width}}  {value:<{value_width}}  {origin}", origin) for name, value, origin in rows]
    return "\n".join(click.style(line, dim=True) if color and origin == DEFAULT else line for line, origin in lines)


def duration(seconds: float) -> str:
    """`0.4s`, `12s`, `3m12s`, `5h03m`, `12d4h`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def size(count: int | None) -> str:
    """Bytes as `512`, `1.5K`, `12.3M`, `2.1G`; a dash where they are not known."""
    if count is None:
        return "-"
    if count < 1000:
        return str(count)
    if count < 1000 << 10:
        return f"{count / 1024:.1f}K"
    return f"{count / _MIB:.1f}M" if count < 1000 * _MIB else f"{count / _MIB / 1024:.1f}G"


def amount(count: int) -> str:
    """A count in at most six characters: `123456`, `12.3M`."""
    if count < 1_000_000:
        return str(count)
    return f"{count / 1e6:.1f}M" if count < 1e9 else f"{count / 1e9:.1f}G"
