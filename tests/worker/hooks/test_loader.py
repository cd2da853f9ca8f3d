"""Hooks file: valid and invalid definitions, failing hooks, and the hook timeout."""

import re
import signal
import sys
import time
from pathlib import Path

import pytest

from corn.config import Config
from corn.errors import HooksError
from corn.hooks import HOOKS, WorkerInfo
from corn.worker.hooks.loader import load_hooks

PAGE = Path(__file__).parents[3] / "docs/reference/hooks.md"
WORKER = WorkerInfo(0, 1, 4711)


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])

    def write_and_load(source):
        (tmp_path / "hooks.py").write_text(source)
        return load_hooks(Config(hooks=str(tmp_path / "hooks.py"), app_dir=str(tmp_path)))

    return write_and_load


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def when_redy(info): ...", "there is no hook 'when_redy'; did you mean 'when_ready'?"),
        (
            "def post_fork(info): ...\ndef flurb(): ...",
            "there is no hook 'flurb'; a function that is none begins with _",
        ),
        ("def post_fork(server, worker): ...", "post_fork must take one argument, as in def post_fork(info)"),
        ("def post_fork(): ...", "post_fork must take one argument"),
        ("def ssl_context(info): ...", "ssl_context must take two arguments, as in def ssl_context(config, default)"),
        ("async def post_fork(info): ...", "post_fork is a coroutine function"),
        ("post_fork = 5", "post_fork is of type int, not a function"),
        ("import os", "no hook is defined"),
        ("1 / 0", "could not be loaded: ZeroDivisionError: division by zero"),
        ("def (", "could not be loaded: SyntaxError"),
        ("import nothing_like_this", "could not be loaded: ModuleNotFoundError"),
        ("raise SystemExit(3)", "could not be loaded: SystemExit: 3"),
        ("open('/nowhere')", "could not be loaded: FileNotFoundError"),
    ],
)
def test_invalid_hooks_file_is_refused(load, source, said):
    with pytest.raises(HooksError, match=re.escape(said)):
        load(source)


def test_load_failure_has_user_traceback(load):
    with pytest.raises(HooksError) as caught:
        load("def _start():\n    1 / 0\n_start()")
    assert "line 2, in _start" in caught.value.detail
    assert "/corn/" not in caught.value.detail


def test_hooks_file_with_private_names_is_accepted(load):
    source = (
        "from os.path import join\n"
        "class Helper:\n    def __init__(self, info): ...\n"
        "def _own(): ...\n"
        "def post_fork(info, *, more=1): ...\n"
    )
    assert load(source + "worker_exit = Helper\n").names == {"post_fork", "worker_exit"}


@pytest.mark.parametrize("wrong", ["1 / 0", "raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_failing_hook_returns_user_frames(load, wrong):
    failure = load(f"def post_fork(info):\n    {wrong}\n").call("post_fork", WORKER)
    assert "line 2, in post_fork" in failure.detail
    assert "/corn/" not in failure.detail


def test_saves_within_second_are_both_loaded(load):
    assert load("def post_fork(info): info.slot").names == {"post_fork"}
    assert load("def pre_forks(info): ...".replace("forks", "fork ")).names == {"pre_fork"}


def test_undefined_hook_does_nothing(load):
    assert load("def pre_fork(info): 1 / 0").call("post_fork", WORKER) is None


SPIN = """
import time

def _spin():
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pass
"""


def test_hook_timeout_interrupts_hook(load):
    began = time.monotonic()
    failure = load(SPIN + "def pre_fork(info): _spin()").call("pre_fork", WORKER, 0.05)
    assert failure.error == "TimeoutError: longer than 0.05 s"
    assert time.monotonic() < began + 20
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_hook_timeout_swallowed_once_interrupts_again(load, monkeypatch):
    """A destructor swallows the timeout: the interpreter only reports its exceptions."""
    swallowed = []
    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)
    source = "class _Slow:\n    def __del__(self): _spin()\ndef pre_fork(info):\n    _Slow()\n    _spin()"
    assert load(SPIN + source).call("pre_fork", WORKER, 0.05).error == "TimeoutError: longer than 0.05 s"
    assert len(swallowed) == 1


def test_hook_within_timeout_leaves_no_timer(load):
    assert load("def pre_fork(info): ...").call("pre_fork", WORKER, 20) is None
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_hooks_page_lists_all_hooks_and_example_loads(load):
    page = PAGE.read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == HOOKS
    assert load(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]).names == {
        "when_ready",
        "reload_failed",
        "child_exit",
    }
