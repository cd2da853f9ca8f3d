"""Bare protocol: the upper bound for a server on uvloop and httptools.

It parses the head of a request and sends a response from memory, without ASGI, timeouts or error handling.

    python -m benchmarks.bare_protocol PORT
"""

import asyncio
import sys

import httptools
import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nHello, world!"


class Connection(asyncio.Protocol):
    """Connection of one client, with the callbacks of its parser."""

    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.headers = []

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_url(self, url):
        self.url = url

    def on_header(self, name, value):
        self.headers.append((name.lower(), value))

    def on_message_complete(self):
        self.headers = []
        self.transport.write(ANSWER)


async def serve(port):
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
