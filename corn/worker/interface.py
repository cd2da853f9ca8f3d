"""Which calling convention an application has, and how one that is not ASGI 3 is called like one."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from corn.worker.asgi import ASGIApplication, Receive, Scope, Send

ASGI2Application = Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]


def as_asgi3(app: Any, interface: str) -> ASGIApplication:
    """The application as corn calls it. With `auto`, one that takes the scope alone is ASGI 2."""
    if interface == "asgi2" or (interface == "auto" and _takes_the_scope_alone(app)):
        return _asgi2(app)
    return cast("ASGIApplication", app)


def _takes_the_scope_alone(app: Any) -> bool:
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        return False
    return not _binds(signature, 3) and _binds(signature, 1)


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
