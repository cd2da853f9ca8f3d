"""A chat over WebSockets, with its history as server-sent events; both survive a deploy.

State that must survive lives outside of the workers: here in an SQLite file, in production in a database or a broker.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

POLL = 0.1  # seconds between two looks at the file


def connect() -> sqlite3.Connection:
    database = sqlite3.connect("chat.db")
    database.execute("CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, text TEXT)")
    return database


async def follow(last: int) -> AsyncIterator[tuple[int, str]]:
    """The lines after the one with the number `last`, as they come."""
    database = connect()
    try:
        while True:
            rows = database.execute("SELECT id, text FROM lines WHERE id > ? ORDER BY id", (last,)).fetchall()
            for number, text in rows:
                yield number, text
                last = number
            await asyncio.sleep(POLL)
    finally:
        database.close()


async def events(request: Request) -> StreamingResponse:
    """Server-sent events: a browser reconnects by itself, and says with Last-Event-ID where to go on."""
    last = int(request.headers.get("last-event-id", 0))

    async def stream() -> AsyncIterator[str]:
        async for number, text in follow(last):
            yield f"id: {number}\ndata: {text}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


async def talk(websocket: WebSocket) -> None:
    """What a client sends is a line of the chat; a worker that drains closes the connection with 1012."""
    await websocket.accept()
    database = connect()
    try:
        while True:
            with database:
                database.execute("INSERT INTO lines (text) VALUES (?)", (await websocket.receive_text(),))
    except WebSocketDisconnect:
        database.close()


app = Starlette(routes=[Route("/events", events), WebSocketRoute("/talk", talk)])
