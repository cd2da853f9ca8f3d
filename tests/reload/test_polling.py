"""File changes that are found by polling."""

from __future__ import annotations

import os
import threading

from corn.reload.notifier import ADDED, DELETED, MODIFIED, Poller


def look(poller):
    return poller.watch(50, 10, 0, threading.Event())


def test_polling_reports_new_changed_and_removed_files(tmp_path):
    for name in ("kept", "changed", "gone"):
        (tmp_path / name).write_text("one")
    poller = Poller([str(tmp_path)])
    (tmp_path / "changed").write_text("two")
    (tmp_path / "gone").unlink()
    (tmp_path / "new").mkdir()
    paths = {name: str(tmp_path / name) for name in ("changed", "gone", "new")}
    assert look(poller) == {(MODIFIED, paths["changed"]), (DELETED, paths["gone"]), (ADDED, paths["new"])}


def test_polling_reports_change_of_equal_size_and_second(tmp_path):
    file = tmp_path / "main.py"
    file.write_text("one")
    second = 1_700_000_000_000_000_000
    os.utime(file, ns=(second, second))
    poller = Poller([str(tmp_path)])
    file.write_text("two")
    os.utime(file, ns=(second, second + 1_000_000))
    assert look(poller) == {(MODIFIED, str(file))}


def test_polling_reports_restored_and_removed_directory(tmp_path):
    inner = tmp_path / "inner"
    poller = Poller([str(inner)])
    inner.mkdir()
    (inner / "a.py").write_text("")
    assert look(poller) == {(ADDED, str(inner / "a.py"))}
    (inner / "a.py").unlink()
    inner.rmdir()
    assert look(poller) == {(DELETED, str(inner / "a.py"))}


def test_polling_ends_when_stopped(tmp_path):
    stop = threading.Event()
    stop.set()
    assert Poller([str(tmp_path)]).watch(50, 10, 0, stop) == "stop"
