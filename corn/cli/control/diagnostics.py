"""Diagnostic commands: `corn requests`, `corn stacks`, `corn log-level` and `corn reopen-logs`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

import corn
from corn.cli.control.client import Answer, InstanceSelector, find, find_to_change, with_selector_and_json
from corn.cli.control.commands import request
from corn.cli.control.formatting import duration, size, table

WORKERS_TIMEOUT = 20.0  # seconds; a worker whose event loop is blocked answers last
_HEAD = ("AGE", "WORKER", "PID", "STATUS", "SENT", "CLIENT", "REQUEST")


@click.command(short_help="List the in-flight requests.")
@click.argument("worker", type=int, required=False)
@with_selector_and_json
def requests(*, worker: int | None, selector: InstanceSelector, as_json: bool) -> int:
    """List the in-flight requests of all workers or of WORKER (number or process id), oldest first.

    A worker whose event loop is blocked in Python code is listed too; one that is blocked in C code cannot answer.
    """
    return request(find(selector), "requests", as_json=as_json, text=_requests, timeout=WORKERS_TIMEOUT, worker=worker)


@click.command(short_help="Show the stacks of threads and tasks in workers.")
@click.argument("worker", type=int, required=False)
@click.option("--all", "all_frames", is_flag=True, help="Show corn's own frames too.")
@with_selector_and_json
def stacks(*, worker: int | None, all_frames: bool, selector: InstanceSelector, as_json: bool) -> int:
    """Show the stacks of all threads and asyncio tasks of all workers or of WORKER (number or process id).

    Workers are not interrupted. Frames of corn are left out unless --all is given. If an event loop is blocked in C
    code, only the threads are shown.
    """
    text = format_stacks if all_frames else format_own_stacks
    return request(find(selector), "stacks", as_json=as_json, text=text, timeout=WORKERS_TIMEOUT, worker=worker)


@click.command("log-level", short_help="Show or change the log level.")
@click.argument("level", required=False)
@click.option("--level", "former_level", hidden=True)
@with_selector_and_json
def log_level(*, level: str | None, former_level: str | None, selector: InstanceSelector, as_json: bool) -> int:
    """Show the log level of an instance, or set it to LEVEL in all its processes until the next reload.

    LEVEL is a level, and perhaps others for parts, as in debug,access=error.
    """
    wanted = level or former_level
    instance = find(selector) if wanted is None else find_to_change(selector)
    return request(instance, "log-level", as_json=as_json, level=wanted)


@click.command("reopen-logs", short_help="Reopen log files, for logrotate.")
@with_selector_and_json
def reopen_logs(*, selector: InstanceSelector, as_json: bool) -> int:
    """Reopen the files of --log-file and --access-log-file in all processes, as USR1 does, after they were renamed."""
    return request(find_to_change(selector), "reopen-logs", as_json=as_json)


def _requests(answer: Answer) -> str:
    rows: list[tuple[float, tuple[str, ...]]] = []
    unresponsive = []
    for worker in answer["workers"]:
        if worker["requests"] is None:
            unresponsive.append(f"worker {worker['slot']} (pid {worker['pid']}) did not respond; try 'corn stacks'")
        rows += [(each["age"], _row(worker, each)) for each in worker["requests"] or ()]
    rows.sort(reverse=True)
    listed = table(_HEAD, [row for _, row in rows], right=frozenset({0, 1, 2, 4})) if rows else "no in-flight requests"
    return "\n".join([*([] if unresponsive and not rows else [listed]), *unresponsive])


def _row(worker: dict[str, Any], request: dict[str, Any]) -> tuple[str, ...]:
    return (
        duration(request["age"]),
        str(worker["slot"]),
        str(worker["pid"]),
        str(request["status"] or "-"),
        size(request["sent"]),
        request["client"],
        f"{request['method']} {request['path']}",
    )


def format_own_stacks(answer: Answer) -> str:
    """Format an answer to `stacks` without the frames of corn."""
    return _CORN_FRAMES.sub(_omitted, format_stacks(answer))


# A frame is one line; in tasks, its source line follows with a larger indent.
_FRAME = r'  File "{}[^"\n]*"[^\n]*\n(?:    [^\n]*\n)?'
# The first frame of a worker is the program of its template, which `python -c` calls <string>.
_PROGRAM = r'(?:  File "<string>", line \d+ in <module>\n)?'
_CORN_FRAMES = re.compile(f"(?:{_FRAME.format(re.escape(str(Path(corn.__file__).parent)) + os.sep)})+{_PROGRAM}")


def _omitted(frames: re.Match[str]) -> str:
    count = frames[0].count('  File "')
    return f"  ... {count} {'frame' if count == 1 else 'frames'} of corn\n"


def format_stacks(answer: Answer) -> str:
    """Format an answer to `stacks`, worker by worker."""
    parts = []
    for worker in answer["workers"]:
        head = f"worker {worker['slot']} (generation {worker['generation']}, pid {worker['pid']}), {worker['stage']}"
        parts.append(f"{head}\n{worker['stacks'].rstrip() or 'no stacks received'}")
    return "\n\n".join(parts) or "no worker is running"
