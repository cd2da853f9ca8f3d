"""Channel between processes: messages and descriptors arrive in order, and malformed lines are collected."""

import contextlib
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.ipc.channel import Channel, Decoder, channel_of, encode
from corn.ipc.messages import Booting, Drain, Failed, Fork, Retiring
from tests.support.descriptors import descriptors

MESSAGES = st.sampled_from([Retiring("x"), Drain(1.5, final=True), Failed("a", "b\n", 3, {"kind": "x"}), Booting(7)])
GARBAGE = st.binary(max_size=60).filter(lambda line: b"\n" not in line)


@given(st.lists(MESSAGES | GARBAGE, max_size=12), st.integers(1, 40))
def test_decoder_reads_messages_between_malformed_lines(sent, size):
    data = b"".join(each + b"\n" if isinstance(each, bytes) else encode(each) for each in sent)
    decoder = Decoder()
    read = [message for at in range(0, len(data), size) for message in decoder.feed(data[at : at + size])]
    assert read == [each for each in sent if not isinstance(each, bytes)]
    assert decoder.invalid_lines == [each for each in sent if isinstance(each, bytes)]


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
    assert decoder.invalid_lines == [line]


def test_decoder_overflows_at_endless_line():
    decoder = Decoder()
    for _ in range(80):
        assert decoder.feed(b"x" * 65536) == []
    assert decoder.overflowed


@contextlib.contextmanager
def channels(*, blocking=False, passes_fds=True):
    """Two ends of a channel, which leave no descriptor open."""
    before = descriptors()
    ends = [Channel(each, passes_fds=passes_fds) for each in socket.socketpair()]
    for each in ends:
        each.set_blocking(blocking)
    try:
        yield ends
    finally:
        for each in ends:
            each.close()
    assert not descriptors() - before


@contextlib.contextmanager
def pipe():
    ends = os.pipe()
    try:
        yield ends
    finally:
        for each in ends:
            os.close(each)


def test_decoder_keeps_limited_number_of_malformed_lines():
    decoder = Decoder()
    decoder.feed(b"x\n" * 2000)
    assert decoder.invalid_lines == [b"x"] * 1024


def test_channel_without_descriptors_closes_received_ones():
    with channels(passes_fds=False) as (sender, receiver), pipe() as ends:
        before = descriptors()
        sender.send(Fork(1, 0, 0, gated=False), ends)
        assert receiver.receive() == [Fork(1, 0, 0, gated=False)]
        assert not descriptors() - before


def test_descriptors_arrive_in_order_and_are_not_inherited():
    with channels() as (sender, receiver), pipe() as (first, second):
        sender.send(Booting(1), (first,))
        sender.send(Booting(2), (second,))
        assert receiver.receive() + receiver.receive() == [Booting(1), Booting(2)]
        for sent in (first, second):
            received = receiver.take_fd()
            assert os.path.sameopenfile(received, sent)
            assert not os.get_inheritable(received)
            os.close(received)


def test_received_descriptor_left_unused_is_closed_with_channel():
    with channels() as (sender, receiver), pipe() as ends:
        sender.send(Booting(1), ends)
        assert receiver.receive() == [Booting(1)]


def test_message_with_closed_descriptor_is_not_sent():
    with channels() as (sender, receiver), pipe() as (reader, _):
        with pytest.raises(OSError, match="Bad file descriptor"):
            sender.send(Booting(1), (reader, 1 << 20))
        assert receiver.receive() == []
        assert not sender.wants_write


def test_full_channel_keeps_messages_until_peer_reads():
    sent = [Retiring("x" * 1_000_000), *(Retiring(str(number) * 100) for number in range(1000)), Booting(1)]
    with channels() as (sender, receiver), pipe() as ends:
        for each in sent[:-1]:
            sender.send(each)
        sender.send(sent[-1], ends)
        assert sender.wants_write
        received = receiver.receive()
        while sender.wants_write or len(received) < len(sent):
            sender.flush()
            received += receiver.receive()
        assert received == sent
        fd = receiver.take_fd()
        assert os.path.sameopenfile(fd, ends[0])
        os.close(fd)


def test_unsent_descriptors_are_closed_with_channel():
    with channels() as (sender, _), pipe() as ends:
        while not sender.wants_write:
            sender.send(Retiring("x" * 1000))
        sender.send(Booting(1), ends)


def test_message_to_closed_peer_is_dropped_with_its_descriptors():
    with channels() as (sender, receiver), pipe() as ends:
        while not sender.wants_write:
            sender.send(Retiring("x" * 1000))
        receiver.close()
        sender.send(Booting(1), ends)
        assert not sender.wants_write
        assert not sender.closed
        assert sender.receive() == []
        assert sender.closed


def test_idle_channel_gives_no_message_and_closed_one_its_end():
    with channels() as (sender, receiver):
        assert receiver.receive() == []
        assert not receiver.closed
        sender.close()
        assert receiver.receive() == []
        assert receiver.closed


def test_channel_reports_invalid_line_and_overflow():
    ours, theirs = socket.socketpair()
    receiver = Channel(ours)
    theirs.send(b"no message\n")
    assert receiver.receive() == []
    assert (receiver.invalid_lines, receiver.overflowed) == ([b"no message"], False)
    while not receiver.overflowed:
        theirs.send(b"x" * 65536)
        receiver.receive()
    receiver.close()
    theirs.close()


def test_receiving_ends_at_timeout_on_inherited_descriptor():
    ours, theirs = socket.socketpair()
    socket.setdefaulttimeout(0.0)
    try:
        receiver = channel_of(ours.detach())
    finally:
        socket.setdefaulttimeout(None)
    theirs.send(encode(Booting(1)))
    assert os.get_blocking(receiver.fileno())
    assert receiver.receive() == [Booting(1)]
    receiver.set_timeout(0.01)
    assert receiver.receive() == []
    assert receiver.closed
    receiver.close()
    theirs.close()
