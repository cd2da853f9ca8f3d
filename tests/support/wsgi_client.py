"""Client of WSGI applications over a real socket, and a record of events in their threads."""

import functools
import threading

from tests.support.asgi_server import serving

GET = b"GET / HTTP/1.1\r\nHost: corn.test\r\n\r\n"


TEXT = [("Content-Type", "text/plain")]


def request(path=b"/", *fields, body=None, method=b"GET"):
    if body is not None:
        method, fields = b"POST", (*fields, b"Content-Length: %d" % len(body))
    return b"%b %b HTTP/1.1\r\nHost: corn.test\r\n%b\r\n%b" % (
        method,
        path,
        b"".join(field + b"\r\n" for field in fields),
        body or b"",
    )


wsgi = functools.partial(serving, interface="wsgi")


class Events:
    """Record of events in the threads of an application, and an event that lets them continue."""

    def __init__(self):
        self.seen = []
        self.may_continue = threading.Event()

    def wait(self):
        assert self.may_continue.wait(20)


def waiting(events, body=b"ok"):
    """Application whose thread waits before it responds."""

    def app(environ, start_response):
        events.seen.append("called")
        events.wait()
        start_response("200 OK", TEXT)
        return [body]

    return app


def using(variable):
    """Application that responds with the value of a context variable, which it then changes."""

    def app(environ, start_response):
        found = variable.get()
        variable.set("used")
        start_response("200 OK", TEXT)
        return [found.encode()]

    return app


def ask(run, app, data=GET, **options):
    """Response to one request."""

    async def main():
        async with wsgi(app, **options) as at:
            return await at.request(data)

    return run(main())


def failing_at_once(environ, start_response):
    raise ValueError("broken")
