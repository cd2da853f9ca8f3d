"""`corn ps` and `corn stacks`: what the workers of a running instance are doing now."""

from __future__ import annotations

from typing import Any

import click

from corn.cli.control import show
from corn.cli.control_client import Answer, InstanceSelector, find, takes_instance
from corn.cli.formatting import duration, size, table

PATIENCE = 20.0  # a worker may take a while to answer, one that is stuck longest
_HEAD = ("AGE", "WORKER", "PID", "STATUS", "SENT", "CLIENT", "REQUEST")


@click.command(short_help="List the requests in flight.")
@click.argument("worker", type=int, required=False)
@takes_instance
def ps(*, worker: int | None, choice: InstanceSelector, as_json: bool) -> int:
    """List the requests that are being answered now, by all workers or by WORKER, the oldest first.

    A worker whose event loop is stuck in Python code tells them too; one that is stuck in C code cannot.
    """
    return show(find(choice).ask("requests", patience=PATIENCE, worker=worker), as_json=as_json, text=_requests)


@click.command(short_help="Show what the threads and tasks of workers are doing.")
@click.argument("worker", type=int, required=False)
@takes_instance
def stacks(*, worker: int | None, choice: InstanceSelector, as_json: bool) -> int:
    """Show the stacks of all threads and asyncio tasks, of all workers or of WORKER, by its number or process id.

    It goes on working. A worker whose event loop is stuck in Python code answers too; of one that is stuck in C code
    only the threads are shown.
    """
    return show(find(choice).ask("stacks", patience=PATIENCE, worker=worker), as_json=as_json, text=stacks_told)


@click.command(short_help="Show or change the level of the log.")
@click.option(
    "--level", metavar="LEVEL", help="Log from this level on, until the next reload, as in debug,access=error."
)
@takes_instance
def logs(*, level: str | None, choice: InstanceSelector, as_json: bool) -> int:
    """Show from which level on an instance logs, or change it while it runs, in all its processes at once."""
    return show(find(choice).ask("log-level", level=level), as_json=as_json)


def _requests(answer: Answer) -> str:
    rows: list[tuple[float, tuple[str, ...]]] = []
    silent = []
    for worker in answer["workers"]:
        if worker["requests"] is None:
            silent.append(f"worker {worker['slot']} (pid {worker['pid']}) does not tell: try 'corn stacks'")
        rows += [(each["age"], _row(worker, each)) for each in worker["requests"] or ()]
    rows.sort(reverse=True)
    listed = table(_HEAD, [row for _, row in rows], right=frozenset({0, 1, 2, 4})) if rows else "no requests in flight"
    return "\n".join([*([] if silent and not rows else [listed]), *silent])


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


def stacks_told(answer: Answer) -> str:
    """The stacks in an answer to `stacks`, worker by worker."""
    parts = []
    for worker in answer["workers"]:
        head = f"worker {worker['slot']} (generation {worker['generation']}, pid {worker['pid']}), {worker['stage']}"
        parts.append(f"{head}\n{worker['stacks'].rstrip() or 'it has written nothing'}")
    return "\n\n".join(parts) or "no worker runs"
