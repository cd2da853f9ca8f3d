"""Double fork of a template."""

from __future__ import annotations

import os

from corn.worker.forking import fork


def test_intermediate_process_of_lost_template_exits():
    """Its report fails with EPIPE; if it returned, it would continue as the template."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            gone, _ = os.pipe()
            os.close(reader)
            fork._run_middle_process(lambda: os._exit(0), gone, writer)
        finally:
            os._exit(42)
    os.close(reader)
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
