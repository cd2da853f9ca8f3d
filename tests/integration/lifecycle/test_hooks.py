"""Hooks and after_fork in a real service: their process, their order, and their failures."""

from __future__ import annotations

import signal

import psutil
import pytest

from tests.support.corn_process import Served, write_app
from tests.support.http_client import Load

ALL = """
import os

def _logged(name):
    def hook(info):
        where = open("/proc/self/comm").read().strip() if os.path.exists("/proc") else ""
        os.write(1, f"HOOK {name} {info} in {where}\\n".encode())
    return hook

for _name in ("on_starting", "when_ready", "on_reload", "reload_done", "reload_failed", "worker_ready", "child_exit",
              "nworkers_changed", "on_exit", "pre_fork", "post_fork", "post_worker_init", "worker_exit"):
    globals()[_name] = _logged(_name)
"""


@pytest.fixture
def app_dir(tmp_path):
    write_app(tmp_path, "one")
    (tmp_path / "hooks.py").write_text(ALL)
    return tmp_path


def serve(app_dir, *arguments):
    return Served(app_dir, "main:app", "--port", "0", "--soak", "0", "--hooks", "hooks.py", *arguments)


def called_hooks(served):
    """Names of the hooks, in call order."""
    return [line.split()[1] for line in served.output.splitlines() if line.startswith("HOOK ")]


def hooks_processes(served):
    return served.named("corn hooks")


def test_hooks_run_in_their_process(app_dir):
    with serve(app_dir).wait_ready() as served:
        served.wait_for("HOOK when_ready ServiceInfo.*in corn hooks")
        served.wait_for("HOOK pre_fork .*in corn template")
        served.wait_for("HOOK post_fork .*in corn worker 0")
        served.wait_for("HOOK post_worker_init .*in corn worker 0")
        served.signal(signal.SIGHUP)
        served.wait_for(r"HOOK reload_done ReloadInfo\(generation=2")
        served.wait_for(r"HOOK worker_exit WorkerInfo\(slot=0, generation=1.*in corn worker 0")
        served.wait_for(r"HOOK child_exit WorkerInfo\(slot=0, generation=1, pid=\d+, reason='reload'\) in corn hooks")
        served.signal(signal.SIGTTIN)
        served.wait_for(r"HOOK nworkers_changed ScaleInfo\(before=1, now=2\)")
        served.wait_for(r"HOOK worker_ready WorkerInfo\(slot=1")
        (app_dir / "main.py").write_text("1 / 0")
        served.signal(signal.SIGHUP)
        served.wait_for(r"HOOK reload_failed ReloadInfo\(generation=3, error='main could not be imported: ZeroDivision")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []
        of_master = [
            name for name in called_hooks(served) if name in ("on_starting", "worker_ready", "when_ready", "on_reload")
        ]
        assert of_master[:4] == ["on_starting", "worker_ready", "when_ready", "on_reload"]
        assert called_hooks(served)[-1] == "on_exit"


RAISING = """
def _fail(info):
    raise RuntimeError("oh no")

on_starting = when_ready = on_reload = reload_done = worker_ready = child_exit = on_exit = _fail
pre_fork = post_fork = post_worker_init = worker_exit = _fail
"""


def test_failing_hooks_are_reported_and_service_continues(app_dir):
    (app_dir / "hooks.py").write_text(RAISING)
    with serve(app_dir).wait_ready() as served, Load(served.address) as load:
        for name in ("on_starting", "worker_ready", "when_ready", "pre_fork", "post_fork", "post_worker_init"):
            served.wait_for(f"hook {name} failed: RuntimeError: oh no")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_for("hook reload_done failed")
        served.wait_for("hook worker_exit failed")
        load.stop()
        assert load.failures == []
        assert "in _fail" in served.output
        assert "/corn/" not in served.output.partition("hook when_ready failed")[2].partition("INFO")[0]
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0


HANGING = """
import os

def when_ready(info):
    os.write(1, f"HOOK when_ready in {os.getpid()}\\n".encode())
    while True:
        pass

def on_reload(info):
    os._exit(7)

def reload_done(info):
    os.write(1, f"HOOK reload_done {info}\\n".encode())
"""


def test_hanging_or_exiting_hook_is_reported_and_next_ones_run(app_dir):
    (app_dir / "hooks.py").write_text(HANGING)
    with serve(app_dir, "--timeout-hook", "1").wait_ready() as served:
        first = int(served.wait_for(r"HOOK when_ready in (\d+)")[1])
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_for(r"hooks.py\", line [67] in when_ready")
        served.wait_for(r"hook when_ready killed: it exceeded --timeout-hook \(1 s\)")
        served.wait_for("hook on_reload (ended the hooks process: exited with code 7|killed: it exceeded)")
        served.wait_for(r"HOOK reload_done ReloadInfo\(generation=2")
        assert served.client().get().startswith("one ")
        served.wait_until(lambda: not psutil.pid_exists(first), "the end of the hooks process that hung")
        served.signal(signal.SIGHUP)
        served.wait_for(r"HOOK reload_done ReloadInfo\(generation=3")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []


ONE_AFTER_ANOTHER = """
import os, time

def worker_ready(info):
    os.write(1, f"HOOK worker_ready in {os.getpid()}\\n".encode())
    while not os.path.exists("go"):
        time.sleep(0.01)

def when_ready(info):
    time.sleep(3600)
"""


def test_timeout_of_hook_is_reported_by_master_that_was_late(app_dir):
    (app_dir / "hooks.py").write_text(ONE_AFTER_ANOTHER)
    with serve(app_dir, "--timeout-hook", "4").wait_ready() as served:
        process = psutil.Process(int(served.wait_for(r"HOOK worker_ready in (\d+)")[1]))
        served.signal(signal.SIGTTIN)
        served.wait_for("scaling from 1 to 2 workers")  # so when_ready has been sent to the hooks process
        served.signal(signal.SIGSTOP)
        (app_dir / "go").touch()
        served.wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, "the end of the hooks process")
        served.signal(signal.SIGCONT)
        served.wait_for(r"hook when_ready killed: it exceeded --timeout-hook \(4 s\)")


def test_killed_hooks_process_is_restarted_on_demand(app_dir):
    with serve(app_dir).wait_ready() as served:
        served.wait_for("HOOK when_ready")
        (first,) = hooks_processes(served)
        first.kill()
        served.wait_until(lambda: not first.is_running(), "its end")
        served.signal(signal.SIGTTIN)
        served.wait_for("HOOK nworkers_changed")
        assert served.client().get().startswith("one ")


SLOW_TO_LOAD = """
import time

time.sleep(2.5)

def when_ready(info):
    print("HOOK when_ready", flush=True)

def on_exit(info):
    print("HOOK on_exit", flush=True)
"""


def test_hook_timeout_excludes_load_of_hooks_process(app_dir):
    """The timeout of a hook is not counted from the start of its process."""
    (app_dir / "hooks.py").write_text(SLOW_TO_LOAD)
    with serve(app_dir, "--timeout-hook", "1").wait_ready() as served:
        served.wait_for("^HOOK when_ready")
        (first,) = hooks_processes(served)
        first.kill()
        served.wait_until(lambda: not first.is_running(), "its end")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert "HOOK on_exit" in served.output, served.output


def test_hooks_process_exits_with_master(app_dir):
    (app_dir / "hooks.py").write_text(
        "import time\ndef when_ready(info):\n    print('HOOK', flush=True)\n    time.sleep(99)"
    )
    with serve(app_dir, "--timeout-hook", "60").wait_ready() as served:
        served.wait_for("^HOOK")
        served.process.kill()
        served.wait_until(lambda: not served.leftovers(), "all gone")


def test_hooks_process_without_hooks_exits(app_dir):
    (app_dir / "hooks.py").write_text("def post_fork(info):\n    print('HOOK post_fork', flush=True)\n")
    with serve(app_dir).wait_ready() as served:
        served.wait_for("HOOK post_fork")
        served.wait_until(lambda: served.names() == {"corn template", "corn worker 0"}, "no hooks process")


@pytest.mark.parametrize("preload", ["app", "deps", "none"])
def test_invalid_hooks_file_at_start_is_refused(app_dir, preload):
    (app_dir / "hooks.py").write_text("def when_redy(info): ...")
    with serve(app_dir, "--preload", preload) as served:
        assert served.wait_exit() == 2
        assert "could not start: hooks.py: there is no hook 'when_redy'; did you mean 'when_ready'?" in served.output
        assert len(served.output.splitlines()) == 1, served.output


def test_missing_hooks_file_at_start_is_refused(app_dir):
    (app_dir / "hooks.py").unlink()
    with serve(app_dir) as served:
        assert served.wait_exit() == 2
        assert served.output == "corn: --hooks: there is no file 'hooks.py'"


def test_invalid_hooks_file_at_reload_keeps_old_hooks(app_dir):
    with serve(app_dir).wait_ready() as served:
        served.wait_for("HOOK when_ready")  # so the hooks process has loaded the file
        (app_dir / "hooks.py").write_text("1 / 0")
        served.signal(signal.SIGHUP)
        served.wait_for(r"reload failed: .*hooks.py could not be loaded: ZeroDivisionError")
        served.wait_for(r"HOOK reload_failed ReloadInfo\(generation=2, error='hooks.py could not be loaded")
        (app_dir / "hooks.py").unlink()
        served.signal(signal.SIGHUP)
        served.wait_for("reload refused, nothing was changed: --hooks: there is no file 'hooks.py'")
        served.workers()[0].kill()
        served.wait_for("reason='crashed: killed by SIGKILL")
        (app_dir / "hooks.py").write_text(ALL.replace("HOOK", "ANEW"))
        served.signal(signal.SIGHUP)
        served.wait_for("^ANEW post_fork")
        served.wait_for("reloaded: generation 3 serves")
        served.signal(signal.SIGTERM)
        served.wait_for("^ANEW on_exit")
        assert served.wait_exit() == 0


FAILS_IN_HOOKS_PROCESS = """
import os, sys

def when_ready(info):
    os.write(1, b"HOOK when_ready\\n")

if any("corn.worker.hooks" in each for each in sys.orig_argv):
    {failure}
"""


@pytest.mark.parametrize("failure", ["raise RuntimeError('not here')", "os._exit(7)"])
def test_hooks_file_that_fails_only_in_hooks_process_is_reported(app_dir, failure):
    (app_dir / "hooks.py").write_text(FAILS_IN_HOOKS_PROCESS.format(failure=failure))
    with serve(app_dir).wait_ready() as served:
        served.wait_for(
            "ERROR .* hooks are disabled until the next reload: .*(not here|exited with code 7 while loading)"
        )
        assert served.client().get().startswith("one ")
        assert "HOOK" not in served.output
        (app_dir / "hooks.py").write_text(ALL)
        served.signal(signal.SIGHUP)
        served.wait_for(r"HOOK child_exit WorkerInfo\(slot=0, generation=1")
        served.signal(signal.SIGTERM)
        served.wait_for("HOOK on_exit")
        assert served.wait_exit() == 0


AFTER_FORK = """
import corn

@corn.after_fork
def first():
    os.write(1, f"AFTER first {os.getpid()}\\n".encode())

@corn.after_fork
def second():
    os.write(1, f"AFTER second {os.getpid()}\\n".encode())

async def late(scope, receive, send):
    if scope["type"] == "lifespan":
        os.write(1, f"AFTER lifespan {os.getpid()}\\n".encode())
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await app(scope, receive, send)
"""


@pytest.mark.parametrize("preload", ["app", "deps", "none"])
def test_after_fork_runs_in_each_worker_before_lifespan(app_dir, preload):
    write_app(app_dir, "one", more=AFTER_FORK)
    with Served(app_dir, "main:late", "--port", "0", "--preload", preload, "-w", "2").wait_ready() as served:
        for worker in served.workers():
            lines = [line for line in served.output.splitlines() if line.endswith(f" {worker.pid}")]
            assert [line.split()[1] for line in lines] == ["first", "second", "lifespan"]


def test_after_fork_failure_exits_start_with_3(app_dir):
    write_app(app_dir, "one", more="import corn\n@corn.after_fork\ndef connect():\n    raise OSError('no database')\n")
    with Served(app_dir, "main:app", "--port", "0") as served:
        assert served.wait_exit() == 3
        assert "could not start: after_fork function connect failed: OSError: no database" in served.output
        assert "in connect" in served.output
