"""corn dev with applications that hold an exclusive resource until they exit."""

import pytest

from tests.support.dev_project import Developed, save, source
from tests.support.free_ports import free_port

LOCK = """
import fcntl
held = open("database", "w")
fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""
PORT = """
import socket
held = socket.create_server(("127.0.0.1", {port}))
"""
SLOW_TO_EXIT = (
    LOCK
    + """
import atexit, time
atexit.register(time.sleep, 0.3)
"""
)
EXITS = """
import fcntl
held = open("database", "w")
try:
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    import os
    os._exit(1)
"""


@pytest.mark.parametrize("before", [LOCK, PORT, SLOW_TO_EXIT, EXITS], ids=["lock", "port", "slow-to-exit", "exits"])
def test_exclusive_resource_at_import_is_available_after_save(project, before):
    before = before.replace("{port}", str(free_port()))
    (project / "main.py").write_text(source("one", before=before))
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("one")
        for version in ("two", "six", "ten", "two"):
            mark = served.mark()
            save(project / "main.py", source(version, before=before))
            served.wait_for(r"reloaded in", since=mark)
            assert served.client().get() == version
        assert "failed to start" not in served.output


def test_exclusive_lock_in_lifespan_is_available_after_save(project):
    before = "import fcntl; held = open('database', 'w')"
    lifespan = "fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    (project / "main.py").write_text(source("one", before=before, lifespan=lifespan))
    with Developed(project).wait_ready() as served:
        for version in ("two", "six"):
            mark = served.mark()
            save(project / "main.py", source(version, before=before, lifespan=lifespan))
            served.wait_for(r"reloaded in", since=mark)
            assert served.client().get() == version
        assert "failed to start" not in served.output


def test_failing_code_with_exclusive_resource_shows_error(project):
    (project / "main.py").write_text(source("one", before=LOCK))
    with Developed(project).wait_ready() as served:
        save(project / "main.py", source("two", before=LOCK + "raise ValueError('too bad')"))
        served.wait_for_failure("ValueError: too bad")
        save(project / "main.py", source("two", before=LOCK))
        served.wait_for_answer("two")
