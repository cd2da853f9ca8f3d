"""Settings of the process and of the interpreter that an application makes at import: each worker has them, once."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys

import pytest

from tests.support.corn_process import Served
from tests.support.dev_project import Developed, save
from tests.support.environment import clean_environment

# Relative changes (a directory, niceness, an addition to a variable) show whether the import counts twice.
SETTINGS = """
import asyncio, builtins, codecs, contextvars, decimal, gc, hashlib, io, locale, logging, multiprocessing, os
import faulthandler, random, resource, signal, socket, sys, threading, time, tracemalloc, warnings

{before}
def hook(*arguments):
    pass

sys.excepthook = threading.excepthook = sys.unraisablehook = sys.displayhook = sys.breakpointhook = hook
locale.setlocale(locale.LC_ALL, "C")
decimal.getcontext().prec = 7
decimal.DefaultContext.prec = 9
VARIABLE = contextvars.ContextVar("variable", default="unset")
VARIABLE.set("set at import")
os.makedirs("inner", exist_ok=True)
os.chdir("inner")
os.umask(0o027)
os.nice(1)
resource.setrlimit(resource.RLIMIT_NOFILE, (512, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
warnings.filterwarnings("ignore", message="of this application")
sys.setswitchinterval(0.25)
sys.setrecursionlimit(3210)
tracemalloc.start(3)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    class Policy(type(asyncio.get_event_loop_policy())):
        pass
    asyncio.set_event_loop_policy(Policy())
logging.captureWarnings(True)
logging.addLevelName(25, "NOTICE")
class Records(logging.LogRecord):
    pass
logging.setLogRecordFactory(Records)
os.environ["ADDED"] = os.environ.get("ADDED", "") + "x"
os.environ["PATH"] = "/of/application:" + os.environ["PATH"]
os.environ["TZ"] = "Asia/Tokyo"
time.tzset()
sys.path.append("/of/application")
class Finder:
    def find_spec(self, name, path=None, target=None):
        return None
sys.meta_path.insert(0, Finder())
multiprocessing.set_start_method("spawn")
socket.setdefaulttimeout(0.5)
threading.stack_size(1 << 20)
random.seed(7)
gc.set_threshold(901, 11, 12)
builtins.of_application = 42
codecs.register_error("of_application", hook)
sys.stdout = io.TextIOWrapper(sys.stdout.buffer, write_through=True)
TICKS = []
signal.signal(signal.SIGALRM, lambda number, frame: TICKS.append(number))
signal.signal(signal.SIGPROF, lambda number, frame: None)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
signal.setitimer(signal.ITIMER_PROF, 0.5, 0.5)
FAULTS_ENABLED = faulthandler.is_enabled()

def settings():
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook)
    umask = os.umask(0)
    os.umask(umask)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        policy = type(asyncio.get_event_loop_policy()).__qualname__
    return {{
        "hooks": [each is hook for each in hooks],
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": [decimal.getcontext().prec, decimal.Context().prec],
        "variable": VARIABLE.get(),
        "directory": os.getcwd(),
        "umask": umask,
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": [resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_CORE)[0]],
        "processors": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "filters": sum(getattr(each[1], "pattern", each[1]) == "of this application" for each in warnings.filters),
        "interpreter": [sys.getswitchinterval(), sys.getrecursionlimit(), threading.stack_size(1 << 20),
                        gc.get_threshold()],
        "tracemalloc": [tracemalloc.is_tracing(), tracemalloc.get_traceback_limit()],
        "policy": policy,
        "logging": [logging._warnings_showwarning is not None, logging.getLevelName(25), logging.raiseExceptions,
                    logging.getLogRecordFactory() is Records],
        "environment": [os.environ["ADDED"], os.environ["PATH"].count("/of/application")],
        "time zone": time.tzname,
        "search path": sys.path.count("/of/application"),
        "finders": [type(each).__name__ for each in sys.meta_path].count("Finder"),
        "start method": multiprocessing.get_start_method(allow_none=True),
        "timeout": socket.getdefaulttimeout(),
        "random": hashlib.sha256(repr(random.getstate()).encode()).hexdigest(),
        "names": [of_application, codecs.lookup_error("of_application") is hook],
        "output": sys.stdout.write_through,
        "timers": [signal.getitimer(signal.ITIMER_REAL)[1], signal.getitimer(signal.ITIMER_PROF)[1]],
        "faulthandler": FAULTS_ENABLED,
    }}
"""
APPLICATION = (
    SETTINGS
    + """
import json
VERSION = "one"

async def app(scope, receive, send):
    state = {{"version": VERSION, "ticks": len(TICKS), "settings": settings()}}
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": json.dumps(state).encode()}})
"""
)
HELD = "held = open(__file__)\n"  # which steps down
ALONE = "import json, main, os; print(json.dumps(main.settings()), flush=True); os._exit(0)"


def write(directory, before=""):
    (directory / "main.py").write_text(APPLICATION.format(before=before))


def alone(directory):
    """Settings of a process that imports the application by itself."""
    environment = clean_environment(PYTHONDONTWRITEBYTECODE="1")
    program = [sys.executable, "-c", ALONE]
    return json.loads(subprocess.check_output(program, cwd=directory, env=environment, timeout=60))


def state(served):
    return json.loads(served.client().get())


@pytest.mark.parametrize(
    ("mode", "before"),
    [("app", ""), ("app", HELD), ("auto", HELD), ("deps", ""), ("none", "")],
    ids=["app", "app-steps-down", "auto-steps-down", "deps", "none"],
)
def test_settings_made_at_import_apply_once_in_each_mode(tmp_path, mode, before):
    write(tmp_path, before)
    expected = alone(tmp_path)
    arguments = ("main:app", "--port", "0", "--workers", "2", "--preload", mode, "--lifespan", "off")
    with Served(tmp_path, *arguments, XDG_CACHE_HOME=str(tmp_path)).wait_ready() as served:
        assert state(served)["settings"] == expected
        served.wait_until(lambda: state(served)["ticks"] > 1, "the timer of the application")
        victim = served.workers()[0]
        victim.kill()
        served.wait_until(lambda: not victim.is_running() and len(served.workers()) == 2, "another worker")
        assert state(served)["settings"] == expected
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert "Traceback" not in served.output


def test_settings_made_at_import_apply_once_after_save(tmp_path):
    write(tmp_path)
    expected = alone(tmp_path)
    with Developed(tmp_path, "--lifespan", "off").wait_ready() as served:
        assert state(served)["settings"] == expected
        save(tmp_path / "main.py", APPLICATION.format(before="").replace('"one"', '"two"'))
        served.wait_until(lambda: state(served)["version"] == "two", "the new code is served")
        assert state(served)["settings"] == expected


FAULTY = """
import faulthandler, os, signal
faulthandler.enable(open("faults.txt", "a"))

async def app(scope, receive, send):
    if scope["path"] == "/die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if scope["path"] == "/child":
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGABRT)
        os.waitpid(child, 0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"alive"})
"""


@pytest.mark.parametrize("mode", ["app", "none"])
def test_fault_file_of_application_gets_stacks(tmp_path, mode):
    (tmp_path / "main.py").write_text(FAULTY)
    faults = tmp_path / "faults.txt"
    arguments = ("main:app", "--port", "0", "--preload", mode, "--lifespan", "off")
    with Served(tmp_path, *arguments).wait_ready() as served:
        assert served.client().get("/child") == "alive"
        assert "Fatal Python error: Aborted" in faults.read_text()
        with contextlib.suppress(OSError, ValueError, AssertionError, IndexError):
            served.client().get("/die")
        served.wait_for("SIGSEGV")
        text = faults.read_text()
        assert "Fatal Python error: Segmentation fault" in text and 'main.py", line 7 in app' in text
        assert served.client().get() == "alive"
