"""The commands that change a running instance: reload, rollback, scale, stop, upgrade, restart, drain."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import click

from corn.cli.control.client import (
    Answer,
    ControlClient,
    InstanceSelector,
    describe,
    find_to_change,
    shown,
    with_selector_and_json,
)
from corn.cli.errors import report_refusal
from corn.errors import ConfigError, ExitCode

_wait = click.option("--wait", is_flag=True, help="Wait for the outcome; the exit code is 1 if it failed.")


@click.command("reload", short_help="Reload the application without dropping a request.")
@_wait
@with_selector_and_json
def reload_code(*, selector: InstanceSelector, wait: bool, as_json: bool) -> int:
    """Read the configuration again and replace all workers, as the signal HUP does.

    With --wait, print why the reload was refused, if it was, and exit with 1; the old code continues to serve.
    """
    return _send(find_to_change(selector), "reload", as_json=as_json, wait=wait)


@click.command(short_help="Roll back to the code before the last reload.")
@_wait
@with_selector_and_json
def rollback(*, selector: InstanceSelector, wait: bool, as_json: bool) -> int:
    """Return to the previous generation, which is kept in memory; the files on disk do not matter."""
    return _send(find_to_change(selector), "rollback", as_json=as_json, wait=wait)


@click.command(short_help="Change the number of workers.", context_settings={"ignore_unknown_options": True})
@click.argument("number", metavar="N|+N|-N")
@_wait
@with_selector_and_json
def scale(*, number: str, selector: InstanceSelector, wait: bool, as_json: bool) -> int:
    """Set the number of workers to N, or change it by +N or -N, until the next reload."""
    if not re.fullmatch(r"[+-]?[0-9]{1,4}", number):
        raise ConfigError(
            f"invalid number of workers '{number}'; give a number such as 4, or a change such as +1 or -1"
        )
    fields = {"by": int(number)} if number[0] in "+-" else {"to": int(number)}
    return _send(find_to_change(selector), "scale", as_json=as_json, wait=wait, **fields)


@click.command(short_help="Stop an instance.")
@click.option("--now", is_flag=True, help="Cancel in-flight requests instead of finishing them.")
@_wait
@with_selector_and_json
def stop(*, selector: InstanceSelector, now: bool, wait: bool, as_json: bool) -> int:
    """Stop an instance after its in-flight requests have finished. With --wait, return when it has exited."""
    instance = find_to_change(selector)
    code = _send(instance, "stop", as_json=as_json, wait=wait, now=now)
    if wait and code == 0:
        instance.wait_for_end()
    return code


@click.command(short_help="Upgrade corn without dropping a request.")
@_wait
@with_selector_and_json
def upgrade(*, selector: InstanceSelector, wait: bool, as_json: bool) -> int:
    """Start a new master from the installed corn and Python, which takes over, as the signal USR2 does."""
    return _send(find_to_change(selector), "upgrade", as_json=as_json, wait=wait)


@click.command(short_help="Replace one worker.")
@click.argument("worker", type=int)
@_wait
@with_selector_and_json
def restart(*, worker: int, selector: InstanceSelector, wait: bool, as_json: bool) -> int:
    """Replace WORKER (number or process id): its replacement is ready before it drains."""
    return _send(find_to_change(selector), "restart", as_json=as_json, wait=wait, worker=worker)


@click.command(short_help="Drain one worker at once.")
@click.argument("worker", type=int)
@_wait
@with_selector_and_json
def drain(*, worker: int, selector: InstanceSelector, wait: bool, as_json: bool) -> int:
    """Drain WORKER (number or process id): it stops accepting connections, finishes its requests and is replaced."""
    return _send(find_to_change(selector), "drain", as_json=as_json, wait=wait, worker=worker)


def _send(instance: ControlClient, what: str, *, as_json: bool, wait: bool, **fields: Any) -> int:
    """Send a request for a change and show the answer; returns the exit code."""
    more: dict[str, Any] = {"timeout": None, "wait": True} if wait else {}
    return request(instance, what, as_json=as_json, **more, **fields)


def request(
    instance: ControlClient,
    what: str,
    *,
    as_json: bool,
    text: Callable[[Answer], str] = lambda answer: str(answer["text"]),
    **fields: Any,
) -> int:
    """Send a request, and show the answer and which instance gives it; returns the exit code."""
    if not as_json and not instance.was_named:
        click.echo(describe(instance), err=True)
    return _show(instance.send_request(what, **fields), instance, as_json=as_json, text=text)


def _show(answer: Answer, instance: ControlClient, *, as_json: bool, text: Callable[[Answer], str]) -> int:
    """Print an answer, a refusal to standard error; returns the exit code."""
    if as_json:
        about = {name: instance.about[name] for name in ("pid", "app", "addresses")}
        click.echo(json.dumps({**answer, "instance": about}, indent=2))
    elif answer.get("ok"):
        if instance.was_named:  # the instance is not repeated if an option has named it
            click.echo(describe(instance), err=True)
        click.echo(shown(text(answer)))
    else:
        report_refusal(shown(str(answer.get("error"))), shown(str(answer.get("detail") or "")))
    sys.stdout.flush()
    if answer.get("ok"):
        return 0
    return int(ExitCode.USAGE if answer.get("usage") else ExitCode.INTERNAL)
