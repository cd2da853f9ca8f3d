"""Client of the control socket, and the selection of the instance that a command applies to.

A command needs no selection if a single instance is running. Otherwise options select one by its pidfile or process id,
by an address it listens on, or by its configuration file. If they match several, no request is sent, and the instances
are listed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from corn.diagnosis.text import printable
from corn.errors import ConfigError, CornError, NoAnswer, NoInstance
from corn.frozen import frozen
from corn.ipc.control_paths import AUTO, OFF, SUFFIX, sockets

_TIMEOUT = 5.0  # seconds to wait for an answer that the master gives at once
_FOREIGN_TIMEOUT = 1.0  # the same for a socket of another user, behind which may be any program
_MAX_ANSWER = 1 << 26

_HELLO_FIELDS = {
    "pid": int,
    "app": str,
    "addresses": list,
    "pidfile": str,
    "config_file": str,
    "phase": str,
    "uptime": float,
}

Answer = dict[str, Any]


@frozen
class InstanceSelector:
    """Selection of an instance by the command's options; None for an option that was not given."""

    pid: str | None = None
    bind: str | None = None
    config: str | None = None
    control: str | None = None

    def matches(self, about: Answer) -> bool:
        """True if an instance matches the selection, by its own description."""
        if self.pid is not None and str(about["pid"]) != self.pid and not _is_same_file(about["pidfile"], self.pid):
            return False
        if self.config is not None and not _is_same_file(about["config_file"], self.config):
            return False
        return self.bind is None or any(_is_address(each, self.bind) for each in about["addresses"])

    @property
    def is_specific(self) -> bool:
        """True if an option names an instance; a directory of control sockets does not."""
        control = self.control is not None and stat.S_ISSOCK(_mode(self.control))
        return control or any(each is not None for each in (self.pid, self.bind, self.config))

    def may_match(self, name: str) -> bool:
        """True if an instance that does not reply, and of which only the name is known, may match."""
        return self.bind is None or _is_address(name, self.bind)


@frozen
class NamedInstance(InstanceSelector):
    """Selection by one name: a process id, an address, a pidfile, or a configuration file."""

    name: str = ""

    def matches(self, about: Answer) -> bool:
        """True if the name is one of those of the instance."""
        return any(InstanceSelector(**{kind: self.name}).matches(about) for kind in ("pid", "bind", "config"))

    @property
    def is_specific(self) -> bool:
        """True."""
        return True

    def may_match(self, name: str) -> bool:
        """True if an instance that does not reply may have this name."""
        return _is_address(name, self.name)


class ControlClient:
    """A connection to a running master. Raises NoAnswer if it does not reply, or refuses this user."""

    def __init__(self, path: Path, timeout: float = _TIMEOUT) -> None:
        self.path = path
        self.about: Answer = {}
        self.was_named = False
        self.refusal = ""
        self._received = b""
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _connect(self._sock, path, timeout)

    @property
    def name(self) -> str:
        """Name of the instance in a list."""
        return self.path.name.removesuffix(SUFFIX)

    def send_request(self, request: str, *, timeout: float | None = _TIMEOUT, **fields: Any) -> Answer:
        """Send a request and wait for the answer, without a timeout if patience is None."""
        self._sock.settimeout(timeout)
        try:
            self._sock.sendall(json.dumps({"do": request, **fields}).encode() + b"\n")
            return self._answer()
        except (OSError, ValueError) as error:
            why = "in time" if isinstance(error, TimeoutError) else f"({error})"
            raise NoAnswer(f"the instance {self.name} does not respond {why}; is its master stopped?") from None

    def wait_for_end(self) -> None:
        """Wait until the master has closed the connection, which it does when it exits."""
        self._sock.settimeout(None)
        with contextlib.suppress(OSError):
            while self._sock.recv(65536):
                pass

    def close(self) -> None:
        self._sock.close()

    def _answer(self) -> Answer:
        while b"\n" not in self._received:
            data = self._sock.recv(1 << 20)
            if not data or len(self._received) > _MAX_ANSWER:
                raise ValueError("connection closed")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("not a response of corn")
        return answer


def _connect(sock: socket.socket, path: Path, timeout: float) -> None:
    """Connect within `timeout` seconds, even if the accept queue is full."""
    sock.settimeout(timeout)
    deadline = time.monotonic() + timeout
    while True:
        try:
            sock.connect(str(path))
        except BlockingIOError:  # noqa: PERF203 - the queue is full; only another attempt to connect waits for it
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def instances(control: str | None) -> list[ControlClient]:
    """A connection to each running instance that this user may control, with its description.

    An instance that does not reply has an empty `about`. Raises NoAnswer if the path in `control` cannot be used.
    """
    own, others = sockets(os.environ, control)
    return [*_identified(own, strict=control is not None), *_foreign_instances(others)]


def _identified(paths: Sequence[Path], *, strict: bool, timeout: float = _TIMEOUT) -> list[ControlClient]:
    found = []
    for path in paths:
        try:
            instance = ControlClient(path, timeout)
        except (ConnectionRefusedError, FileNotFoundError):
            continue  # its master has exited
        except OSError as error:
            if strict:
                raise NoAnswer(f"{path}: {_reason(error)}") from None
            continue
        with contextlib.suppress(NoAnswer):
            answer = instance.send_request("hello", timeout=timeout)
            if not answer.get("ok"):
                instance.refusal = shown(str(answer.get("error")))
            elif _is_hello(answer):
                instance.about = answer
        found.append(instance)
    return found


def _foreign_instances(paths: Sequence[Path]) -> list[ControlClient]:
    """The instances of other users that reply within `_TIMEOUT` together."""
    deadline = time.monotonic() + _TIMEOUT
    found: list[ControlClient] = []
    for path in paths:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        found += (each for each in _identified([path], strict=False, timeout=min(left, _FOREIGN_TIMEOUT)) if each.about)
    return found


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "permission denied: only root and the user who runs this instance may control it"
    return str(error.strerror or error)


def _is_hello(answer: Answer) -> bool:
    """True for the answer of a master to `hello`; any other program may listen on the path."""
    kinds = {name: type(answer.get(name)) for name in _HELLO_FIELDS}
    return kinds == _HELLO_FIELDS and all(isinstance(each, str) for each in answer["addresses"])


def find(selector: InstanceSelector) -> ControlClient:
    """Find the selected instance: the only one, or of several the only one that belongs to this directory.

    Raises NoInstance if there is none, ConfigError if there are several.
    """
    return _choose(_matching(selector), selector)


def find_to_change(selector: InstanceSelector) -> ControlClient:
    """Find the instance that a command may change: one that options name, or the one of this directory.

    The only instance on a machine may be an unrelated service. Raises as `find` does, and ConfigError for an instance
    that was started in another directory and is not selected by an option.
    """
    matching = _matching(selector)
    chosen = matching if selector.is_specific else [each for each in matching if is_local(each.about)]
    if not chosen:
        for each in matching:
            each.close()
        what = f"no instance was started from this directory; select one, as with --pid {matching[0].about['pid']}"
        raise ConfigError(_listed(what, matching))
    return _choose(chosen, selector)


def is_local(about: Answer) -> bool:
    """True if an instance was started from the working directory, or with a corn.toml or pidfile in it."""
    here = _working_directory()
    files = [str(Path(os.path.realpath(about[name])).parent) for name in ("config_file", "pidfile") if about[name]]
    started_in = str(about.get("started_in") or "")
    return here in files or (bool(started_in) and os.path.realpath(started_in) == here)


def _working_directory() -> str:
    """The working directory without links; where it has been removed, the one that has its name now, or ""."""
    try:
        return os.path.realpath(Path.cwd())
    except OSError:
        shell = os.environ.get("PWD", "")
        return os.path.realpath(shell) if os.path.isabs(shell) and os.path.isdir(shell) else ""  # noqa: PTH112, PTH117


def _listed(what: str, found: Sequence[ControlClient]) -> str:
    lines = []
    for each in found:
        place = f", started from {each.about['started_in']}" if each.about.get("started_in") else ""
        lines.append(f"  {describe(each)}{shown(place)}")
    return "\n".join([f"{what}:", *lines])


def _choose(matching: list[ControlClient], selector: InstanceSelector) -> ControlClient:
    local = [each for each in matching if is_local(each.about)]
    chosen = local if len(local) == 1 and not selector.is_specific else matching
    for each in matching:
        if len(chosen) > 1 or each is not chosen[0]:
            each.close()
    if len(chosen) > 1:
        raise ConfigError(_listed("several instances are running; select one with --pid, --bind or --config", chosen))
    chosen[0].was_named = selector.is_specific
    return chosen[0]


def _matching(selector: InstanceSelector) -> list[ControlClient]:
    """Find all instances that match, at least one. Raises NoInstance or NoAnswer."""
    own, others = sockets(os.environ, selector.control)
    found = _identified(own, strict=selector.control is not None)
    unresponsive = next((each for each in found if not each.about and selector.may_match(each.name)), None)
    matching = [each for each in found if each.about and selector.matches(each.about)]
    if not matching and unresponsive is None:
        found += _foreign_instances(others)
        matching = [each for each in found if each.about and selector.matches(each.about)]
    for each in found:
        if each not in matching:
            each.close()
    if matching:
        return matching
    if unresponsive is not None and unresponsive.refusal:
        raise CornError(f"{unresponsive.path}: {unresponsive.refusal}")
    if unresponsive is not None:
        raise NoAnswer(f"the instance {unresponsive.name} does not respond; is its master stopped?")
    if not found:
        raise NoInstance("this user can control no running instance; start one with 'corn serve'")
    raise NoInstance("no running instance matches; 'corn list' shows all of them")


def describe(instance: ControlClient) -> str:
    """One line for one instance."""
    about = instance.about
    if not about:
        return f"{instance.name}: does not respond"
    return shown(f"pid {about['pid']}: {about['app']} at {', '.join(about['addresses'])}")


def shown(text: str) -> str:
    """Text from an instance that may belong to another user, without control characters for the terminal."""
    return printable(text, "?")


def with_selector_and_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator that adds the options that select an instance, and `--json`, to a click command with a `selector`."""
    return with_selector(click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command))


def with_selector(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator that adds the options that select an instance to a click command with a `selector`."""

    def run(**values: Any) -> Any:
        names = ("pid", "bind", "config", "control")
        selector = InstanceSelector(**{name: values.pop(name) for name in names})
        if not is_named_directory(selector.control):
            selector = InstanceSelector(selector.pid, selector.bind, selector.config)
        return command(selector=selector, **values)

    run.__doc__ = command.__doc__
    run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        option(run)
    return run


def is_named_directory(control: str | None) -> bool:
    """True if option control names a directory or a socket, not one of its other values."""
    return control not in (None, AUTO, OFF)


_OPTIONS = [
    click.option("--pid", metavar="PID|FILE", help="Select the instance with this process id or pidfile."),
    click.option("-b", "--bind", metavar="ADDRESS", help="Select the instance that listens on this address."),
    click.option(
        "-c", "--config", metavar="FILE", help="Select the instance that was started with this configuration file."
    ),
    click.option("--control", metavar="PATH", envvar="CORN_CONTROL", help="Control socket, or its directory."),
]


def _mode(path: str) -> int:
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0


def _is_same_file(path: str, other: str) -> bool:
    return bool(path) and os.path.realpath(path) == os.path.realpath(other)


def _is_address(address: str, wanted: str) -> bool:
    """True if an instance's address matches the user's `host:port`, `:port`, `port` or path."""
    plain = address.split("://", 1)[-1].removeprefix("unix:")
    wanted = wanted.split("://", 1)[-1].removeprefix("unix:")
    return plain == wanted or plain.endswith(":" + wanted.removeprefix(":")) or _is_same_file(plain, wanted)
