"""Execution of the master's child processes: each is a fresh interpreter that runs the `main` of one module."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from corn.config import Config
from corn.config.env_file import environment_with
from corn.config.schema import SECRETS
from corn.ipc.template_setup import Setup
from corn.supervisor.process.systemd import VARIABLES

# The child has this process's module path, because a bundle such as a PEX has its own. The working directory is removed
# from its start: it may contain a click.py. It imports without garbage collections, which would free nothing; a worker
# enables the collector after the fork, a helper process in helper_process.run.
_START = """
import gc, sys
gc.disable()
if sys.path[:1] == [""]: del sys.path[0]
sys.path += [each for each in {path!r} if each not in sys.path]
from corn.system.process import exit_with_parent
exit_with_parent({parent})
from {module} import main
main(int(sys.argv[1]))
"""
_ROOT = str(Path(__file__).resolve().parent.parent.parent.parent)


def execute_template(setup: Setup, environment: Mapping[str, str]) -> int:
    """Start a fresh interpreter that becomes a template; returns its process id. Raises OSError if that fails."""
    setup_fd = setup.write()
    try:
        return execute("corn.worker.template", setup_fd, [setup_fd, *setup.inherited], environment)
    finally:
        os.close(setup_fd)


def execute(module: str, argument: int, inherited: Sequence[int], environment: Mapping[str, str]) -> int:
    """Start a fresh interpreter that runs `main(argument)` of a module and inherits descriptors; returns its id.

    It exits when this process does. Raises OSError if it cannot be started.
    """
    path = [os.path.abspath(each) for each in (*sys.path, _ROOT) if each]  # noqa: PTH100
    start = _START.format(path=path, parent=os.getpid(), module=module)
    arguments = [sys.executable, *_interpreter_flags(), "-c", start, str(argument)]
    for fd in inherited:
        os.set_inheritable(fd, True)
    try:
        return os.posix_spawn(
            sys.executable,
            arguments,
            {name: value for name, value in environment.items() if name not in VARIABLES},
            setsigmask=[],
            setsigdef=signal.valid_signals() - _UNSETTABLE,
        )
    finally:
        for fd in inherited:
            os.set_inheritable(fd, False)


def environment_of(config: Config) -> dict[str, str]:
    """Environment of the application: the variables of the env files, overridden by those of this process.

    corn's own secrets are left out, because every program that the application starts would inherit them. Raises
    ConfigError if a file cannot be read or parsed.
    """
    return environment_with(config.env_file, {name: os.environ[name] for name in os.environ if name not in SECRETS})


_UNSETTABLE = {signal.SIGKILL, signal.SIGSTOP}


def _interpreter_flags() -> list[str]:
    """Command-line options of this interpreter, such as -O and -X dev, so that the application runs with the same."""
    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined,no-any-return]
