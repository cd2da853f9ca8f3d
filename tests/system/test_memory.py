"""Memory of this process: how much of it malloc(3) keeps."""

import os
import platform
import subprocess
import sys

import pytest

# The blocks of an iteration are at the end of the heap: nothing is allocated behind them.
PROGRAM = """
import resource, sys
from corn.system.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def iteration():
    return [b"".join((b"x" * 100, BODY)) for _ in range(64)] and None

BODY = b"y" * 12_000
for _ in range(10):
    iteration()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    iteration()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    line = [sys.executable, "-c", PROGRAM, mode]
    return int(subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no M_TRIM_THRESHOLD")
def test_freed_memory_is_reused_without_page_faults():
    assert page_faults("give back") > 1000
    assert page_faults("keep") < 100
