"""h2spec, a program that tests a server of HTTP/2: run against corn, and its JUnit report read."""

from __future__ import annotations

import subprocess
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_LASTS = 300  # seconds that a run may take


@dataclass(frozen=True)
class Http2Results:
    """Number of test cases, and the names of those that failed."""

    cases: int
    failed: tuple[str, ...]


def run_h2spec(program: Path, address: str) -> Http2Results:
    """Run all cases, the strict ones too, against the address of a server."""
    where = urlsplit(address)
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        arguments = [
            "--host",
            str(where.hostname),
            "--port",
            str(where.port),
            "--strict",
            "--junit-report",
            str(report),
        ]
        subprocess.run([program, *arguments], timeout=_LASTS, capture_output=True, check=False)
        return results_in(report.read_text())


def results_in(report: str) -> Http2Results:
    """The results in a JUnit report."""
    cases = list(ET.fromstring(report).iter("testcase"))
    bad = [each for each in cases if each.find("failure") is not None or each.find("error") is not None]
    return Http2Results(len(cases), tuple(f"{each.get('package')}: {each.get('classname')}" for each in bad))
