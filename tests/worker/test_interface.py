"""ASGI 2 and ASGI 3 applications, told apart by what they can be called with."""

import functools

import pytest

from tests.worker.serving import hello, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Two:
    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await hello(self.scope, receive, send)


def two(scope):
    return functools.partial(hello, scope)


class Three:
    async def __call__(self, scope, receive, send):
        await hello(scope, receive, send)


async def three(scope, receive, send, *, more=None):
    await hello(scope, receive, send)


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (Two, "auto"),
        (two, "auto"),
        (Two, "asgi2"),
        (two, "asgi2"),
        (Three(), "auto"),
        (three, "auto"),
        (functools.partial(three, more=1), "auto"),
        (three, "asgi3"),
    ],
)
def test_an_application_is_called_as_it_wants(run, app, interface):
    async def main():
        async with serving(app, interface=interface, lifespan="auto") as at:
            assert (await at.request(GET)).body == b"hello"

    run(main())
