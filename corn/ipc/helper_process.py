"""Helper process of the master: a fresh interpreter with one end of a channel, which exits with the master."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import NoReturn

from corn import logs
from corn.errors import CornError
from corn.ipc.channel import Channel, channel_of
from corn.system.process import BY_TEMPLATES, ignore_group_signals


def run(channel_fd: int, serve: Callable[[Channel], None]) -> NoReturn:
    """Leave signals to the master, call `serve` with the channel, and exit without exit handlers.

    A CornError of `serve` is logged, and its exit code is that of the process.
    """
    gc.freeze()  # the modules, during whose import the collector was disabled
    gc.enable()
    ignore_group_signals(BY_TEMPLATES)
    code = 0
    try:
        serve(channel_of(channel_fd))
    except CornError as error:
        logs.logger.error("%s", error)
        logs.finish()
        code = int(error.exit_code)
    logs.flush_standard_streams()
    os._exit(code)
