"""Loader of a hooks file: checks the file, and calls its functions without affecting the caller.

The file is compiled from its source each time, because a cached .pyc file would miss a second save within one second.
Every public function must be a hook, so that misspelt names are detected; names of other functions begin with _.
"""

from __future__ import annotations

import contextlib
import inspect
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from corn.config import Config
from corn.config.suggestions import did_you_mean
from corn.diagnosis.user_traceback import user_traceback
from corn.errors import HooksError
from corn.frozen import frozen
from corn.hooks import HOOKS, SSL_CONTEXT, Info
from corn.logs import logger
from corn.server.tls.context import ContextHook
from corn.worker.importer import put_first_on_path

_MODULE = "corn_hooks"
_REPEAT_INTERVAL = 0.1  # seconds until TimeoutError is raised once more

Hook = Callable[[Info], object]


@frozen
class HookFailure:
    """A hook raised: the exception in a line, and the traceback of the user's own frames."""

    error: str
    detail: str


class HookFile:
    """The hooks that a file defines, by name."""

    def __init__(self, functions: Mapping[str, Hook]) -> None:
        self._functions = functions

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._functions)

    @property
    def ssl_context(self) -> ContextHook | None:
        """The hook that makes SSL contexts; None without one."""
        function: Any = self._functions.get(SSL_CONTEXT)
        return function  # type: ignore[no-any-return]

    def call(self, name: str, info: Info, limit: float | None = None) -> HookFailure | None:
        """Call a hook if the file defines it; returns any exception that it raises, even SystemExit.

        With a `limit`, TimeoutError is raised in a hook that takes longer, in seconds.
        """
        function = self._functions.get(name)
        if function is None:
            return None
        try:
            with contextlib.nullcontext() if limit is None else _limited(limit):
                function(info)
        except BaseException as error:
            return HookFailure(_summary(error), user_traceback(error))
        return None

    def run(self, name: str, info: Info, limit: float | None = None) -> None:
        """As `call`, with a failure logged."""
        failure = self.call(name, info, limit)
        if failure is not None:
            logger.error("hook %s failed: %s\n%s", name, failure.error, failure.detail)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in a body that takes longer, if it runs Python code (SIGALRM, setitimer(2)).

    It is raised repeatedly until the body ends, because a destructor or a callback of the collector may swallow it. It
    may also be raised in the first `finally` block; then the second one completes it.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.setitimer(signal.ITIMER_REAL, _REPEAT_INTERVAL)
        raise TimeoutError(f"longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def load_hooks(config: Config) -> HookFile:
    """Load the file that option hooks names; without one there are no hooks.

    Raises HooksError if the file cannot be read, raises an exception, or defines an unknown hook.
    """
    if config.hooks is None:
        return HookFile({})
    put_first_on_path(config.app_dir)
    module = _execute(config.hooks)
    public = {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_own(value)}
    for name in public:
        if name not in HOOKS:
            hint = did_you_mean(name, HOOKS) or "; a function that is none begins with _"
            raise HooksError(f"{config.hooks}: there is no hook '{name}'{hint}")
    found = {name: value for name, value in vars(module).items() if name in HOOKS}
    for name, value in found.items():
        _check(config.hooks, name, value)
    if not found:
        raise HooksError(f"{config.hooks}: no hook is defined; 'python -m pydoc corn.hooks' lists them")
    return HookFile(found)


def _execute(name: str) -> ModuleType:
    path = Path(name).absolute()
    module = ModuleType(_MODULE)
    module.__file__ = str(path)
    sys.modules[_MODULE] = module
    try:
        exec(compile(path.read_bytes(), path, "exec"), vars(module))  # noqa: S102 - the user's file, named by the user
    except OSError as error:
        if error.filename in (str(path), path):
            raise HooksError(f"{name}: cannot be read: {error.strerror}") from None
        raise HooksError(f"{name} could not be loaded: {_summary(error)}", user_traceback(error)) from error
    except BaseException as error:
        raise HooksError(f"{name} could not be loaded: {_summary(error)}", user_traceback(error)) from error
    return module


def _is_own(value: Any) -> bool:
    return inspect.isfunction(value) and value.__module__ == _MODULE


def _check(file: str, name: str, value: Any) -> None:
    if not callable(value):
        raise HooksError(f"{file}: {name} is of type {type(value).__name__}, not a function")
    if inspect.iscoroutinefunction(value):
        raise HooksError(f"{file}: {name} is a coroutine function; hooks are plain ones")
    number, parameters = ("two arguments", "config, default") if name == SSL_CONTEXT else ("one argument", "info")
    try:
        inspect.signature(value).bind(*parameters.split(","))
    except TypeError:
        raise HooksError(f"{file}: {name} must take {number}, as in def {name}({parameters})") from None


def _summary(error: BaseException) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()
