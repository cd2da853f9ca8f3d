"""Django's tests of live servers, with corn as the server: `python -m tests.suites.django_live TESTS LABEL ...`.

TESTS is the folder `tests` of a source distribution of the installed Django.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LABELS = ("servers.tests", "staticfiles_tests.test_liveserver")
_LASTS = 300  # seconds that a run may take


@dataclass(frozen=True)
class DjangoResults:
    """Number of tests that ran, and the names of those that failed."""

    tests: int
    failed: tuple[str, ...]


def run_django(directory: Path) -> DjangoResults:
    """Run the tests in a process of their own."""
    command = [sys.executable, "-m", "tests.suites.django_live", str(directory.absolute()), *LABELS]
    output = subprocess.run(command, timeout=_LASTS, capture_output=True, text=True, check=False).stderr
    ran = re.search(r"^Ran (\d+) tests", output, re.MULTILINE)
    if ran is None:
        raise RuntimeError(f"Django's tests did not run:\n{output}")
    skipped = re.search(r"skipped=(\d+)", output)
    failed = tuple(re.findall(r"^(?:FAIL|ERROR): (\w+)", output, re.MULTILINE))
    return DjangoResults(int(ran[1]) - int(skipped[1] if skipped else 0), failed)


def main() -> None:
    directory, *labels = sys.argv[1:]
    _serve_with_corn()
    os.chdir(directory)
    sys.path.insert(0, directory)
    sys.argv = ["runtests.py", "--parallel=1", *labels]
    runpy.run_path("runtests.py", run_name="__main__")


def _serve_with_corn() -> None:
    """Replace the server of Django's live tests."""
    from django.db import connections
    from django.test import testcases

    import corn

    class CornThread(testcases.LiveServerThread):
        """No thread in spite of its name: corn.Server has one of its own."""

        def start(self) -> None:
            handler = self.static_handler(testcases._MediaFilesHandler(testcases.WSGIHandler()))

            def app(environ, start_response):
                for alias, connection in (self.connections_override or {}).items():
                    connections[alias] = connection  # of the thread that runs the test
                return handler(environ, start_response)

            try:
                self.server = corn.Server(app, interface="wsgi", host=self.host, port=self.port)
                self.server.__enter__()
                self.port = self.port or int(self.server.addresses[0].rpartition(":")[2])
            except Exception as error:  # which the test reports
                self.error = error
            self.is_ready.set()

        def terminate(self) -> None:
            if self.error is None:
                self.server.__exit__(None, None, None)

    testcases.LiveServerTestCase.server_thread_class = CornThread


if __name__ == "__main__":
    main()
