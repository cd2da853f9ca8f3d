"""Programs with unusual start, patches or layout: served as they would run standalone."""

from __future__ import annotations

import os
import signal
import socket
import sys
import sysconfig
from pathlib import Path

import psutil
import pytest

import corn
from tests.support.corn_process import Served, write_app

CHECKOUT = str(Path(corn.__file__).parents[1])
HANGS = """
import os, time
def hang():
    time.sleep(3600)
os.register_at_fork(after_in_child=hang)
"""


def other_processes(served):
    """Processes of the service other than master, template and workers."""
    known = {served.pid, *(each.pid for each in (*served.workers(), *served.templates()))}
    others = [each for each in served.leftovers() if each.pid not in known and "sleep" not in served.name(each)]
    return [title for each in others if (title := served.title(each))]


def test_fork_hook_that_hangs_falls_back_to_preload_none(tmp_path):
    write_app(tmp_path, "one", more=HANGS)
    with Served(tmp_path, "main:app", "--port", "0", "--soak", "0", "--workers", "2").wait_ready() as served:
        served.wait_for(r"a hook on fork \(os.register_at_fork\) blocks forked processes")
        assert "preload none)" in served.output
        assert served.client().get().startswith("one ")
        assert other_processes(served) == []
        victim = served.workers()[0]
        victim.kill()
        served.wait_until(lambda: not victim.is_running() and len(served.workers()) == 2, "another worker")
        write_app(served.directory, "two", more=HANGS)
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        assert served.client().get().startswith("two ")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_debugger_waiting_for_client_does_not_block_start(tmp_path, command):
    write_app(tmp_path, "one")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = [sys.executable, "-Xfrozen_modules=off", "-m", "debugpy", "--listen", f"127.0.0.1:{port}", "-m", "corn"]
    with Served(tmp_path, command, "main:app", "--port", "0", program=program).wait_ready() as served:
        served.wait_for("a debugger's hook on fork blocks forked processes")
        assert served.client().get().startswith("one ")


AGENT = """
import os, sys, threading, time
BEATS = []
def beat():
    while True:
        BEATS.append(os.getpid())
        time.sleep(0.01)
def start():
    threading.Thread(target=beat, daemon=True, name="agent").start()
start()
"""
RESTARTED = "os.register_at_fork(after_in_child=start)\n"
BEATING = """
import sitecustomize

async def beating(scope, receive, send):
    body = b"%d" % (os.getpid() in sitecustomize.BEATS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": body})
"""


def serve_with_agent(directory, agent, *arguments):
    """`corn` with an agent in sitecustomize, as ddtrace-run and opentelemetry-instrument have one."""
    (directory / "agent").mkdir()
    (directory / "agent" / "sitecustomize.py").write_text(agent)
    write_app(directory, "one", more=BEATING)
    path = os.pathsep.join([str(directory / "agent"), CHECKOUT])
    program = [sys.executable, "-m", "corn"]
    return Served(directory, *arguments, program=program, PYTHONPATH=path, XDG_CACHE_HOME=str(directory)).wait_ready()


@pytest.mark.parametrize("command", ["serve", "dev", "serve --preload none"])
def test_agent_thread_of_sitecustomize_runs_in_worker(tmp_path, command):
    command, *options = command.split()
    with serve_with_agent(tmp_path, AGENT, command, "main:beating", "--port", "0", *options) as served:
        served.wait_for(
            r"a thread of sitecustomize or a \.pth file \(agent\) would be missing in forked processes: each"
        )
        served.wait_until(lambda: served.client().get() == "1", "the thread runs in the worker")


def test_agent_that_restarts_its_thread_keeps_preload_app(tmp_path):
    with serve_with_agent(tmp_path, AGENT + RESTARTED, "serve", "main:beating", "--port", "0") as served:
        assert "preload app)" in served.output
        served.wait_until(lambda: served.client().get() == "1", "the thread runs in the worker")


PATCHED = "from gevent import monkey\nmonkey.patch_all()\n"


def test_gevent_patched_application_is_refused(tmp_path):
    write_app(tmp_path, "one")
    (tmp_path / "main.py").write_text(PATCHED + (tmp_path / "main.py").read_text())
    for mode in ("app", "none"):
        with Served(tmp_path, "main:app", "--port", "0", "--preload", mode) as served:
            assert served.wait_exit() == 3
            assert "main: gevent.monkey has patched the standard library; corn runs on asyncio" in served.output
            assert "Traceback" not in served.output and "internal error" not in served.output


def test_gevent_patched_program_is_refused_in_one_line(tmp_path):
    write_app(tmp_path, "one")
    (tmp_path / "run.py").write_text(PATCHED + "import corn\ncorn.run('main:app', port=0)\n")
    with Served(tmp_path, program=[sys.executable, "run.py"]) as served:
        assert served.wait_exit() == 2
        assert served.output.startswith("corn: gevent.monkey has patched the standard library")
        assert len(served.output.splitlines()) == 1


RUN = "\nif __name__ == '__main__':\n    import corn\n    corn.run('{app}', workers=2, port=0)\n"


def test_program_in_own_directory_finds_application(tmp_path):
    source = tmp_path / "src"
    source.mkdir()
    (source / "shop.py").write_text("NAME = 'one'\n")
    write_app(source, "one", more="import shop\n" + RUN.format(app="main:app"))
    with Served(tmp_path, program=[sys.executable, "src/main.py"]).wait_ready() as served:
        assert served.client().get().startswith("one ")
        assert len(served.workers()) == 2


def test_program_with_own_sys_path_is_served(tmp_path):
    bundle = tmp_path / "bundle"
    (bundle / "app").mkdir(parents=True)
    (bundle / "vendored").mkdir()
    (bundle / "vendored" / "library.py").write_text("")
    write_app(bundle / "app", "one", name="site_app.py", more="import library\n")
    start = f"import sys\nsys.path[:0] = [{str(bundle / 'app')!r}, {str(bundle / 'vendored')!r}]\n"
    for more in (RUN.format(app="site_app:app"), "from corn.cli.main import main\nmain()\n"):
        (tmp_path / "start.py").write_text(start + more)
        arguments = ("serve", "site_app:app", "--port", "0") if "cli" in more else ()
        with Served(tmp_path, *arguments, program=[sys.executable, "start.py"]).wait_ready() as served:
            assert served.client().get().startswith("one ")


def test_bundle_with_own_libraries_is_served(tmp_path):
    (tmp_path / "app").mkdir()
    write_app(tmp_path / "app", "one", name="site_app.py")
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path(corn.__file__).parents[1])}
    start = f"import sys\nsys.path[:0] = {[str(tmp_path / 'app'), *libraries]!r}\n"
    (tmp_path / "start.py").write_text(start + RUN.format(app="site_app:app"))
    with Served(tmp_path, program=[sys.executable, "-I", "-S", "start.py"]).wait_ready() as served:
        assert served.client().get().startswith("one ")


@pytest.mark.parametrize("flags", [["-P"], ["-I"], ["-P", "-O"]] if sys.version_info >= (3, 11) else [["-I"]])
def test_safe_path_flags_keep_application_importable(tmp_path, flags):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0", program=[sys.executable, *flags, "-m", "corn", "serve"]) as served:
        served.wait_ready()
        assert served.client().get().startswith("one ")


MOVES = "import os\nos.makedirs('elsewhere', exist_ok=True)\nos.chdir('elsewhere')\n"


@pytest.mark.parametrize("mode", ["app", "none"])
def test_option_paths_are_relative_to_start_directory(tmp_path, mode):
    write_app(tmp_path, "one", more=MOVES)
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "page.txt").write_text("static")
    (tmp_path / "hooks.py").write_text("def post_fork(info): print('hooked', flush=True)\n")
    arguments = ("--access-log-file", "access.log", "--static", "/files=public", "--hooks", "hooks.py")
    with Served(tmp_path, "main:app", "--port", "0", "--preload", mode, *arguments).wait_ready() as served:
        assert served.client().get("/files/page.txt") == "static"
        assert served.client().get().startswith("one ")
        served.wait_for("hooked")
        served.wait_until(lambda: "GET /" in (tmp_path / "access.log").read_text(), "the access log")
    assert os.listdir(tmp_path / "elsewhere") == []


LOG_CONFIG = """
version = 1
[formatters.own]
"()" = "shop.Formatter"
[handlers.out]
class = "logging.StreamHandler"
formatter = "own"
[root]
level = "INFO"
handlers = ["out"]
"""


@pytest.mark.parametrize("mode", ["app", "deps", "none"])
def test_log_config_may_name_project_classes(tmp_path, mode):
    (tmp_path / "log.toml").write_text(LOG_CONFIG)
    source = tmp_path / "src"
    source.mkdir()
    (source / "shop.py").write_text(
        "import logging\nclass Formatter(logging.Formatter):\n    def format(self, record):\n"
        "        return 'own ' + record.getMessage()\n"
    )
    write_app(source, "one")
    arguments = ("--app-dir", "src", "--log-config", "log.toml", "--preload", mode)
    with Served(tmp_path, "main:app", "--port", "0", *arguments).wait_ready() as served:
        served.client().get("/logged")
        served.wait_for("^own .*GET /logged")


def test_stop_leaves_no_process(tmp_path):
    write_app(tmp_path, "one", more=HANGS)
    with Served(tmp_path, "main:app", "--port", "0").wait_ready() as served:
        pids = [each.pid for each in psutil.Process(served.pid).children(recursive=True)]
        served.signal(signal.SIGTERM)
        served.wait_exit()
        assert not any(map(psutil.pid_exists, pids))
