"""Tracebacks in the log: user frames, and no line that a client could forge."""

from __future__ import annotations

import pytest

from corn.diagnosis.user_traceback import in_one_line, user_traceback

FORGED = "x\n2026-01-01 00:00:00.000 INFO    master [1] forged\x1b[31m\r\x9b"


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError, UnicodeError])
def test_exception_text_forges_no_line_or_control_character(kind):
    lines = user_traceback(raised(kind(FORGED))).split("\n")
    assert lines[0] == "Traceback (most recent call last):"
    assert not any(line.startswith("2026") for line in lines)
    assert all(line.isprintable() for line in lines)


def test_cause_text_is_indented():
    try:
        try:
            raise ValueError(FORGED)
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError as error:
        shown = user_traceback(error)
    assert "direct cause" in shown and shown.endswith("RuntimeError: outer")
    assert not any(line.startswith("2026") for line in shown.split("\n"))


def test_syntax_error_keeps_its_form():
    with pytest.raises(SyntaxError) as caught:
        compile("def f(:\n    pass", "main.py", "exec")
    assert "    def f(:" in user_traceback(caught.value)


def test_single_line_text_escapes_line_ends():
    assert in_one_line("a\nb\x1b") == r"a\nb\x1b"
