"""Signal handlers of the application, as a template records them and a worker takes them over."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import faulthandler, json, os, signal
from corn.system.process import BY_TEMPLATES, ignore_group_signals
from corn.worker.audit.signal_handlers import SignalHandlers

ignore_group_signals(BY_TEMPLATES)
handlers = SignalHandlers()
handlers.begin()
def own(number, frame): pass
{source}
handlers.end()
after = [name for name in ("SIGUSR1", "SIGTERM", "SIGALRM") if signal.getsignal(getattr(signal, name)) is own]
handlers.restore()
restored = [name for name in ("SIGUSR1", "SIGTERM", "SIGALRM") if signal.getsignal(getattr(signal, name)) is own]
print(json.dumps([sorted(handlers.set_in_c), after, restored]))
"""


def outcome(source):
    """Signals with C handlers, those with the application's after the import, and those restored."""
    program = [sys.executable, "-c", PROGRAM.format(source=source)]
    return json.loads(subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout)


def test_unset_handlers_stay():
    assert outcome("import decimal, xmlrpc.client") == [[], [], []]


@pytest.mark.skipif(sys.platform != "linux", reason="known by sigaction(2) of Linux")
def test_c_handlers_are_known():
    assert outcome("faulthandler.register(signal.SIGUSR2)") == [[12], [], []]


def test_handlers_are_undone_in_template_and_restored_in_worker():
    source = "for each in (signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM): signal.signal(each, own)"
    assert outcome(source) == [[], [], ["SIGUSR1", "SIGALRM"]]
