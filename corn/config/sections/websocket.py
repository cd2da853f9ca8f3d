"""Options of WebSockets."""

from __future__ import annotations

from typing import Literal

from corn.config.options import option, section
from corn.config.types import Choice, Flag, Integer, Seconds, Size

WEBSOCKET = "WebSocket"


@section
class WebSocketOptions:
    ws: Literal["auto", "none"] = option(
        "auto",
        Choice(("auto", "none")),
        "Accept WebSockets (auto); with none a handshake is served as an ordinary GET request.",
        WEBSOCKET,
    )
    ws_max_size: int = option(
        16 << 20,
        Size(1),
        "Maximum size of a message from a client, uncompressed; a larger one closes the connection with 1009.",
        WEBSOCKET,
    )
    ws_max_queue: int = option(
        32,
        Integer(1, 10**6),
        "Maximum number of messages queued for the application; then reading from the client pauses.",
        WEBSOCKET,
    )
    ws_ping_interval: float = option(
        20.0,
        Seconds(),
        "Interval between pings that keep the connection open and detect dead peers; 0 disables.",
        WEBSOCKET,
    )
    ws_ping_timeout: float = option(
        20.0, Seconds(), "Close the connection if nothing arrives for this long after a ping; 0 disables.", WEBSOCKET
    )
    ws_per_message_deflate: bool = option(
        True, Flag(), "Compress messages for clients that offer it (permessage-deflate).", WEBSOCKET
    )
