"""Commands `corn status` and `corn list`: the status of an instance, and the list of instances."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from corn.cli.control.client import InstanceSelector, describe, find, instances, shown, with_selector_and_json
from corn.cli.control.formatting import amount, duration, size, table
from corn.errors import NoInstance
from corn.frozen import frozen
from corn.system.cpu import cpu_seconds
from corn.system.memory import proportional_sizes

_HEALTHY = ("serving", "reloading", "upgrading")
_WITH_HEARTBEAT = ("ready", "stuck")
_BLOCKED_AFTER = 2.0  # seconds; there are two heartbeats per second
_HEAD = ("WORKER", "STATE", "GEN", "PID", "AGE", "REQS", "ACT", "BUSY", "CONNS", "CPU", "PSS", "RESTARTS")
_NUMBERS = frozenset(range(2, len(_HEAD)))


@click.command(short_help="Show the state of a running instance.")
@with_selector_and_json
def status(*, selector: InstanceSelector, as_json: bool) -> int:
    """Show an instance, its phase and its workers. The exit code is 0 if all workers serve, else 1."""
    found: dict[str, Any] = find(selector).send_request("status")["status"]
    pids = [found["pid"], *(each["pid"] for each in (*found["templates"], *found["workers"]) if each["pid"])]
    sizes = proportional_sizes(pids)
    for each in found["workers"]:
        each["cpu"] = cpu_seconds(each["pid"]) if each["pid"] else None
    if as_json:
        for each in (found, *found["templates"], *found["workers"]):
            each["pss"] = sizes.get(each["pid"])
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(shown(_as_text(found, sizes)))
    return 0 if found["phase"] in _HEALTHY else 1


@click.command("list", short_help="List the instances on this machine.")
@click.option("--control", metavar="PATH", envvar="CORN_CONTROL", help="Directory of control sockets to search.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_instances(*, control: str | None, as_json: bool) -> int:
    """List the instances on this machine that this user may control."""
    found = instances(control)
    if as_json:
        click.echo(json.dumps([each.about or {"name": each.name, "phase": "silent"} for each in found], indent=2))
        return 0
    if not found:
        raise NoInstance("this user can control no running instance; start one with 'corn serve'")
    for each in found:
        about = each.about
        since = f" ({about['phase']}, {duration(about['uptime'])})" if about else ""
        click.echo(shown(describe(each) + since))
    return 0


def _as_text(found: dict[str, Any], sizes: dict[int, int]) -> str:
    lines = [
        f"corn {found['version']} serves {found['app']} at {', '.join(found['addresses'])}",
        f"master {found['pid']}, up {duration(found['uptime'])}, {_memory(sizes)}",
        phase(found),
        *_refused_lines(found),
        "",
        table(_HEAD, [_row(found, each, sizes) for each in found["workers"]], right=_NUMBERS),
    ]
    remarks = notes(found)
    return "\n".join([*lines, *([""] if remarks else []), *remarks])


@frozen
class Refusal:
    """The last reload, where it was refused or its code withdrawn: of what and why, and what serves instead.

    `key` is that of this reload alone, `what` its outcome, `when` its age and its generation.
    """

    key: tuple[int, int]
    what: str
    when: str
    error: str
    serves: str


def refusal(found: dict[str, Any]) -> Refusal | None:
    """The refusal of the last reload, None if that succeeded, or if an operator requested the rollback."""
    last = next(iter(found.get("recent_reloads", ())[-1:]), None)  # an older master has no such field
    if last is None or last["outcome"] == "done" or not last["error"]:
        return None
    code = "the configuration" if last["generation"] is None else f"generation {last['generation']}"
    what, when = f"reload {last['outcome']}", f"{duration(last['ago'])} ago: {code}"
    return Refusal((found["pid"], last["number"]), what, when, last["error"], _serves(found))


def _serves(found: dict[str, Any]) -> str:
    generation = found["generation"]
    if generation is None:
        return "no code serves"
    has_ready = any(each["stage"] == "ready" and each["generation"] == generation for each in found["workers"])
    return f"generation {generation} still serves" if has_ready else f"generation {generation} has no ready worker"


def _refused_lines(found: dict[str, Any]) -> list[str]:
    refused = refusal(found)
    return [] if refused is None else [f"{refused.what} {refused.when}: {refused.error}; {refused.serves}"]


def is_blocked(worker: Mapping[str, Any]) -> bool:
    """True if a worker has sent no heartbeat for so long that its event loop must be blocked."""
    return bool(worker["stage"] in _WITH_HEARTBEAT and worker["silent"] > _BLOCKED_AFTER)


def notes(found: dict[str, Any]) -> list[str]:
    """Remarks about the workers: restarts, those that drain, those that are blocked, the last error."""
    remarks = [note for each in found["slots"] if (note := _restarts(each))]
    remarks += [f"worker {each['slot']} will exit: {each['reason']}" for each in found["workers"] if each["reason"]]
    remarks += [_blocked(each) for each in found["workers"] if is_blocked(each)]
    told = [each["reason"] for each in found["slots"] if each["reason"]]
    refused = refusal(found)
    told += [] if refused is None else [refused.error]
    if found["last_error"] and not any(reason in found["last_error"] for reason in told):
        remarks.append(f"last error: {found['last_error']}")
    return remarks


def phase(found: dict[str, Any]) -> str:
    """The phase, its reason, and the generation that serves."""
    why = f" ({found['reason']})" if found["reason"] else ""
    back = ""
    if found["rollback_to"] is not None:
        back = f", {duration(found['rollback_for'])} left to roll back to {found['rollback_to']}"
    return f"{found['phase']}{why}, generation {found['generation'] or '-'}{back}"


def _row(found: dict[str, Any], worker: dict[str, Any], sizes: dict[int, int]) -> tuple[str, ...]:
    counted = worker["counted"]
    restarts = next((each["restarts"] for each in found["slots"] if each["slot"] == worker["slot"]), 0)
    return (
        str(worker["slot"]),
        worker["stage"],
        str(worker["generation"]),
        str(worker["pid"] or "-"),
        duration(worker["age"]),
        amount(counted["requests"]),
        str(counted["active"]),
        f"{worker['busy'] * 100:.0f}%",
        str(counted["connections"]),
        "-" if worker["cpu"] is None else duration(worker["cpu"]),
        size(sizes.get(worker["pid"])),
        str(restarts),
    )


def _blocked(worker: dict[str, Any]) -> str:
    return f"worker {worker['slot']}: event loop blocked for {duration(worker['silent'])}; see 'corn stacks'"


def _restarts(slot: dict[str, Any]) -> str:
    waits = f", restarts in {duration(slot['starts_in'])}" if slot["starts_in"] else ""
    if not slot["restarts"]:
        return f"worker {slot['slot']}{waits}" if waits else ""
    times = "once" if slot["restarts"] == 1 else f"{slot['restarts']} times"
    return f"worker {slot['slot']} was restarted {times}, last {duration(slot['ago'])} ago: {slot['reason']}{waits}"


def _memory(sizes: dict[int, int]) -> str:
    return f"{size(sum(sizes.values()))} in {len(sizes)} processes" if sizes else "memory unknown"
