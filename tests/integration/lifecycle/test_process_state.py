"""State of the process that an application sets while it is imported: each worker has it, in every preload mode."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.corn_process import Served

APPLICATION = """
import faulthandler, gc, json, os, signal, sys, threading

HITS = []
def note(number, frame):
    HITS.append(signal.Signals(number).name)

def leave(number, frame):
    sys.exit(1)

for each in (signal.SIGUSR1, signal.SIGALRM, signal.SIGCHLD, signal.SIGWINCH, signal.SIGHUP):
    signal.signal(each, note)
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(each, leave)
faulthandler.register(signal.SIGUSR2)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGXFSZ])
WAS_ON = gc.isenabled()
gc.disable()
if os.environ["COLLECTOR"] == "restored" and WAS_ON:
    gc.enable()

async def app(scope, receive, send):
    state = {
        "hits": HITS,
        "collector": [WAS_ON, gc.isenabled()],
        "blocked": signal.SIGXFSZ in signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "argv": sys.argv,
        "thread": threading.main_thread().native_id,
        "pid": os.getpid(),
    }
    body = json.dumps(state).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
HANDLED = (signal.SIGUSR1, signal.SIGALRM, signal.SIGCHLD, signal.SIGWINCH, signal.SIGHUP)


def serve(directory, mode, collector="off"):
    (directory / "main.py").write_text(APPLICATION)
    arguments = ("main:app", "--port", "0", "--preload", mode, "--lifespan", "off")
    return Served(directory, *arguments, COLLECTOR=collector).wait_ready()


def state(served):
    return json.loads(served.client().get())


@pytest.mark.parametrize("mode", ["app", "deps", "none"])
def test_signal_handlers_set_at_import_apply_in_worker(tmp_path, mode):
    with serve(tmp_path, mode) as served:
        (worker,) = served.workers()
        for number in HANDLED:
            worker.send_signal(number)
            served.wait_until(lambda name=number.name: name in state(served)["hits"], f"the handler of {number.name}")
        worker.send_signal(signal.SIGUSR2)
        served.wait_for(r"Current thread .* \(most recent call first\)")
        assert state(served)["blocked"]
        assert served.workers() == [worker]


@pytest.mark.parametrize("mode", ["app", "none"])
def test_sigint_to_process_group_with_own_handler_stops_gracefully(tmp_path, mode):
    with serve(tmp_path, mode) as served:
        (worker,) = served.workers()
        worker.send_signal(signal.SIGINT)
        for each in served.templates():
            each.send_signal(signal.SIGINT)
            each.send_signal(signal.SIGTERM)
        assert state(served)["pid"] == worker.pid
        worker.kill()
        served.wait_for("is ready|replaced at once")
        assert state(served)["pid"] != worker.pid
        for each in (*served.workers(), *served.templates()):
            each.send_signal(signal.SIGINT)
        served.signal(signal.SIGINT)
        assert served.wait_exit() == 0
        assert "crashed" not in served.output.partition("replaced at once")[2]
        assert "Traceback" not in served.output


@pytest.mark.parametrize("mode", ["app", "deps", "none"])
def test_garbage_collector_stays_as_application_set_it(tmp_path, mode):
    for collector, is_on in (("off", False), ("restored", True)):
        with serve(tmp_path, mode, collector) as served:
            assert state(served)["collector"] == [True, is_on]


@pytest.mark.parametrize("mode", ["app", "none"])
def test_native_id_of_main_thread_is_process_id(tmp_path, mode):
    with serve(tmp_path, mode) as served:
        found = state(served)
        assert found["thread"] == found["pid"]


@pytest.mark.parametrize("mode", ["app", "deps", "none"])
def test_argv_of_application_is_command_line_of_corn(tmp_path, mode):
    with serve(tmp_path, mode) as served:
        program, *arguments = state(served)["argv"]
        assert program.endswith("corn/__main__.py")
        assert arguments[:3] == ["serve", "main:app", "--port"]
