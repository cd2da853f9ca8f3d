"""Finder that attributes descriptors to modules, in a fresh interpreter, in which sysconfig has not read its data."""

import subprocess
import sys

PROGRAM = """
from corn.worker.audit.openers import Openers
openers = Openers()
openers.begin()
import opener
openers.end()
print(openers.of(opener.held.fileno()))
"""


def test_module_may_open_file_and_then_ask_sysconfig(tmp_path):
    (tmp_path / "opener.py").write_text("import sysconfig\nheld = open(__file__)\nsysconfig.get_config_vars()\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False
    )
    assert (done.stdout, done.stderr) == ("opener\n", "")
