"""Client of the master's status, for the admin process, with memory sampled by psutil; both cached.

The master receives one request at a time and at most ten per second, however many clients there are, and the memory of
a process (PSS) is read at most once in `_MEMORY_INTERVAL`. A master that does not respond is reported as such.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from corn import logs
from corn.ipc.channel import Channel
from corn.ipc.messages import Drain, GetStatus, Message, Quit, ReopenLogs, StatusReport
from corn.system.cpu import cpu_seconds
from corn.system.memory import proportional_sizes

_MAX_AGE = 0.1
_TIMEOUT = 3.0
_MEMORY_INTERVAL = 5.0

Status = dict[str, Any]


class MasterUnresponsive(Exception):  # noqa: N818 - a state of the master
    """Raised if the master has not replied within `_TIMEOUT`, because it is stopped or hangs."""


class StatusClient:
    """Client of the channel. `exit_requested` is done when the process has to exit; its result is the grace period in
    seconds.

    From then on the last reply is used, because the master may have exited or have handed the service over.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._reply: asyncio.Future[None] | None = None
        self._status: Status = {}
        self._received_at = -1.0
        self._sizes: dict[int, int] = {}
        self._measured: set[int] = set()
        self._measuring: asyncio.Task[None] | None = None
        self._measured_at = -_MEMORY_INTERVAL
        self.exit_requested: asyncio.Future[float] = self._loop.create_future()
        self._loop.add_reader(channel.fileno(), self._on_messages)

    async def status(self) -> Status:
        """Status of the service, with `pss` for each process, None if unknown. Raises MasterUnresponsive."""
        if not self.exit_requested.done() and time.monotonic() - self._received_at >= _MAX_AGE:
            try:
                await asyncio.wait_for(asyncio.shield(self._request_status()), _TIMEOUT)
            except asyncio.TimeoutError:
                raise MasterUnresponsive(f"the master has not responded for {_TIMEOUT:g} seconds") from None
        if not self._status:
            raise MasterUnresponsive("the master has not responded yet, and the admin process is exiting")
        return self._status

    async def status_with_memory(self) -> Status:
        """As `status`, with the best known `pss` of each process, and `cpu`, its processor time in seconds."""
        status = await self.status()
        if time.monotonic() - self._measured_at >= _MEMORY_INTERVAL or self._pids(status) - self._measured:
            if self._measuring is None or self._measuring.done():
                self._measuring = self._loop.create_task(self._measure(self._pids(status)))
            await asyncio.shield(self._measuring)
        for each in (status, *status["templates"], *status["workers"]):
            each["pss"] = self._sizes.get(each["pid"])
            each["cpu"] = cpu_seconds(each["pid"]) if each["pid"] else None
        return status

    def _request_status(self) -> asyncio.Future[None]:
        if self._reply is None:
            self._reply = self._loop.create_future()
            self._channel.send(GetStatus())
        return self._reply

    async def _measure(self, pids: set[int]) -> None:
        self._measured_at, self._measured = time.monotonic(), pids
        self._sizes = await self._loop.run_in_executor(None, proportional_sizes, pids)

    def _pids(self, status: Status) -> set[int]:
        found = (status["pid"], *(each["pid"] for each in (*status["templates"], *status["workers"])))
        return {pid for pid in found if pid}

    def _on_messages(self) -> None:
        for message in self._channel.receive():
            self._handle(message)
        if self._channel.closed:
            self._request_exit(0.0)

    def _handle(self, message: Message) -> None:
        if isinstance(message, StatusReport) and not self.exit_requested.done():
            self._status, self._received_at = message.status, time.monotonic()
            self._complete()
        elif isinstance(message, ReopenLogs):
            logs.reopen()
        elif isinstance(message, Quit):
            self._request_exit(0.0)
        elif isinstance(message, Drain):
            self._request_exit(message.grace)

    def _complete(self) -> None:
        answer, self._reply = self._reply, None
        if answer is not None and not answer.done():
            answer.set_result(None)

    def _request_exit(self, grace: float) -> None:
        self._loop.remove_reader(self._channel.fileno())
        if not self.exit_requested.done():
            self.exit_requested.set_result(grace)
        self._complete()
