"""Log writer: it drops and counts lines instead of blocking."""

import contextlib
import os
import threading

import pytest

from corn.errors import ConfigError
from corn.logs import open_writer
from corn.logs.writer import LineWriter


def test_full_disk_drops_and_counts_lines():
    fd = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(fd)
    for _ in range(3):
        writer.write(b"line\n")
    os.close(fd)
    assert writer.dropped == 3


def test_partial_line_is_terminated_before_next(tmp_path):
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    writer = LineWriter(fd)
    writer.write(b"half of a li")
    writer.write(b"whole\n")
    os.close(fd)
    assert (tmp_path / "log").read_bytes() == b"half of a li\nwhole\n"


def test_full_pipe_drops_lines_without_blocking():
    reader, fd = os.pipe()
    writer = LineWriter(fd)
    done = threading.Event()

    def write():
        for number in range(20_000):
            writer.write(b"%06d %s\n" % (number, b"x" * 200))
        done.set()

    threading.Thread(target=write, daemon=True).start()
    assert done.wait(20), "it waits for the reader"
    assert writer.dropped > 0
    got = b""
    while True:
        os.set_blocking(reader, False)
        try:
            got += os.read(reader, 1 << 20)
        except BlockingIOError:
            break
        writer.flush()
    lines = got.splitlines()
    assert all(len(line) == 207 for line in lines)
    assert len(lines) + writer.dropped == 20_000
    os.close(reader)
    os.close(fd)


def test_broken_pipe_drops_lines():
    reader, fd = os.pipe()
    writer = LineWriter(fd)
    os.close(reader)
    writer.write(b"line\n")
    os.close(fd)
    assert writer.dropped == 1


class RoomTaken(LineWriter):
    """Writer for whose pipe poll(2) has reported room that another process takes before the write."""

    def _is_writable(self):
        return True


def test_room_taken_by_other_process_keeps_line_without_blocking():
    reader, fd = os.pipe()
    os.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"x" * 4096)
    os.set_blocking(fd, True)
    writer = RoomTaken(fd)
    thread = threading.Thread(target=writer.write, args=(b"line\n",), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive() and (writer.pending, writer.dropped) == (True, 0)
    filled = len(os.read(reader, 1 << 20))
    writer.flush()
    assert filled and os.read(reader, 100) == b"line\n" and not writer.pending
    os.close(reader)
    os.close(fd)


def test_named_pipe_without_reader_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"--log-file: cannot open .*: No such device or address"):
        open_writer(str(tmp_path / "pipe"), "--log-file")


def test_unread_terminal_drops_lines_without_blocking():
    screen, fd = os.openpty()
    writer = LineWriter(fd)
    lines = [b"%06d %s\n" % (number, b"x" * 300) for number in range(10_000)]

    def write():
        for each in lines:
            writer.write(each)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it waits for the reader"
    assert writer.pending and writer.dropped > 0
    got = b""
    while writer.pending:
        got += os.read(screen, 1 << 16)
        writer.flush()
    assert got.startswith(lines[0].replace(b"\n", b"\r\n"))
    os.close(screen)
    os.close(fd)
