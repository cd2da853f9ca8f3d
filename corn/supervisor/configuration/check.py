"""Check that the application loads, in a template that serves nothing and exits."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from functools import partial

from corn.config import Config
from corn.errors import ApplicationError, ConfigError, ExitCode, HooksError
from corn.ipc.channel import Channel
from corn.ipc.messages import Failed, Loaded, Message
from corn.ipc.scoreboard import Scoreboard
from corn.ipc.template_setup import Setup
from corn.supervisor.children.certificates import first_credentials
from corn.supervisor.children.child import start_channel
from corn.supervisor.children.spawn import environment_of, execute_template
from corn.supervisor.process.reaper import exit_of


def check_application(config: Config) -> None:
    """Import the application in a fresh interpreter.

    Raises ConfigError if its name cannot be resolved, and ApplicationError if its code fails or exceeds timeout_boot.
    """
    _check_credentials(config)
    pid, channel = start_channel(partial(_execute, config, environment_of(config)))
    channel.set_timeout(config.timeout_boot)
    answer = _first_answer(channel)
    channel.close()
    os.kill(pid, signal.SIGKILL)
    end = exit_of(os.waitpid(pid, 0)[1])
    if isinstance(answer, Failed):
        if answer.exit_code != ExitCode.USAGE:
            raise ApplicationError(answer.error, answer.detail)
        raise HooksError(answer.error, answer.detail) if answer.detail else ConfigError(answer.error)
    if answer is None and end.signal == "SIGKILL":
        raise ApplicationError(f"{config.app} did not load within --timeout-boot ({config.timeout_boot:g} s)")
    if answer is None:
        raise ApplicationError(f"the application's process {end} while loading")


def _execute(config: Config, environment: Mapping[str, str], channel: socket.socket) -> int:
    slots = Scoreboard.create()
    setup = Setup(
        generation=0,
        config=config.to_json(),
        preload="app",
        strict=True,
        channel=channel.fileno(),
        listeners=[],
        slots=slots.fd,
        master=os.getpid(),
        relay=True,
    )
    try:
        return execute_template(setup, environment)
    finally:
        slots.close()


def _check_credentials(config: Config) -> None:
    found = first_credentials(config)
    if found is not None and found[1]:
        raise ConfigError(found[1])


def _first_answer(channel: Channel) -> Message | None:
    while not channel.closed:
        for message in channel.receive():
            if isinstance(message, (Loaded, Failed)):
                return message
    return None
