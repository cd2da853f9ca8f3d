"""Hooks process: a fresh interpreter that loads the hooks file and runs the master's hooks.

It calls one hook at a time, in the order in which the messages arrive, and answers each. A hook that takes longer than
its limit ends the process: the watchdog is a C thread (faulthandler), which works even while Python code holds the GIL,
and writes the stacks before it exits. The master starts another process for the remaining calls.
"""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from corn import logs
from corn.config import Config
from corn.errors import CornError
from corn.hooks import IN_HOOKS_PROCESS, Info
from corn.ipc import helper_process
from corn.ipc.channel import Channel
from corn.ipc.messages import Failed, HookCall, HookDone, HooksLoaded, HooksSetup, Message, Quit, ReopenLogs
from corn.system.process import identify
from corn.worker.hooks.loader import HookFile, load_hooks


def main(channel_fd: int) -> NoReturn:
    """Run the hooks process until the master sends Quit, or has exited."""
    helper_process.run(channel_fd, _serve)


def _serve(channel: Channel) -> None:
    hooks, limit = HookFile({}), 0.0
    for message in _messages(channel):
        if isinstance(message, HooksSetup):
            config = Config.from_json(message.config)
            hooks, limit = _begin(config, channel), config.timeout_hook
            if not hooks.names & set(IN_HOOKS_PROCESS):
                return
        elif isinstance(message, HookCall):
            channel.send(_call(hooks, message, limit))
        elif isinstance(message, ReopenLogs):
            logs.reopen()
        elif isinstance(message, Quit):
            return


def _messages(channel: Channel) -> Iterator[Message]:
    while not channel.closed:
        yield from channel.receive()


def _begin(config: Config, channel: Channel) -> HookFile:
    """Load the file and report to the master; returns no hooks if it cannot be loaded."""
    identify(config.process_name, "hooks", str(config.hooks))
    logs.configure(logs.Source("hooks"), config)
    faulthandler.dump_traceback_later(config.timeout_boot, exit=True)
    try:
        hooks = load_hooks(config)
    except CornError as error:
        channel.send(Failed(str(error), error.detail, int(error.exit_code)))
        return HookFile({})
    finally:
        faulthandler.cancel_dump_traceback_later()
    channel.send(HooksLoaded(sorted(hooks.names & set(IN_HOOKS_PROCESS)), time.monotonic()))
    return hooks


def _call(hooks: HookFile, message: HookCall, limit: float) -> HookDone:
    faulthandler.dump_traceback_later(limit, exit=True)
    failure = hooks.call(message.hook, info_of(message))
    faulthandler.cancel_dump_traceback_later()
    logs.flush_standard_streams()
    error, detail = ("", "") if failure is None else (failure.error, failure.detail)
    return HookDone(message.hook, error, detail, time.monotonic())


def info_of(message: HookCall) -> Info:
    """The info object of a message."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in message.info.items()
    }
    return IN_HOOKS_PROCESS[message.hook](**fields)
