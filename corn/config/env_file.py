r"""Parser of KEY=VALUE files such as `.env`.

    # a comment; blank lines are skipped
    PLAIN=a value, up to the end of the line     # or to a comment after a space
    export LITERAL='nothing is special in here: $HOME \n'
    ESCAPED="a tab\t, a newline\n, a quote \" and a backslash \\"

    URL=postgres://${HOST:-localhost}/db         # also in double quotes, never in single ones

A quoted value may span several lines. A backslash before any other character is kept. `${NAME}` is replaced by a
variable of the process's environment, else by one set above, else by the text after `:-`, else by nothing. `$NAME` is
kept as written, so that passwords may contain a dollar sign.

Variables in the process's environment are not changed: those of a container, a unit or a shell override a file in the
project, as with uvicorn, granian and python-dotenv.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from corn.errors import ConfigError
from corn.system.file_content import read_content

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_KEY = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN = re.compile(r"(?:[^ \t\n#]|[ \t]+(?![ \t\n#]|\Z)|(?<=[^ \t])#)*")
_REFERENCE = r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_.]*)(?::-(?P<default>[^}]*))?\}"
_EXPANDED = re.compile(_REFERENCE)
_ESCAPED_OR_EXPANDED = re.compile(r"\\(?P<escape>.)|" + _REFERENCE, re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$", "\n": ""}


def environment_with(files: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of `files`, the later over the earlier, and over them those of `environ`.

    Raises ConfigError if a file cannot be read or parsed.
    """
    variables: dict[str, str] = {}
    for name in files:
        variables.update(read_env_file(Path(name), {**variables, **environ}))
    return {**variables, **environ}


def read_env_file(path: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Read the variables of a file; of duplicate names the last one wins. `known` are those that it may refer to.

    Raises ConfigError, naming file and line, if the file cannot be read or parsed.
    """
    try:
        text = read_content(path).decode("utf-8-sig")
        return parse_env(text.replace("\r\n", "\n").replace("\r", "\n"), known)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except ValueError as error:
        raise ConfigError(f"{path}, {error}") from None


def parse_env(text: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Parse the variables in a text; raises ValueError("line N: ...")."""
    variables: dict[str, str] = {}
    position = 0
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank is None:
            key, value, position = _assignment(text, position, {**variables, **(known or {})})
            variables[key] = value
        else:
            position = blank.end() or len(text)
    return variables


def _malformed(text: str, position: int, problem: str) -> ValueError:
    return ValueError(f"line {text.count(chr(10), 0, position) + 1}: {problem}")


def _assignment(text: str, start: int, known: Mapping[str, str]) -> tuple[str, str, int]:
    """Parse the assignment at `start`; returns name, value and the start of the next line."""
    key = _KEY.match(text, start)
    if key is None:
        raise _malformed(text, start, "expected KEY=VALUE")
    value, end = _value(text, key.end(), known)
    if "\0" in value:
        raise _malformed(text, start, "a value cannot hold a NUL character")
    rest = _BLANK.match(text, end)
    if rest is None:
        raise _malformed(text, end, "expected the end of the line after the closing quote")
    return key[1], value, rest.end()


def _value(text: str, start: int, known: Mapping[str, str]) -> tuple[str, int]:
    def replaced(match: re.Match[str]) -> str:
        groups = match.groupdict()
        if groups.get("escape") is not None:
            return _ESCAPES.get(groups["escape"], match[0])
        return known.get(groups["name"]) or groups["default"] or ""

    opening = text[start : start + 1]
    if opening not in ("'", '"'):
        plain = _PLAIN.match(text, start)
        assert plain is not None  # it matches the empty text too
        return _EXPANDED.sub(replaced, plain[0]), plain.end()
    quoted = (_SINGLE if opening == "'" else _DOUBLE).match(text, start)
    if quoted is None:
        raise _malformed(text, start, f"the quote {opening} is not closed")
    if opening == "'":
        return quoted[1], quoted.end()
    return _ESCAPED_OR_EXPANDED.sub(replaced, quoted[1]), quoted.end()
