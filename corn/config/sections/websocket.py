"""WebSockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from corn.config.options import option
from corn.config.types import Choice, Flag, Integer, Seconds, Size

WEBSOCKET = "WebSocket"


@dataclass(frozen=True, kw_only=True)
class WebSocketOptions:
    ws: Literal["auto", "none"] = option(
        "auto",
        Choice(("auto", "none")),
        "Open WebSockets; with none a handshake is served as the GET request that it also is.",
        WEBSOCKET,
    )
    ws_max_size: int = option(
        16 << 20, Size(1), "Largest message from a client, uncompressed; a larger one closes with 1009.", WEBSOCKET
    )
    ws_max_queue: int = option(
        32,
        Integer(1, 10**6),
        "Most messages held for an application that has not received them; then reading stops.",
        WEBSOCKET,
    )
    ws_ping_interval: float = option(
        20.0,
        Seconds(),
        "Send a ping this often, to keep the way open and find out who is gone; 0 for never.",
        WEBSOCKET,
    )
    ws_ping_timeout: float = option(
        20.0, Seconds(), "Close when nothing is heard for so long after a ping; 0 for never.", WEBSOCKET
    )
    ws_per_message_deflate: bool = option(
        True, Flag(), "Compress messages for clients that offer to (permessage-deflate).", WEBSOCKET
    )
