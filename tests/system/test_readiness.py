"""Waiting for readable descriptors."""

import os

import pytest

from corn.system.readiness import readable


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    with open(reader, "rb") as first, open(writer, "wb", buffering=0) as second:
        yield first, second


def test_descriptors_with_input_are_readable(pipe):
    reader, writer = pipe
    assert readable(reader, timeout=0) == []
    assert readable(timeout=0) == []
    writer.write(b"x")
    assert readable(reader) == readable(reader, writer.fileno(), timeout=-1.0) == [reader.fileno()]


def test_descriptor_without_writer_is_readable(pipe):
    reader, writer = pipe
    writer.close()
    assert readable(reader) == [reader.fileno()]


def test_descriptor_above_limit_of_select_is_readable(pipe):
    reader, writer = pipe
    writer.write(b"x")
    opened = [os.dup(reader.fileno())]
    try:
        while opened[-1] < 1024:
            opened.append(os.dup(reader.fileno()))
        assert readable(opened[-1]) == opened[-1:]
    finally:
        for each in opened:
            os.close(each)
