"""Exit handlers and buffered files at the exit of a template and of a worker, in separate processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEFORE = """
import atexit, gzip, os, shutil, sys, tempfile, time, weakref
from corn.worker.forking import exit_handlers

def said(what):
    os.write(1, (what + "\\n").encode())

since = 0
def fork():
    global since
    since = exit_handlers.file_clock()
    time.sleep(0.05)  # file times have the resolution of a tick
    if os.fork():
        os.wait()
        return False
    exit_handlers.guard_inherited(since)
    return True

def end():
    exit_handlers.run(5.0)
    os._exit(0)
"""


def outcome(directory, program):
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + program], cwd=directory, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines(), done.stderr


REMOVERS = {
    "TemporaryDirectory": "held = tempfile.TemporaryDirectory(dir='.'); made = held.name",
    "NamedTemporaryFile": (
        "made = tempfile.NamedTemporaryFile(dir='.', delete=False).name; atexit.register(os.remove, made)"
    ),
    "rmtree": "made = tempfile.mkdtemp(dir='.'); atexit.register(shutil.rmtree, made)",
    "rmtree ignoring errors": "made = tempfile.mkdtemp(dir='.'); atexit.register(shutil.rmtree, made, True)",
    "finalize": "made = tempfile.mkdtemp(dir='.'); weakref.finalize(said, os.rmdir, made)",
    "rename": "made = tempfile.mkdtemp(dir='.'); atexit.register(os.rename, made, 'elsewhere')",
}


@pytest.mark.parametrize("source", REMOVERS.values(), ids=REMOVERS)
def test_files_of_template_outlive_workers_but_not_template(tmp_path, source):
    program = f"{source}\nif fork(): end()\nsaid(str(os.path.exists(made)))\nexit_handlers.run(5.0)\n"
    program += "said(str(os.path.exists(made)))\n"
    assert outcome(tmp_path, program) == (["True", "False"], "")


def test_directory_of_template_keeps_files_of_worker(tmp_path):
    program = """
held = tempfile.TemporaryDirectory(dir=".")
if fork():
    open(os.path.join(held.name, "cached"), "w").close()
    end()
said(str(os.listdir(held.name)))
"""
    assert outcome(tmp_path, program) == (["['cached']"], "")


def test_files_of_worker_are_removed_by_inherited_handlers(tmp_path):
    program = """
made = []
atexit.register(lambda: [os.remove(each) for each in made])
if fork():
    made.append(tempfile.mkstemp(dir=".")[1])
    own = tempfile.TemporaryDirectory(dir=".")
    end()
said(str(os.listdir(".")))
"""
    assert outcome(tmp_path, program) == (["[]"], "")


def test_flushing_handlers_run_in_each_process(tmp_path):
    program = """
atexit.register(said, "flushed")
made = tempfile.mkdtemp(dir=".")
atexit.register(shutil.rmtree, made)
for _ in range(2):
    if fork(): end()
end()
"""
    assert outcome(tmp_path, program) == (["flushed"] * 3, "")


def test_failing_handler_is_reported_and_hanging_one_interrupted(tmp_path):
    program = """
atexit.register(said, "last")
atexit.register(time.sleep, 60)
atexit.register(lambda: 1 / 0)
exit_handlers.run(0.3)
"""
    lines, errors = outcome(tmp_path, program)
    assert lines == ["last"]
    assert "ZeroDivisionError" in errors and "the exit handler took too long" in errors


def test_buffered_and_compressed_files_are_completed(tmp_path):
    program = """
if fork():
    text, packed = open("text", "w"), gzip.open("packed", "wt")
    text.write("written")
    packed.write("packed")
    end()
said(open("text").read() + " " + gzip.open("packed", "rt").read())
"""
    assert outcome(tmp_path, program) == (["written packed"], "")


def test_output_buffered_at_fork_is_written_once(tmp_path):
    program = """
log = open("log", "a")
log.write("once ")
exit_handlers.flush_files()
for _ in range(2):
    if fork(): end()
log.close()
said(open("log").read())
"""
    assert outcome(tmp_path, program) == (["once "], "")
