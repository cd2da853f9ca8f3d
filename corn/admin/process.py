"""Admin process: a fresh interpreter that serves corn's own application on the admin address.

No other process waits for it. Its server has a scoreboard of its own, so workers do not count it as one of them. If its
event loop is blocked for `_LOOP_TIMEOUT` seconds, faulthandler writes the stacks and exits, and the master restarts it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import socket
from typing import NoReturn

from corn import logs
from corn.admin.status_client import StatusClient
from corn.config import Config
from corn.config.addresses import TcpAddress, parse_address
from corn.ipc import helper_process
from corn.ipc.channel import Channel
from corn.ipc.messages import AdminSetup
from corn.ipc.scoreboard import Scoreboard
from corn.packages import import_package
from corn.server.asgi.allowed_hosts import with_allowed_hosts
from corn.server.asgi.types import ASGIApplication
from corn.server.server import Server
from corn.system.process import identify

_LOOP_TIMEOUT = 10.0
_CONNECTIONS = 256
_GRACE = 0.5


def main(channel_fd: int) -> NoReturn:
    """Run the admin process until the master requests its exit, or has exited itself."""
    helper_process.run(channel_fd, _run)


def _run(channel: Channel) -> None:
    first = next(iter(channel.receive()), None)
    while first is None and not channel.closed:
        first = next(iter(channel.receive()), None)
    if isinstance(first, AdminSetup):
        asyncio.run(_serve(channel, first))


async def _serve(channel: Channel, setup: AdminSetup) -> None:
    config = Config.from_json(setup.config)
    identify(config.process_name, "admin", str(config.admin))
    logs.configure(logs.Source("admin"), config)
    import_package("prometheus_client", "--admin", extra="admin")
    from corn.admin.app import Application

    channel.set_blocking(False)
    client = StatusClient(channel)
    listeners = [socket.socket(fileno=fd) for fd in setup.listeners]
    app = _checking_hosts(Application(client, config), config)
    server = Server(app, _server_config(config), listeners, slots=Scoreboard.create(), cell=0)
    await server.start()
    server.accept()
    watching = asyncio.get_running_loop().create_task(_watch_loop())
    grace = await client.exit_requested
    watching.cancel()
    server.drain(grace=grace or _GRACE, final=False, fast=not grace)
    await server.wait_closed()


def _checking_hosts(app: ASGIApplication, config: Config) -> ASGIApplication:
    """Middleware that accepts only known hosts, against requests from pages of other sites (DNS rebinding)."""
    address = parse_address(config.admin or "")
    own = [address.host] if isinstance(address, TcpAddress) else []
    return with_allowed_hosts(app, [*own, *config.admin_allow_host], option="--admin-allow-host")


def _server_config(config: Config) -> Config:
    """Options of this process's server, without those for the application."""
    return Config(
        interface="asgi3",
        lifespan="off",
        ws="none",
        http="1",
        access_log=False,
        limit_connections=_CONNECTIONS,
        log_level=config.log_level,
    )


async def _watch_loop() -> None:
    try:
        while True:
            faulthandler.dump_traceback_later(_LOOP_TIMEOUT, exit=True)
            await asyncio.sleep(_LOOP_TIMEOUT / 10)
    finally:
        faulthandler.cancel_dump_traceback_later()
