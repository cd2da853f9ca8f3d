"""Exit flag of a draining worker, in the form in which libraries for uvicorn read it.

sse-starlette, and the MCP servers built on it, take the handler of SIGTERM for a method of a uvicorn.Server
(`signal.getsignal`) and end their streams once its `should_exit` is true. With a handler of the same shape they do so
here, in a reload as in a stop.
"""

from __future__ import annotations

import signal
from types import FrameType

from corn.lifecycle import draining


class ExitFlag:
    """Object whose method handles SIGTERM, beside the event loop."""

    @property
    def should_exit(self) -> bool:
        return draining()

    def install(self) -> None:
        """Set the handler; the loop, which already has one, receives the signal through its wakeup descriptor."""
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.siginterrupt(signal.SIGTERM, False)  # signal.signal has reset it

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        """Do nothing: the event loop calls its own handler."""
