"""Progress of a slow start in `corn dev`: the package that is being imported, and the slowest ones so far.

The master requests it with SIGWINCH, which is ignored by default: the handler runs in the main thread, between two
bytecodes of the import. Rejected: an observer thread. A program that forks while it is imported would receive a warning
(DeprecationWarning, Python 3.12), and it would slow down a fast start.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from corn.ipc.channel import Channel
from corn.ipc.messages import Progress
from corn.system.paths import is_library_file

_MAX_NAMED = 3
_OWN = "corn"


class StartProgress:
    """Answers the master's requests from `begin` to `end`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._seconds: dict[str, float] = {}
        self._last = 0.0

    def begin(self) -> None:
        self._last = time.monotonic()
        self._before = signal.signal(signal.SIGWINCH, self._answer)

    def end(self) -> None:
        if signal.getsignal(signal.SIGWINCH) == self._answer:  # the application has set none of its own
            signal.signal(signal.SIGWINCH, self._before)

    def _answer(self, number: int, frame: FrameType | None) -> None:
        del number
        now = time.monotonic()
        name = imported_now(frame)
        what = name or "lifespan start-up"
        self._seconds[what] = self._seconds.get(what, 0.0) + now - self._last
        self._last = now
        ordered = sorted(self._seconds.items(), key=lambda each: -each[1])
        slowest = [[each, round(seconds, 1)] for each, seconds in ordered[:_MAX_NAMED]]
        doing = f"importing {name}" if name else "waiting for the lifespan start-up"
        self._channel.send(Progress(doing, bool(name), slowest))


def imported_now(frame: FrameType | None) -> str:
    """Package that is imported at this frame, for libraries the one that the project has imported; "" for none."""
    own = ""
    library = ""
    for each in _module_frames(frame):
        name = str(each.f_globals.get("__name__", ""))
        if name.partition(".")[0] in (_OWN, "__main__"):
            continue
        if is_library_file(each.f_code.co_filename):
            library = name.partition(".")[0]
        else:
            own = own or name
    return library or own


def _module_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames that execute modules, innermost first."""
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            yield frame
        frame = frame.f_back


def docs_path(application: Any, root_path: str) -> str:
    """The path of an application's documentation page, "" where none is known."""
    path = getattr(application, "docs_url", None)  # FastAPI
    config = getattr(application, "openapi_config", None)  # Litestar
    if path is None and config is not None:
        path = getattr(config, "path", None) or getattr(getattr(config, "openapi_controller", None), "path", None)
        path = path or "/schema"
    return root_path.rstrip("/") + path if isinstance(path, str) and path.startswith("/") else ""
