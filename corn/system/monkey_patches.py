"""Monkey patches of the standard library, as gevent and eventlet make them."""

from __future__ import annotations

import sys

_PARTS = ("socket", "select", "os", "thread")


def monkey_patcher() -> str:
    """Library that replaced the standard library's sockets and threads by cooperative ones; "" for none."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and any(gevent.is_module_patched(name) for name in _PARTS):
        return "gevent.monkey has patched the standard library"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and any(map(eventlet.is_monkey_patched, _PARTS)):
        return "eventlet has patched the standard library"
    return ""
