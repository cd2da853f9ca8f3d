"""Channel between processes: messages are decoded, and malformed lines are collected."""

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.ipc.channel import Channel, Decoder, encode
from corn.ipc.messages import Booting, Drain, Failed, Fork, Retiring

MESSAGES = st.sampled_from([Retiring("x"), Drain(1.5, final=True), Failed("a", "b\n", 3, {"kind": "x"}), Booting(7)])
GARBAGE = st.binary(max_size=60).filter(lambda line: b"\n" not in line)


@given(st.lists(MESSAGES | GARBAGE, max_size=12), st.integers(1, 40))
def test_decoder_reads_messages_between_malformed_lines(sent, size):
    data = b"".join(each + b"\n" if isinstance(each, bytes) else encode(each) for each in sent)
    decoder = Decoder()
    read = [message for at in range(0, len(data), size) for message in decoder.feed(data[at : at + size])]
    assert read == [each for each in sent if not isinstance(each, bytes)]
    assert decoder.garbage == [each for each in sent if isinstance(each, bytes)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"[]",
        b'["Retiring"]',
        b'["Retiring", {}]',
        b'["Retiring", {"reason": 5}]',
        b'["Retiring", {"reason": "x", "more": 1}]',
        b'["Nothing", {}]',
        b'[["Retiring"], {}]',
        b'["Forked", {"worker": 1, "pid": "1"}]',
        b'["RequestsReport", {"requests": null}]',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_decoder_collects_malformed_line(line):
    decoder = Decoder()
    assert decoder.feed(line + b"\n" + encode(Booting(1))) == [Booting(1)]
    assert decoder.garbage == [line]


def test_decoder_overflows_at_endless_line():
    decoder = Decoder()
    for _ in range(80):
        assert decoder.feed(b"x" * 65536) == []
    assert decoder.overflowed


def test_channel_without_descriptors_closes_received_ones():
    ours, theirs = socket.socketpair()
    sender, receiver = Channel(theirs), Channel(ours, passes_fds=False)
    before = os.listdir("/proc/self/fd")
    reader, writer = os.pipe()
    sender.send(Fork(1, 0, 0, gated=False), (reader, writer))
    os.close(reader)
    os.close(writer)
    assert receiver.receive() == [Fork(1, 0, 0, gated=False)]
    assert len(os.listdir("/proc/self/fd")) == len(before)
    sender.close()
    receiver.close()
