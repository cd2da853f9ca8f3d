"""Output of `corn stacks`."""

from pathlib import Path

import corn
from corn.cli.control.diagnostics import format_own_stacks, format_stacks

PACKAGE = Path(corn.__file__).parent
STACKS = f"""Current thread 0x1 (most recent call first):
  File "{PACKAGE}/server/asgi/cycle.py", line 35 in run
  File "{PACKAGE}/server/asgi/cycle.py", line 35 in send
  File "/srv/shop/main.py", line 13 in app
  File "{PACKAGE}/worker/process.py", line 1 in main
  File "<string>", line 6 in <module>
Task request
  File "{PACKAGE}/server/asgi/cycle.py", line 90, in run
    await self.app()
  File "/srv/shop/corn/main.py", line 11, in app
    await asyncio.sleep(30)
"""
ANSWER = {"workers": [{"slot": 0, "generation": 1, "pid": 2, "stage": "ready", "stacks": STACKS}]}


def test_stacks_omit_frames_of_corn():
    assert format_own_stacks(ANSWER).splitlines() == [
        "worker 0 (generation 1, pid 2), ready",
        "Current thread 0x1 (most recent call first):",
        "  ... 2 frames of corn",
        '  File "/srv/shop/main.py", line 13 in app',
        "  ... 2 frames of corn",
        "Task request",
        "  ... 1 frame of corn",
        '  File "/srv/shop/corn/main.py", line 11, in app',
        "    await asyncio.sleep(30)",
    ]


def test_stacks_option_all_shows_each_frame():
    assert format_stacks(ANSWER).count(str(PACKAGE)) == 4
