"""HTTP/2 client on the `h2` package, with raw frames where the package refuses to send them."""

import asyncio
import contextlib
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
from h2.connection import ConnectionState
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from corn.server.http2.frames import frame

GET = (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")
POST = (":method", "POST"), *GET[1:]


@dataclass
class Response:
    """Response on one stream."""

    status: int = 0
    headers: list = field(default_factory=list)
    body: bytes = b""
    informational: list = field(default_factory=list)
    trailers: list = field(default_factory=list)
    reset: int | None = None
    ended: bool = False

    def header(self, name):
        return dict(self.headers).get(name)


class H2Peer:
    """HTTP/2 connection. `takes`: acknowledge received data, which keeps the windows open."""

    def __init__(self, peer, *, takes=True):
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.peer = peer
        self.takes = takes
        self.responses = {}
        self.terminated = None
        self.settings = {}
        self.events = []
        self.closed = False

    async def start(self):
        self.h2.initiate_connection()
        await self.flush()
        await self.until(lambda: self.settings)
        return self

    async def flush(self):
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.peer.send(self.h2.data_to_send())

    async def raw(self, kind, flags, stream, payload):
        """Send a frame past the library."""
        await self.flush()
        with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop: the handle is closed
            await self.peer.send(frame(kind, flags, stream, payload))

    async def begin(self, headers=GET, *, end=True):
        stream = self.h2.get_next_available_stream_id()
        self.responses[stream] = Response()
        self.h2.send_headers(stream, list(headers), end_stream=end)
        await self.flush()
        return stream

    async def data(self, stream, data, *, end=False):
        """Send data within the flow-control windows."""
        while data or end:
            size = min(len(data), self.h2.local_flow_control_window(stream), 16384)
            if data and not size:
                await self.read_events()
                continue
            part, data = data[:size], data[size:]
            self.h2.send_data(stream, part, end_stream=end and not data)
            end = end and bool(data)
            await self.flush()

    async def request(self, headers=GET, body=b""):
        stream = await self.begin(headers, end=not body)
        if body:
            await self.data(stream, body, end=True)
        return await self.response(stream)

    async def response(self, stream):
        response = self.responses[stream]
        await self.until(lambda: response.ended or response.reset is not None)
        return response

    async def until(self, condition):
        while not condition():
            assert not self.closed, "the connection was closed"
            await self.read_events()

    async def wait_closed(self):
        """Wait for the server to close; returns the code of its GOAWAY."""
        while not self.closed:
            await self.read_events()
        return None if self.terminated is None else self.terminated.error_code

    async def read_events(self):
        try:
            data = await self.peer.reader.read(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self.events.append(event)
            self._take(event)
        await self.flush()

    def _take(self, event):
        response = self.responses.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, RemoteSettingsChanged):
            self.settings = {code: each.new_value for code, each in event.changed_settings.items()}
        elif isinstance(event, ConnectionTerminated):
            self.terminated = event
        elif response is None:
            return
        elif isinstance(event, ResponseReceived):
            response.headers = event.headers[1:]
            response.status = int(event.headers[0][1])
        elif isinstance(event, InformationalResponseReceived):
            response.informational.append(event.headers)
        elif isinstance(event, TrailersReceived):
            response.trailers = event.headers
        elif isinstance(event, DataReceived):
            response.body += event.data
            if self.takes and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            response.ended = True
        elif isinstance(event, StreamReset):
            response.reset = int(event.error_code)


def tolerant(client):
    """Let the h2 package continue after a GOAWAY, where it refuses further frames."""
    machine = client.h2.state_machine
    take = machine.process_input

    def may_respond(input_):
        events = take(input_)
        if machine.state is ConnectionState.CLOSED:
            machine.state = ConnectionState.CLIENT_OPEN
        return events

    machine.process_input = may_respond
    return client


async def connect(at, *, takes=True):
    """Connect to a server under test, with prior knowledge."""
    return await H2Peer(await at.connect(), takes=takes).start()


def together(*coroutines):
    return asyncio.gather(*coroutines)
