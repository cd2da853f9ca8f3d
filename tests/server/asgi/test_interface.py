"""Detection of ASGI 2, ASGI 3 and WSGI applications by their signature."""

import functools

import pytest

from corn.config import Config
from corn.errors import ConfigError
from corn.server.asgi.interface import check_interface, interface_of
from tests.support.asgi_server import hello, serving

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


def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


def wsgi_with_more(environ, start_response, greeting=b"hello"):
    start_response("200 OK", [])
    return [greeting]


class Called:
    def __call__(self, environ, start_response):
        return wsgi(environ, start_response)


class Response:
    """The class itself is the application (PEP 3333, "The Application/Framework Side")."""

    def __init__(self, environ, start_response):
        start_response("200 OK", [])

    def __iter__(self):
        yield b"hello"


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def of_request(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(args[-2])(*args[-2:])

    return wrapper


@of_request
def answer(request):
    return wsgi


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
        (decorated(three), "auto"),
        (wsgi, "auto"),
        (wsgi, "wsgi"),
        (wsgi_with_more, "auto"),
        (functools.partial(wsgi_with_more, greeting=b"hello"), "auto"),
        (Called(), "auto"),
        (Called().__call__, "auto"),
        (Response, "auto"),
        (decorated(wsgi), "auto"),
        (answer, "auto"),
    ],
)
def test_application_is_called_by_its_interface(run, app, interface):
    async def main():
        async with serving(app, interface=interface, lifespan="auto") as at:
            assert (await at.request(GET)).body == b"hello"

    run(main())


class AsynchronousOfAnything:
    async def __call__(self, *args):
        """Signature without a number of arguments."""


@pytest.mark.parametrize("app", [AsynchronousOfAnything(), functools.partial(three), print])
def test_callable_without_signature_is_asgi3(app):
    assert interface_of(app) == "asgi3"


def no_arguments():
    return three


def no_arguments_needed(name="dev"):
    return three


def four(one, two, three, four):
    """No interface has four arguments."""


async def two_of_them(scope, receive):
    """A coroutine function is ASGI 3, and this is not."""


@pytest.mark.parametrize(
    ("app", "options", "complaint"),
    [
        (no_arguments, {}, "m:a takes no arguments, which an application does; add --factory if it makes an app"),
        (no_arguments_needed, {}, "m:a takes no arguments, which an application does; add --factory"),
        (no_arguments, {"factory": True}, "what the factory m:a returned takes no arguments, which an application"),
        (four, {}, r"m:a cannot be called as asgi3, with \(scope, receive, send\)$"),
        (two_of_them, {}, r"m:a cannot be called as asgi3, with \(scope, receive, send\)$"),
        (three, {"interface": "wsgi"}, r"called as wsgi, with \(environ, start_response\); it looks like asgi3"),
        (wsgi, {"interface": "asgi3"}, r"called as asgi3, with \(scope, receive, send\); it looks like wsgi"),
    ],
)
def test_object_with_other_signature_is_refused(app, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        check_interface(app, Config(app="m:a", **options))


@pytest.mark.parametrize("app", [wsgi, wsgi_with_more, Called(), Response, two, Two, three, Three(), answer, print])
def test_object_with_matching_signature_is_accepted(app):
    check_interface(app, Config(app="m:a"))


def test_interface_option_outranks_detection():
    check_interface(lambda environ=None, start_response=None: None, Config(app="m:a", interface="wsgi"))
