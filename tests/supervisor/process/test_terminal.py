"""Keys that are read from a terminal which other processes read too."""

import sys

import pytest

from tests.support.shell import shell_in

READER = """
import os, selectors
from corn.supervisor.process.terminal import Terminal

terminal, selector, keys = Terminal(), selectors.DefaultSelector(), []
terminal.watch(selector, lambda: None)
terminal.read_keys(keys.append)
print("reader-is-waiting")
[(reported, _)] = selector.select()
print("taken", os.read(0, 64))  # as a debugger in a worker does
reported.data(selectors.EVENT_READ)
assert keys == [] and terminal.reads_keys and os.get_blocking(0)
print("reader-continues")
[(reported, _)] = selector.select()
reported.data(selectors.EVENT_READ)
print("received", keys)
terminal.close()
"""


@pytest.mark.parametrize("prefix", ["", "setsid --wait"], ids=["controlling", "other"])
def test_key_taken_by_another_process_does_not_block(tmp_path, prefix):
    (tmp_path / "reader.py").write_text(READER)
    with shell_in(tmp_path) as shell:
        shell.run(f"{prefix} {sys.executable} reader.py")
        shell.wait_for("reader-is-waiting")
        shell.type("c")
        shell.wait_for(r"taken b'c'\s+reader-continues")
        shell.type("r")
        shell.wait_for(r"received \['r'\]")
