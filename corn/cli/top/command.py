"""Main loop of `corn top`: connects the keys, the instance and the screen."""

from __future__ import annotations

import time
from collections import deque
from queue import Empty
from typing import TYPE_CHECKING

import click

from corn.cli.control.client import InstanceSelector, find, means_instance
from corn.cli.top.keys import Interaction
from corn.cli.top.model import KEPT, Sample, View, view_of
from corn.errors import ConfigError

if TYPE_CHECKING:
    from corn.cli.top.poller import News, Watch
    from corn.cli.top.terminal import Terminal

_SHOWN_FOR = 10.0  # seconds that the outcome of an order is shown
_TURN = 0.2  # seconds until a reply, a signal or a resize of the terminal is noticed


@click.command(short_help="Watch an instance live.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 60.0),
    default=1.0,
    metavar="SECONDS",
    show_default=True,
    help="Refresh interval.",
)
@means_instance
def top(*, choice: InstanceSelector, interval: float) -> int:
    """Watch an instance and its workers live, and reload, scale, drain or restart by single keys, which it explains.

    Rates are those of the last interval, latencies and errors of the last ten. If the instance exits, it waits for it.
    """
    try:
        from corn.cli.top.terminal import Terminal
    except ImportError:
        raise ConfigError("corn top needs rich, the extra 'top': pip install rich") from None
    from corn.cli.top.poller import Watch

    terminal = Terminal()
    watch = Watch(find(choice), interval)
    try:
        with terminal:
            _Session(terminal, watch).run()
    except OSError:
        return 1  # the terminal has hung up, as after a lost connection, so no message can be shown
    return 0


class _Session:
    def __init__(self, terminal: Terminal, watch: Watch) -> None:
        self._terminal, self._watch = terminal, watch
        self._person = Interaction()
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._view: View | None = None
        self._lost = ""
        self._forget_at: float | None = None

    def run(self) -> None:
        shown: object = None
        while not (self._person.is_over or self._terminal.is_ended):
            heard = self._listen()
            heard = self._forget() or heard
            if heard or shown != self._terminal.size:
                shown = self._terminal.size
                self._draw()
            keys = self._terminal.keys(_TURN)
            for key in keys:
                self._press(key)
            shown = None if keys else shown

    def _draw(self) -> None:
        from corn.cli.top.view import BLOCKS, PLAIN, Area, lines

        width, height = self._terminal.size
        area = Area(width, height, BLOCKS if self._terminal.has_blocks else PLAIN, self._lost)
        self._terminal.show(lines(self._view, self._person, area))

    def _press(self, key: str) -> None:
        view = self._view
        rows = [(row.worker, row.slot) for row in view.rows] if view else []
        order = self._person.press(key, rows, view.refused.key if view and view.refused else None)
        if order is not None:
            self._person.said, self._forget_at = f"{order.do} ...", None
            self._watch.carry(order)

    def _listen(self) -> bool:
        """Handle the news of the poller; True if there were any."""
        count = 0
        while True:
            try:
                self._hear(self._watch.news.get_nowait())
            except Empty:
                return count > 0
            count += 1

    def _hear(self, news: News) -> None:
        from corn.cli.top.poller import Lost, Page

        if isinstance(news, Sample):
            if self._samples and self._samples[-1].status["pid"] != news.status["pid"]:
                self._samples.clear()  # another master counts from the start
            self._samples.append(news)
            self._view, self._lost = view_of(tuple(self._samples)), ""
        elif isinstance(news, Lost):
            self._lost = news
        elif isinstance(news, Page):
            self._person.show(news)
        else:
            self._person.said = news
            self._forget_at = time.monotonic() + _SHOWN_FOR

    def _forget(self) -> bool:
        """Take an outcome that has been shown for long enough from the screen; True if there was one."""
        if self._forget_at is None or self._forget_at > time.monotonic():
            return False
        self._forget_at = None
        self._person.said = ""
        return True
