"""Scripts of continuous integration in `.ci`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PACKAGES

CI = Path(__file__).parent.parent / ".ci"
FAKES = {
    "dpkg-query": """
case "$*" in
*Status-Status*)
    grep --quiet --line-regexp "${@: -1}" "$STATE/installed" || echo -n "not-"
    echo -n installed ;;
esac""",
    "apt-get": """
case "$1" in
install) package=${@: -1}
    echo "$package" >> "$STATE/asked"
    [ "$package" = "$BROKEN" ] && exit 100
    echo "$package" >> "$STATE/installed" ;;
esac""",
    "make": 'echo "make $*"',
}


@pytest.fixture
def ci_run(tmp_path):
    """`ci_run(installed, broken)` runs .ci/run with these packages installed and one that cannot be installed."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in FAKES.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (programs / name).chmod(0o755)

    def run(installed, broken=""):
        (tmp_path / "installed").write_text("".join(f"{each}\n" for each in installed))
        (tmp_path / "asked").write_text("")
        done = subprocess.run(
            [CI / "run"],
            env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "STATE": str(tmp_path), "BROKEN": broken},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done, (tmp_path / "asked").read_text().split()

    return run


def test_ci_packages_match_test_requirements():
    listed = re.search(r"^packages=\((.*)\)$", (CI / "run").read_text(), re.MULTILINE)[1].split()
    assert set(listed) == set(PACKAGES.values())


def test_ci_run_with_all_packages_installs_nothing(ci_run):
    done, asked = ci_run(PACKAGES.values())
    assert (done.returncode, done.stdout, asked) == (0, "make test\n", [])


def test_ci_run_installs_missing_packages(ci_run):
    done, asked = ci_run(["chromium", "curl", "haproxy", "nghttp2-client"])
    assert asked == ["chromium-driver", "tmux"]
    assert done.stdout.splitlines() == [".ci/run: installing chromium-driver tmux", "make test"]


def test_ci_run_reports_failed_packages_in_one_line(ci_run):
    done, asked = ci_run(["chromium", "curl", "haproxy"], broken="nghttp2-client")
    assert asked == ["chromium-driver", "nghttp2-client", "tmux"]
    assert done.returncode == 1
    assert done.stderr == ".ci/run: could not be installed, and tests need them: nghttp2-client\n"


def test_ci_python_finds_only_requested_version():
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.environ["PATH"]])
    found = subprocess.run(
        [CI / "python", version], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True
    )
    shown = subprocess.run([found.stdout.strip(), "--version"], capture_output=True, text=True, check=True).stdout
    assert shown.startswith(f"Python {version}.")
    assert subprocess.run([CI / "python", "3.1"], check=False).returncode == 1
