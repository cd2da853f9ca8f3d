"""Content of files that may be named pipes."""

import errno
import os
import threading

import pytest

from corn.system.file_content import read_content


def test_regular_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert read_content(tmp_path / "file") == b"content"


@pytest.mark.parametrize("parts", [[b"one"], [b"x" * 100_000, b"two"]])
def test_pipe_is_read_to_its_end(tmp_path, parts):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write():
        with open(pipe, "wb", buffering=0) as file:
            file.writelines(parts)

    thread = threading.Thread(target=write)
    thread.start()
    assert read_content(pipe, timeout=20) == b"".join(parts)
    thread.join()


def test_pipe_without_writer_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError) as raised:
        read_content(tmp_path / "pipe", timeout=0.1)
    assert raised.value.errno == errno.ETIMEDOUT


def test_terminal_is_read_to_its_end():
    screen, fd = os.openpty()
    os.write(screen, b"A=1\n\x04")
    assert read_content(os.ttyname(fd), timeout=20) == b"A=1\n"
    with pytest.raises(OSError):
        read_content(os.ttyname(fd), timeout=0.1)
    os.close(screen)
    os.close(fd)


def test_device_without_content_is_empty():
    assert read_content(os.devnull) == b""
