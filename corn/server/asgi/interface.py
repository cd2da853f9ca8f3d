"""Detection of an application's calling convention, and adaptation to ASGI 3.

    app(scope, receive, send)          asgi3    a coroutine function always is one
    app(environ, start_response)       wsgi     PEP 3333; a class too, whose instances are the responses
    app(scope)                         asgi2    a class too, whose instances take receive and send

The signature decides. For a decorator with `*args` it is the signature of the decorated function. A decorator that is
not asynchronous and changes the arguments belongs to WSGI (werkzeug's `Request.application`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from corn.config import Config
from corn.errors import ConfigError
from corn.server.asgi.types import ASGIApplication, Receive, Scope, Send

ASGI2Application = Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]


_ARGUMENTS = {"asgi3": ("scope", "receive", "send"), "asgi2": ("scope",), "wsgi": ("environ", "start_response")}


def check_interface(app: Any, config: Config) -> None:
    """Raise ConfigError if the application cannot be called by the detected or the configured interface."""
    try:
        signature = inspect.signature(app, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    if _takes_any_number(signature):
        return
    what = f"what the factory {config.app} returned" if config.factory else str(config.app)
    if config.interface == "auto" and _binds(signature, 0):
        advice = "" if config.factory else "; add --factory if it makes an application"
        raise ConfigError(f"{what} takes no arguments, which an application does{advice}")
    interface = interface_of(app) if config.interface == "auto" else config.interface
    arguments = _ARGUMENTS[interface]
    if not _binds(signature, len(arguments)):
        advice = "" if config.interface == "auto" else f"; it looks like {interface_of(app)}"
        raise ConfigError(f"{what} cannot be called as {interface}, with ({', '.join(arguments)}){advice}")


def as_asgi3(app: Any, config: Config, on_stuck: Callable[[str], None]) -> ASGIApplication:
    """Adapt the application to ASGI 3; to be called in a worker. `on_stuck`: see `corn.server.wsgi.adapter`."""
    interface = interface_of(app) if config.interface == "auto" else config.interface
    if interface == "wsgi":
        from corn.server.wsgi.adapter import WSGI

        return WSGI(
            app,
            config.wsgi_threads,
            on_stuck,
            header_map=config.wsgi_header_map,
            buffer=config.wsgi_buffer_body,
        )
    return _asgi2(app) if interface == "asgi2" else cast("ASGIApplication", app)


def interface_of(app: Any) -> str:
    """Detected interface: `asgi3`, `asgi2` or `wsgi`; asgi3 if it cannot be detected, as with code written in C."""
    if _is_asynchronous(app):
        return "asgi3"
    try:
        own, inner = inspect.signature(app, follow_wrapped=False), inspect.signature(app)
    except (TypeError, ValueError):
        return "asgi3"
    if not _takes_any_number(own):
        return _by_arguments(own)
    if _takes_any_number(inner):
        return "asgi3"
    return "asgi3" if _by_arguments(inner) == "asgi3" else "wsgi"


def _is_asynchronous(app: Any) -> bool:
    while isinstance(app, functools.partial):
        app = app.func
    call = app if inspect.isroutine(app) else getattr(app, "__call__", None)  # noqa: B004 - the method itself is inspected
    return not inspect.isclass(app) and inspect.iscoroutinefunction(call)


def _takes_any_number(signature: inspect.Signature) -> bool:
    return any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values())


def _by_arguments(signature: inspect.Signature) -> str:
    if _binds(signature, 2):
        return "wsgi"
    return "asgi2" if _binds(signature, 1) and not _binds(signature, 3) else "asgi3"


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _asgi2(app: ASGI2Application) -> ASGIApplication:
    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    return asgi3
