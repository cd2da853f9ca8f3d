"""How a failure looks to those who ask the application while it is broken, and in the terminal."""

from __future__ import annotations

from corn.failure import Failure


def render(failure: Failure, accept: str) -> tuple[str, bytes]:
    """The content type and the body that tell of a failure to a client that sent `accept` (RFC 9110, 12.5.1)."""
    del accept
    return "text/plain; charset=utf-8", (terminal_text(failure, color=False) + "\n").encode()


def terminal_text(failure: Failure, *, color: bool) -> str:
    """The same for a terminal: the message, and the traceback where there is one."""
    del color
    return f"{failure.message}\n{failure.traceback}".rstrip()
