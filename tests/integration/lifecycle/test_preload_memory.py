"""Preload modes that are remembered across starts and reloads."""

import signal

import pytest

from tests.support.corn_process import Served, write_app

THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
"""


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one", more=THREAD)
    return tmp_path


def start(app_dir, **environment):
    environment = {"XDG_CACHE_HOME": str(app_dir / "cache")} | environment
    return Served(app_dir, "main:app", "--port", "0", "--soak", "0", **environment).wait_ready()


def stepped_down(served):
    return served.output.count("not safe to fork with")


def test_preload_mode_is_remembered_until_code_changes(app_dir):
    with start(app_dir) as served:
        assert stepped_down(served) == 1
        served.wait_for("preload deps")
    with start(app_dir) as served:
        assert stepped_down(served) == 0
        served.wait_for("using --preload deps: .*main.* was not safe to fork before")
        assert served.client().get().startswith("one ")
        write_app(app_dir, "two")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2")
        assert served.client().get().startswith("two ")
    with start(app_dir) as served:
        served.wait_for("preload app")


def test_preload_mode_without_cache_is_remembered_across_reloads(app_dir):
    (app_dir / "cache").write_text("no directory")
    with start(app_dir) as served:
        for generation in (2, 3):
            served.signal(signal.SIGHUP)
            served.wait_for(f"reloaded: generation {generation}")
        assert stepped_down(served) == 1
        assert "Traceback" not in served.output
