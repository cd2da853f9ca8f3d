"""Syslog: addresses, and the writer against receivers that come and go."""

import contextlib
import os
import re
import socket
import threading
import time
from collections import deque

import pytest

from corn.logs.syslog import SyslogWriter, is_syslog, parse_syslog

HEAD = f"<14>corn[{os.getpid()}]: "


@pytest.mark.parametrize(
    ("text", "path", "host", "port", "is_stream", "facility", "tag"),
    [
        ("syslog://", "/dev/log", "", 514, False, 1, "corn"),
        ("syslog:///run/log?tag=shop", "/run/log", "", 514, False, 1, "shop"),
        ("syslog://loghost", "", "loghost", 514, False, 1, "corn"),
        ("syslog://10.0.0.1:1514?facility=local7&tag=a.b", "", "10.0.0.1", 1514, False, 23, "a.b"),
        ("syslog+tcp://[::1]:601?facility=authpriv", "", "::1", 601, True, 10, "corn"),
    ],
)
def test_address_is_parsed(text, path, host, port, is_stream, facility, tag):
    found = parse_syslog(text)
    assert (found.path, found.host, found.port) == (path, host, port)
    assert (found.is_stream, found.facility, found.tag) == (is_stream, facility, tag)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("syslog:", "expected syslog://"),
        ("syslog:/dev/log", "expected syslog://"),
        ("syslog+tcp://", "expected syslog://"),
        ("syslog+tls://host", "expected syslog://"),
        ("syslog://host:port", "expected syslog://"),
        ("syslog://a@b", "expected syslog://"),
        ("syslog://host:0", "expected a port"),
        ("syslog://host:70000", "expected a port"),
        ("syslog://?level=info", "not 'level'"),
        ("syslog://?facility=local8", "expected a facility of kern, user"),
        ("syslog://?tag=a b", "expected a tag"),
    ],
)
def test_wrong_address_is_refused(text, said):
    assert is_syslog(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_syslog(text)


@pytest.mark.parametrize("name", ["corn.log", "syslog", "./syslog:x", "/var/log/syslog"])
def test_file_name_is_no_address(name):
    assert not is_syslog(name)


def local(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.settimeout(20)
    sock.bind(str(path))
    return sock


def until(writer, condition):
    """Flush, as a process does now and then, until the condition holds."""
    deadline, waiting = time.monotonic() + 20, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        writer.flush()
        waiting.wait(0.02)


def test_line_becomes_message_with_its_priority(tmp_path):
    with local(tmp_path / "log") as receiver:
        writer = SyslogWriter(parse_syslog(f"syslog://{tmp_path}/log?facility=local0&tag=shop"))
        writer.write(b"<3>one\n<6>two\n")
        assert receiver.recv(9000) == f"<131>shop[{os.getpid()}]: one".encode()
        assert receiver.recv(9000) == f"<134>shop[{os.getpid()}]: two".encode()
        writer.write(b"<6>" + "é".encode() * 9000 + b"\n")
        long = receiver.recv(20000)
        assert 8000 < len(long) <= 8192
        assert set(long.decode().partition(": ")[2]) == {"é"}
        writer.finish()


def test_restarted_daemon_receives_kept_lines(tmp_path):
    path = tmp_path / "log"
    with local(path):
        writer = SyslogWriter(parse_syslog(f"syslog://{path}"))
    path.unlink()
    writer.write(b"<6>kept\n")
    assert writer.pending
    assert "nothing is received at" in writer.last_error
    with local(path) as receiver:
        until(writer, lambda: not writer.pending)
        assert receiver.recv(9000).decode() == f"{HEAD}kept"
    writer.finish()


def test_lines_beyond_bound_are_dropped_and_counted_afterwards(tmp_path):
    path = tmp_path / "log"
    writer = SyslogWriter(parse_syslog(f"syslog://{path}"))
    for number in range(300):
        writer.write(b"<6>%d %s\n" % (number, b"x" * 8000))
    assert writer.dropped == 0
    received = deque()
    with local(path) as receiver:

        def all_sent():
            receiver.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    received.append(receiver.recv(9000))
            return not writer.pending

        until(writer, all_sent)
    assert 100 < len(received) < 135
    assert writer.dropped == 300 - len(received)
    assert received[-1].startswith(f"{HEAD}299 ".encode())
    writer.finish()


def test_tcp_sends_lines_and_reconnects_after_close():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        writer = SyslogWriter(parse_syslog(f"syslog+tcp://127.0.0.1:{server.getsockname()[1]}"))
        first, _ = server.accept()
        with first, first.makefile() as lines:
            first.settimeout(20)
            writer.write(b"<6>one\n")
            until(writer, lambda: not writer.pending)
            assert lines.readline() == f"{HEAD}one\n"
        writer.write(b"<6>two\n")
        until(writer, lambda: not writer.pending)
        second, _ = server.accept()
        with second, second.makefile() as lines:
            second.settimeout(20)
            assert lines.readline() == f"{HEAD}two\n"
            writer.finish()
            assert lines.read() == ""


def test_tcp_receiver_that_reads_nothing_costs_lines_and_no_time():
    with socket.create_server(("127.0.0.1", 0)) as server:
        writer = SyslogWriter(parse_syslog(f"syslog+tcp://127.0.0.1:{server.getsockname()[1]}"))
        peer, _ = server.accept()
        with peer, peer.makefile("rb") as lines:
            for number in range(3000):
                writer.write(b"<6>%d %s\n" % (number, b"x" * 8000))
            assert writer.pending
            reader = threading.Thread(target=lines.read, daemon=True)
            reader.start()
            until(writer, lambda: not writer.pending)
            assert writer.dropped > 1000
            writer.finish()
            reader.join(20)


def test_absent_receiver_by_udp_is_no_error():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    writer = SyslogWriter(parse_syslog(f"syslog://127.0.0.1:{port}"))
    for _ in range(3):
        writer.write(b"<6>lost\n")
    assert (writer.pending, writer.dropped, writer.last_error) == (False, 0, "")
    writer.finish()
