r"""Parser of KEY=VALUE files such as `.env`.

    # a comment; blank lines are skipped
    PLAIN=a value, up to the end of the line     # or to a comment after a space
    export LITERAL='nothing is special in here: $HOME \n'
    ESCAPED="a tab\t, a newline\n, a quote \" and a backslash \\"

A quoted value may span several lines. A backslash before any other character is kept. Nothing is expanded: `$NAME` is
kept as written, so a password may contain a dollar sign.
"""

from __future__ import annotations

import re
from pathlib import Path

from corn.errors import ConfigError

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_KEY = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN = re.compile(r"(?:[^ \t\n#]|[ \t]+(?![ \t\n#]|\Z)|(?<=[^ \t])#)*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$", "\n": ""}


def read_env_file(path: Path) -> dict[str, str]:
    """Read the variables of a file; of duplicate names the last one wins.

    Raises ConfigError, naming file and line, if the file cannot be read or parsed.
    """
    try:
        return parse_env(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except ValueError as error:
        raise ConfigError(f"{path}, {error}") from None


def parse_env(text: str) -> dict[str, str]:
    """Parse the variables in a text; raises ValueError("line N: ...")."""
    variables = {}
    position = 0
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank is None:
            key, value, position = _assignment(text, position)
            variables[key] = value
        else:
            position = blank.end() or len(text)
    return variables


def _malformed(text: str, position: int, problem: str) -> ValueError:
    return ValueError(f"line {text.count(chr(10), 0, position) + 1}: {problem}")


def _assignment(text: str, start: int) -> tuple[str, str, int]:
    """Parse the assignment at `start`; returns name, value and the start of the next line."""
    key = _KEY.match(text, start)
    if key is None:
        raise _malformed(text, start, "expected KEY=VALUE")
    value, end = _value(text, key.end())
    if "\0" in value:
        raise _malformed(text, start, "a value cannot hold a NUL character")
    rest = _BLANK.match(text, end)
    if rest is None:
        raise _malformed(text, end, "expected the end of the line after the closing quote")
    return key[1], value, rest.end()


def _value(text: str, start: int) -> tuple[str, int]:
    opening = text[start : start + 1]
    if opening not in ("'", '"'):
        plain = _PLAIN.match(text, start)
        assert plain is not None  # it matches the empty text too
        return plain[0], plain.end()
    quoted = (_SINGLE if opening == "'" else _DOUBLE).match(text, start)
    if quoted is None:
        raise _malformed(text, start, f"the quote {opening} is not closed")
    if opening == "'":
        return quoted[1], quoted.end()
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[0]), quoted[1]), quoted.end()
