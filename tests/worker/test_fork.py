"""The two forks of a template, in processes of their own."""

from __future__ import annotations

import os

from corn.worker.forking import fork


def test_middle_process_whose_template_is_gone_exits():
    """Its report fails with EPIPE. Were it to return, it would go on with what the template does."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            gone, _ = os.pipe()
            os.close(reader)
            fork._be_middle(lambda: os._exit(0), gone, writer)
        finally:
            os._exit(42)
    os.close(reader)
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
