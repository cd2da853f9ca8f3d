"""`corn config --running` and `--diff`: the configuration of a running instance, and what a reload would change."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from corn.cli.control.client import (
    Answer,
    ControlClient,
    InstanceSelector,
    NamedInstance,
    describe,
    find,
    is_named_directory,
    shown,
)
from corn.cli.control.formatting import columns
from corn.cli.errors import report_refusal
from corn.errors import ExitCode

_CHANGED = 1


def show_running(name: str, *, diff: bool, as_json: bool) -> int:
    """Print the configuration of the instance that `name` means, "" for the only one; returns the exit code."""
    instance = find(_selected(name))
    if not as_json:
        click.echo(describe(instance), err=True)
    return _show_changes(instance, as_json=as_json) if diff else _show_all(instance, as_json=as_json)


def _selected(name: str) -> InstanceSelector:
    control = os.environ.get("CORN_CONTROL")
    control = control if is_named_directory(control) else None
    return NamedInstance(control=control, name=name) if name else InstanceSelector(control=control)


def _show_all(instance: ControlClient, *, as_json: bool) -> int:
    answer = instance.send_request("config")
    if not answer.get("ok"):
        return _refused(answer)
    if as_json:
        options = {each["option"]: {"value": each["value"], "origin": each["origin"]} for each in answer["options"]}
        click.echo(json.dumps({"file": answer["file"], "options": options, "instance": _about(instance)}, indent=2))
    else:
        click.echo(shown(columns([(each["option"], each["text"], each["origin"]) for each in answer["options"]])))
    return 0


def _show_changes(instance: ControlClient, *, as_json: bool) -> int:
    answer = instance.send_request("config", diff=True)
    if not answer.get("ok"):
        return _refused(answer)
    changes, refusal = answer["changes"], answer["refused"]
    if as_json:
        for change in changes:
            for side in ("from", "to"):
                del change[side]["text"]
        click.echo(json.dumps({**answer, "instance": _about(instance)}, indent=2))
    else:
        width = max((len(change["option"]) for change in changes), default=0)
        for change in changes:
            click.echo(shown(_line(change, width)))
        if refusal:
            report_refusal(shown(f"a reload would be refused: {refusal}"), "")
        elif not changes:
            click.echo("a reload would change no option")
    return int(ExitCode.USAGE) if refusal else _CHANGED if changes else 0


def _line(change: dict[str, Any], width: int) -> str:
    before, after = (f"{side['text']} ({side['origin']})" for side in (change["from"], change["to"]))
    return f"{change['option']:<{width}}  {before} -> {after}" + (", by a restart" if change["needs_restart"] else "")


def _refused(answer: Answer) -> int:
    report_refusal(shown(str(answer.get("error"))), "")
    return int(ExitCode.INTERNAL)


def _about(instance: ControlClient) -> dict[str, Any]:
    return {name: instance.about[name] for name in ("pid", "app", "addresses")}
