"""Reader of Http11Probe's test cases: C# sources, of which each plain request and the statuses allowed for it are read.

Left out are cases that build their request in a loop or of bytes, send several requests in turn, or check more of the
response than its status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.suites.case import Case

_BLOCK = re.compile(r"yield return new TestCase\s*\{(.*?)\n        \};", re.DOTALL)
_ID = re.compile(r'Id = "([^"]+)"')
_PAYLOAD = re.compile(r"PayloadFactory = (.*?)\n            (?:Expected|BehavioralAnalyzer|Scored) =", re.DOTALL)
_TEXT = r'\$?"(?:[^"\\]|\\.)*"'
_TEXTS = rf"{_TEXT}(?:\s*\+\s*{_TEXT})*"
_VARIABLE = re.compile(rf"(?:var|const string) (\w+) =\s*({_TEXTS});")
_REPEATED = re.compile(r"var (\w+) = new string\('(.)', ([\d_]+)\);")
_LENGTH = re.compile(r"var (\w+) = Encoding\.ASCII\.GetByteCount\((\w+)\);")
_REQUEST = re.compile(rf"(?:MakeRequest|Encoding\.ASCII\.GetBytes)\(\s*({_TEXTS}|\w+)\s*\)")
_BUILT_OTHERWISE = re.compile(r"byte\[\]|CopyTo|for \(|StringBuilder|Random")
_STATUS = re.compile(r"ExpectedStatus = StatusCodeRange\.(?:Exact\((\d+)\)|Range(2xx))")
_DESCRIPTION = re.compile(r'\sDescription = "([^"]+)"')
_ALLOWED = re.compile(r"(?:\d{3}|2xx|close|timeout)(?: \(\w+\)| preferred| acceptable)?")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,4}|u[0-9a-fA-F]{4}|.)")
_MEANT = {"r": "\r", "n": "\n", "t": "\t", "0": "\0"}
HOST = "localhost"


def probe_cases(directory: Path) -> Iterator[Case]:
    """The cases of each suite of Http11Probe, in the order of its sources."""
    for path in sorted(directory.glob("*Suite.cs")):
        for block in _BLOCK.findall(path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")):
            data, allowed = _request(block), _allowed(block)
            if data is not None and allowed:
                yield Case("Http11Probe", _ID.findall(block)[0], data, "2xx" in allowed, allowed=allowed)


def _request(block: str) -> bytes | None:
    """The bytes that a case sends, None if they are built in another way than from text."""
    payload = _PAYLOAD.search(block)
    if payload is None or _BUILT_OTHERWISE.search(payload[1]):
        return None
    known = {"ctx.HostHeader": HOST}
    known.update({name: letter * int(times.replace("_", "")) for name, letter, times in _REPEATED.findall(payload[1])})
    for name, texts in _VARIABLE.findall(payload[1]):
        known[name] = _joined(texts, known) or ""
    known.update({name: str(len(known.get(of, ""))) for name, of in _LENGTH.findall(payload[1])})
    requests = _REQUEST.findall(payload[1])
    if len(requests) != 1:
        return None
    text = known.get(requests[0]) if requests[0].isidentifier() else _joined(requests[0], known)
    return None if text is None else text.encode("ascii", "replace")  # as Encoding.ASCII does


def _joined(texts: str, known: dict[str, str]) -> str | None:
    """The value of string literals that are joined by `+`, None if one has a hole for an unknown value."""
    whole = ""
    for literal in re.findall(_TEXT, texts):
        text = _ESCAPE.sub(_unescaped, literal.removeprefix("$")[1:-1])
        if literal.startswith("$"):
            if not set(re.findall(r"\{([^{}]*)\}", text)) <= known.keys():
                return None
            text = re.sub(r"\{([^{}]*)\}", lambda match: known[match[1]], text)
        whole += text
    return whole


def _unescaped(match: re.Match[str]) -> str:
    what = match[1]
    return chr(int(what[1:], 16)) if what[0] in "xu" and len(what) > 1 else _MEANT.get(what, what)


def _allowed(block: str) -> tuple[str, ...]:
    """The statuses that pass or warn, `close` and `timeout` for none; empty if the case says it in other words."""
    expected = block.partition("Expected = new")[2]
    if status := _STATUS.search(expected):
        closes = ("close",) if "AllowConnectionClose = true" in expected else ()
        return (status[1] or status[2], *closes)
    description = _DESCRIPTION.search(expected)
    parts = [] if description is None else re.split(r", or |/| or |; |, ", description[1])
    if not all(_ALLOWED.fullmatch(part) for part in parts):
        return ()
    return tuple(part.split()[0] for part in parts)
