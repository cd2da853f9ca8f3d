"""Main loop of `corn top`: connects the keys, the instance and the screen."""

from __future__ import annotations

import time
from collections import deque
from queue import Empty
from typing import TYPE_CHECKING

import click

from corn.cli.control.client import InstanceSelector, find, with_selector
from corn.cli.top.keys import Interaction
from corn.cli.top.model import KEPT, Sample, View, view_of
from corn.packages import import_package

if TYPE_CHECKING:
    from corn.cli.top.poller import Poller, Update
    from corn.cli.top.terminal import Terminal

_MESSAGE_SECONDS = 10.0  # seconds that the outcome of a request is shown
_KEY_TIMEOUT = 0.2  # seconds until a reply, a signal or a resize of the terminal is noticed


@click.command(short_help="Watch an instance live.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 60.0),
    default=1.0,
    metavar="SECONDS",
    show_default=True,
    help="Refresh interval.",
)
@with_selector
def top(*, selector: InstanceSelector, interval: float) -> int:
    """Watch an instance and its workers live, and reload, scale, drain or restart by single keys, which it explains.

    Rates are those of the last interval, latencies and errors of the last ten. If the instance exits, it waits for it.
    """
    import_package("rich.console", "corn top", extra="top")
    from corn.cli.top.poller import Poller
    from corn.cli.top.terminal import Terminal

    terminal = Terminal()
    poller = Poller(find(selector), interval)
    # If the terminal has hung up, as after a lost connection, no message can be shown.
    return 0 if terminal.run(_Session(terminal, poller).run) else 1


class _Session:
    def __init__(self, terminal: Terminal, poller: Poller) -> None:
        self._terminal, self._poller = terminal, poller
        self._interaction = Interaction()
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._view: View | None = None
        self._lost = ""
        self._clear_at: float | None = None

    def run(self) -> None:
        shown: object = None
        while not (self._interaction.is_over or self._terminal.is_ended):
            has_updates = self._receive_updates()
            has_updates = self._clear_message() or has_updates
            if has_updates or shown != self._terminal.size:
                shown = self._terminal.size
                self._draw()
            keys = self._terminal.keys(_KEY_TIMEOUT)
            for key in keys:
                self._press(key)
            shown = None if keys else shown

    def _draw(self) -> None:
        from corn.cli.top.view import BLOCKS, PLAIN, Area, lines

        width, height = self._terminal.size
        area = Area(width, height, BLOCKS if self._terminal.has_blocks else PLAIN, self._lost)
        self._terminal.show(lines(self._view, self._interaction, area))

    def _press(self, key: str) -> None:
        view = self._view
        rows = [(row.worker, row.slot) for row in view.rows] if view else []
        request = self._interaction.press(key, rows, view.refused.key if view and view.refused else None)
        if request is not None:
            self._interaction.message, self._clear_at = f"{request.do} ...", None
            self._poller.send(request)

    def _receive_updates(self) -> bool:
        """Handle the updates of the poller; True if there were any."""
        count = 0
        while True:
            try:
                self._handle_update(self._poller.updates.get_nowait())
            except Empty:
                return count > 0
            count += 1

    def _handle_update(self, update: Update) -> None:
        from corn.cli.top.poller import Lost, Page

        if isinstance(update, Sample):
            if self._samples and self._samples[-1].status["pid"] != update.status["pid"]:
                self._samples.clear()  # another master counts from the start
            self._samples.append(update)
            self._view, self._lost = view_of(tuple(self._samples)), ""
        elif isinstance(update, Lost):
            self._lost = update
        elif isinstance(update, Page):
            self._interaction.show(update)
        else:
            self._interaction.message = update
            self._clear_at = time.monotonic() + _MESSAGE_SECONDS

    def _clear_message(self) -> bool:
        """Clear an outcome that has been shown for long enough; True if there was one."""
        if self._clear_at is None or self._clear_at > time.monotonic():
            return False
        self._clear_at = None
        self._interaction.message = ""
        return True
