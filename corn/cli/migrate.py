"""`corn import`: a corn.toml from the configuration or the command line of another server."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from corn.config.peers import PeerOption, counterpart, of_peer, tables
from corn.config.types import Flag, ListOf, Mode, Nullable
from corn.config.values import BY_NAME
from corn.errors import ConfigError
from corn.hooks import HOOKS, SSL_CONTEXT

_GUNICORN_HOOKS = {*HOOKS, "worker_int", "worker_abort", "pre_exec", "pre_request", "post_request"}


def _from_options(command: Any) -> Any:
    for peer in reversed(tables()):
        command = click.option(f"--from-{peer}", metavar="ARGUMENTS", help=f"Command line of {peer}, quoted.")(command)
    return command


@click.command("import", short_help="Write a corn.toml from another server's configuration.")
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@_from_options
@click.option("--output", default="corn.toml", metavar="FILE", help="File to write; - for standard output. [corn.toml]")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def import_config(*, file: str | None, output: str, force: bool, **command_lines: str | None) -> int:
    """Write a commented corn.toml from FILE, a gunicorn.conf.py or hypercorn.toml, or from a quoted command line.

    Options without a counterpart are named in it and on standard error. Hooks of gunicorn go to hooks.py. A file in
    Python is executed, as gunicorn does.
    """
    given = {name.removeprefix("from_"): text for name, text in command_lines.items() if text is not None}
    if (file is not None) + len(given) != 1:
        raise ConfigError("name one source: a file, or a command line as in --from-uvicorn 'main:app --workers 4'")
    peer, settings = _read_file(Path(file)) if file is not None else _read_command_line(*next(iter(given.items())))
    hooks = {name: value for name, value in settings.items() if peer == "gunicorn" and name in _GUNICORN_HOOKS}
    lines, missing = _translated(peer, {name: value for name, value in settings.items() if name not in hooks})
    kept = {name: value for name, value in hooks.items() if name in HOOKS and callable(value)}
    missing += [f"{name}: corn has no such hook" for name in hooks if name not in kept]
    if kept:
        lines.append('hooks = "hooks.py"')
    text = "\n".join([f"# Made by corn import from {file or f'a command line of {peer}'}.", *lines, ""])
    if output == "-":
        click.echo(text, nl=False)
    else:
        _write(Path(output), text, force=force)
    if kept and output != "-":
        _write(Path(output).with_name("hooks.py"), _hooks(kept), force=force)
    for line in missing:
        click.echo(f"not taken over: {line}", err=True)
    return 0


def _write(path: Path, text: str, *, force: bool) -> None:
    if path.exists() and not force:
        raise ConfigError(f"{path} exists; use --force to overwrite it, or --output FILE")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    click.echo(f"wrote {path}")


def _read_file(path: Path) -> tuple[str, dict[str, Any]]:
    from corn.config.sources import read_toml

    if not path.is_file():
        raise ConfigError(f"there is no file '{path}'")
    if path.suffix == ".toml":
        table = read_toml(path.name, path)
        return "hypercorn", {key.replace("-", "_"): value for key, value in table.items()}
    if path.suffix != ".py":
        raise ConfigError(f"'{path}' is neither Python (gunicorn) nor TOML (hypercorn)")
    try:
        found = runpy.run_path(str(path))
    except BaseException as error:
        raise ConfigError(f"{path} could not be executed: {type(error).__name__}: {error}") from None
    known = {each.setting for each in of_peer("gunicorn")} | _GUNICORN_HOOKS | {"wsgi_app"}
    return "gunicorn", {name: value for name, value in found.items() if name in known}


def _read_command_line(peer: str, text: str) -> tuple[str, dict[str, Any]]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"--from-{peer}: {error}") from None
    settings: dict[str, Any] = {}
    if words and Path(words[0]).name == peer:
        del words[0]
    while words:
        word = words.pop(0)
        flag, _, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
        if not word.startswith("-"):
            if not (peer == "fastapi" and word in ("run", "dev")):
                settings["wsgi_app"] = word
            continue
        matching = [each for each in of_peer(peer) if each.has(flag)]
        option = next((each for each in matching if flag in each.flags), next(iter(matching), None))
        name = option.setting if option else flag.lstrip("-").replace("-", "_")
        if option is None or not _takes_value(option) or (not value and _is_flag(words, settings)):
            settings[name] = not flag.startswith("--no-")
        else:
            _add(settings, name, value or (words.pop(0) if words else ""))
    return peer, settings


def _is_flag(words: Sequence[str], settings: Mapping[str, Any]) -> bool:
    """Return whether the words after an option show that it takes no value: an option, or only the application."""
    is_application = len(words) == 1 and re.fullmatch(r"[\w.]+:[\w.]+", words[0]) is not None
    return words[:1] != [] and (words[0].startswith("--") or (is_application and "wsgi_app" not in settings))


def _add(settings: dict[str, Any], name: str, value: str) -> None:
    """Add a value; options that occur several times keep all their values."""
    before = settings.get(name)
    settings[name] = value if before is None else [*(before if isinstance(before, list) else [before]), value]


def _takes_value(option: PeerOption) -> bool:
    if option.setting in ("preload_app", "reload", "debug", "spew", "check_config", "print_config", "use_colors"):
        return False
    named = [BY_NAME.get(_name(each)) for each in option.corn]
    return not (named and named[0] is not None and isinstance(named[0].kind, Flag))


def _name(flag: str) -> str:
    """Name of an option of corn that takes the same value; that of a flag with a value of its own is no option's."""
    return flag.removeprefix("--").removeprefix("no-").replace("-", "_")


def _translated(peer: str, settings: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    lines, missing = [], []
    taken_over: set[str] = set()
    for name, value in settings.items():
        if name == "wsgi_app":
            lines.append(f"app = {json.dumps(str(value))}")
            continue
        option = next((each for each in of_peer(peer) if each.setting == name), None)
        ours = "preload" if name == "preload_app" else _name(option.corn[0]) if option and option.corn else ""
        taken = ("app" if value else "auto") if ours == "preload" else value
        fits = ours in BY_NAME and ours not in taken_over and not (option and option.converts)
        written = _toml(ours, taken) if fits else None
        if written is None:
            what = counterpart(option, "key") if option else "unknown option"
            missing.append(f"{name} = {value!r}: {what}")
            lines.append(f"# {name} = {value!r}: {what}".replace("\n", " "))
        else:
            taken_over.add(ours)
            lines += [*([f"# {option.remark}"] if option and option.remark else []), f"{ours} = {written}"]
    return lines, missing


def _toml(name: str, value: Any) -> str | None:
    """Write a value as TOML; None for a value that corn does not accept."""
    kind = BY_NAME[name].kind
    inner = kind.item if isinstance(kind, Nullable) else kind
    if isinstance(inner, Mode) and isinstance(value, int):
        value = f"{value:03o}"
    if isinstance(inner, ListOf) and not isinstance(value, (str, list, tuple)):
        value = [str(value)]
    if not isinstance(value, (bool, int, float, list, tuple)):
        value = str(value)
    try:
        parsed = kind.parse(list(value) if isinstance(value, tuple) else value)
    except ValueError:
        return None
    if isinstance(inner, Mode):
        return json.dumps(value)
    return json.dumps(list(parsed) if isinstance(parsed, tuple) else parsed)


def _hooks(functions: Mapping[str, Any]) -> str:
    return "\n".join(_hook_lines(functions))


def _hook_lines(functions: Mapping[str, Any]) -> Iterator[str]:
    import inspect

    yield '"""Hooks of corn. Most take one argument; see python -m pydoc corn.hooks."""'
    for name, function in functions.items():
        parameters = "config, default" if name == SSL_CONTEXT else "info"
        was = f'    """In gunicorn it was {name}{inspect.signature(function)}:"""'
        yield from ("", "", f"def {name}({parameters}):", was)
        yield from _commented(_source(function))
        if name == SSL_CONTEXT:
            yield "    return default()"


def _source(function: Any) -> Iterable[str]:
    import inspect

    try:
        return inspect.getsource(function).splitlines()
    except (OSError, TypeError):
        return ["(its source was not found)"]


def _commented(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"    # {line}".rstrip()
