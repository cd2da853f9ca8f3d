"""Log formats: from a record to a line."""

import fcntl
import json
import logging
import os
import pty
import re
import struct
import termios

import pytest

from corn.logs.formats import JSONFormatter, Receiver, Source, TextFormatter, is_journal, narrow_columns

WORKER = Source("worker", 2, 5)


def record(message, *args, name="corn", level=logging.INFO, error=None):
    made = logging.LogRecord(name, level, "file.py", 1, message, args, None)
    if error is not None:
        made.exc_info = (type(error), error, error.__traceback__)
    return made


def raised():
    try:
        return 1 / 0
    except ZeroDivisionError as error:
        return error


def test_text_line_has_time_level_source_and_message():
    line = TextFormatter(WORKER, color=False).format(record("it %s", "works"))
    assert re.fullmatch(
        rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} INFO    worker 2 g5 \[{os.getpid()}\] it works", line
    )


def test_text_line_of_application_has_logger_name():
    assert TextFormatter(WORKER, color=False).format(record("hi", name="shop.cart")).endswith("] shop.cart: hi")


def test_json_line_holds_message_detail_and_traceback():
    line = JSONFormatter(WORKER).format(record("it broke\nbadly ü", level=logging.ERROR, error=raised()))
    assert "\n" not in line
    fields_of_line = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields_of_line.pop("time"))
    traceback = fields_of_line.pop("traceback")
    assert traceback.startswith("Traceback (most recent call last)")
    assert traceback.endswith("ZeroDivisionError: division by zero")
    fields = {"level": "error", "source": "worker", "worker": 2, "generation": 5, "pid": os.getpid(), "logger": "corn"}
    assert fields_of_line == {**fields, "message": "it broke", "detail": "badly ü"}


def test_json_line_extracts_traceback_from_message():
    fields_of_line = json.loads(
        JSONFormatter(Source("master")).format(record("failed\nTraceback (most recent call last):\n  x\n"))
    )
    assert (fields_of_line["message"], fields_of_line["traceback"]) == (
        "failed",
        "Traceback (most recent call last):\n  x",
    )
    assert "worker" not in fields_of_line


def test_mismatched_arguments_are_logged():
    assert "%d apples ('no',)" in TextFormatter(WORKER, color=False).format(record("%d apples", "no"))


def test_journal_lines_have_priority_and_no_time():
    formatter = TextFormatter(WORKER, color=False, receiver=Receiver.JOURNAL)
    text = formatter.format(record("a", level=logging.WARNING, error=raised()))
    assert text.startswith(f"<4>worker 2 g5 [{os.getpid()}] a\n<4>Traceback")
    assert all(line.startswith("<4>") for line in text.split("\n"))
    as_json = JSONFormatter(WORKER, receiver=Receiver.JOURNAL).format(record("a", level=logging.DEBUG))
    assert as_json.startswith('<7>{"time"')


@pytest.mark.parametrize(("columns", "narrow"), [(0, 0), (80, 80), (129, 129), (130, 0)])
def test_terminal_below_130_columns_is_narrow(columns, narrow):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    assert narrow_columns(theirs) == narrow
    os.close(ours)
    os.close(theirs)


def test_short_line_has_no_date_and_no_process():
    text = TextFormatter(WORKER, color=False, columns=80).format(record("a"))
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} INFO    worker 2 g5 a", text)


def test_long_line_is_broken_at_words_in_narrow_terminal():
    url = "http://" + "x" * 70
    message = f"{'some words ' * 12}{url} and a well-known end\n{'y' * 90}"
    text = TextFormatter(WORKER, color=False, columns=60).format(record(message))
    first, *others, detail = text.split("\n")
    assert len(first) <= 60
    assert all(len(line) <= 60 or line == f"    {url}" for line in others)
    assert all(line.startswith("    ") for line in others)
    assert " ".join([first, *map(str.strip, others)]).endswith(message.partition("\n")[0])
    assert detail == "y" * 90
    colored = TextFormatter(WORKER, color=True, columns=60).format(record(message))
    assert re.sub("\x1b\\[[0-9]+m", "", colored)[14:] == text[14:]


def test_syslog_line_has_priority_and_no_process():
    formatter = TextFormatter(WORKER, color=True, receiver=Receiver.SYSLOG)
    text = formatter.format(record("a", level=logging.ERROR, error=raised()))
    assert text.startswith("<3>worker 2 g5 a#012Traceback")
    assert "\n" not in text


def test_journal_is_detected_by_device_and_inode(monkeypatch):
    reader, writer = os.pipe()
    found = os.fstat(writer)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert is_journal(writer)
    assert not is_journal(0)
    os.close(reader)
    os.close(writer)
    assert not is_journal(writer)
