"""File digests: detection of changed contents."""

import os
import time

from corn.reload.files import FileDigests


def test_touch_is_not_change_but_edit_is(tmp_path):
    file, contents = tmp_path / "main.py", FileDigests()
    file.write_text("one")
    os.utime(file, (1000, 1000))
    assert contents.remember(str(file)) == 1000
    os.utime(file, (time.time() + 1, time.time() + 1))  # the kernel's own time may be that of a tick before
    assert contents.changed(str(file)) is None
    file.write_text("two")
    assert contents.changed(str(file)) is not None
    assert contents.changed(str(file)) is None


def test_edit_of_equal_size_and_time_is_change(tmp_path):
    file, contents = tmp_path / "main.py", FileDigests()
    for text, changed in (("one", True), ("two", True), ("two", False), ("six", True)):
        file.write_text(text)
        os.utime(file, (1000, 1000))
        assert (contents.changed(str(file)) is not None) is changed


def test_recent_change_before_first_look_is_reported_once(tmp_path):
    file, contents = tmp_path / "main.py", FileDigests()
    file.write_text("one")
    os.utime(file, (time.time() - 1, time.time() - 1))
    contents.remember(str(file))
    assert contents.changed(str(file)) is not None
    assert contents.remember(str(file)) == 0.0, "it is not reported twice"


def test_deleted_file_changes_once_and_unknown_file_never(tmp_path):
    file, contents = tmp_path / "main.py", FileDigests()
    file.write_text("one")
    contents.remember(str(file))
    file.unlink()
    assert contents.changed(str(file)) is not None
    assert contents.changed(str(file)) is None
    assert contents.changed(str(tmp_path / "other.py")) is None


def test_restored_file_has_changed(tmp_path):
    file, contents = tmp_path / "main.py", FileDigests()
    file.write_text("one")
    contents.remember(str(file))
    file.unlink()
    contents.changed(str(file))
    file.write_text("one")
    assert contents.changed(str(file)) is not None
