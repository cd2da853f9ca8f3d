"""Request files of other projects: their bytes, and what the project expects of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.suites.case import Case
from tests.suites.probe import probe_cases


def cases_in(directory: Path) -> Iterator[Case]:
    """The cases of each suite that there is in a directory."""
    yield from gunicorn_cases(directory / "gunicorn" / "tests" / "requests")
    yield from llhttp_cases(directory / "llhttp" / "test" / "request")
    yield from probe_cases(directory / "Http11Probe" / "src" / "Http11Probe" / "TestCases" / "Suites")


_ESCAPES = {b"\\r\\n": b"\r\n", b"\\0": b"\0", b"\\n": b"\n", b"\\t": b"\t"}


def gunicorn_cases(directory: Path) -> Iterator[Case]:
    """gunicorn's: a .http file with written escapes, and a .py file beside it. Those that set options are left out."""
    for path in sorted(directory.glob("*/*.http")):
        expected = path.with_suffix(".py")
        if not expected.exists() or "cfg.set" in expected.read_text():
            continue
        data = path.read_bytes().replace(b"\n", b"")
        for written, meant in _ESCAPES.items():
            data = data.replace(written, meant)
        data = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda match: bytes([int(match[1], 16)]), data)
        is_valid = path.parent.name == "valid"
        yield Case("gunicorn", f"{path.parent.name}/{path.stem}", data, is_valid, _targets(expected))


def _targets(path: Path) -> tuple[str, ...]:
    """The targets in the literals of a .py file, which is read and not run."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "uri" and isinstance(value, ast.Call):
                    found += [each.value for each in value.args if isinstance(each, ast.Constant)]
    return tuple(str(each) for each in found)


_BLOCK = re.compile(
    r"^#+ (?P<title>[^\n]+)\n(?:(?!^#)[^\n]*\n)*?<!-- meta=\{(?P<meta>[^\n]*)\} -->\n"
    r"```http\n(?P<input>.*?)```\n+```log\n(?P<log>.*?)```",
    re.MULTILINE | re.DOTALL,
)


def llhttp_cases(directory: Path) -> Iterator[Case]:
    """llhttp's: Markdown with the input and the parser's log. Those for its lenient modes and pauses are left out."""
    for path in sorted(directory.glob("*.md")):
        for block in _BLOCK.finditer(path.read_text()):
            if not re.search(r'"type":\s*"request"', block["meta"]) or re.search("pause|skipBody", block["meta"]):
                continue
            log = block["log"]
            targets = tuple(re.findall(r'span\[url\]="(.*)"', log))
            yield Case(
                "llhttp", f"{path.stem}: {block['title']}", _llhttp_bytes(block["input"]), "error" not in log, targets
            )


def _llhttp_bytes(text: str) -> bytes:
    text = re.sub(r"\\\n", "", text.removesuffix("\n")).replace("\n", "\r\n")
    for written, meant in (("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\f", "\f")):
        text = text.replace(written, meant)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda match: chr(int(match[1], 16)), text)
    text = re.sub(r"\\([0-7]{1,3})", lambda match: chr(int(match[1], 8)), text)
    return text.encode("latin-1", "replace")
