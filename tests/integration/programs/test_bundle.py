"""A PEX: a file with the program, corn and all libraries, which sets its own module path."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.corn_process import Served, write_app

pytestmark = pytest.mark.programs
START = """
import corn
if __name__ == "__main__":
    corn.run("shop:app", workers=2, port=0, lifespan="off")
"""
CHECKOUT = Path(__file__).parents[3]


def test_pex_with_two_workers_survives_crash_and_reload(tmp_path):
    if importlib.util.find_spec("pex") is None:
        pytest.skip("needs pex: make programs")
    (tmp_path / "src").mkdir()
    write_app(tmp_path / "src", "one", name="shop.py")
    (tmp_path / "src" / "start.py").write_text(START)
    build = [sys.executable, "-m", "pex", "--use-pip-config", CHECKOUT, "-D", "src", "-o", "app.pex", "-m", "start"]
    subprocess.run(build, cwd=tmp_path, check=True, timeout=300)
    empty = tmp_path / "empty"
    empty.mkdir()
    with Served(empty, program=[sys.executable, "-I", "../app.pex"], PEX_ROOT=str(tmp_path / "root")) as served:
        served.wait_ready()
        assert "2 workers, preload app" in served.output
        assert served.client().get().startswith("one ")
        served.workers()[0].kill()
        served.wait_for("replaced at once")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        assert served.client().get().startswith("one ")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert "Traceback" not in served.output
