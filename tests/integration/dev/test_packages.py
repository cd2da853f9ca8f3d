"""Installed packages under corn dev: preloaded by the template, and reloaded after an installation."""

import os
import subprocess
import sys

import pytest

from tests.support.dev_project import Developed, save, source


@pytest.fixture
def environment(tmp_path):
    """Virtual environment with its own package, in which corn and its dependencies can be imported."""
    directory = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True, timeout=60)
    (packages,) = directory.glob("lib/python*/site-packages")
    inherited = [path for path in sys.path if path and "site-packages" in path]
    (packages / "inherited.pth").write_text("\n".join([*inherited, os.getcwd()]))
    return directory, packages


def install(packages, version):
    (packages / "acme").mkdir(exist_ok=True)
    (packages / "acme" / "__init__.py").write_text(f"VERSION = {version!r}\n")
    for old in packages.glob("acme-*.dist-info"):
        old.rmdir()
    (packages / f"acme-{version}.dist-info").mkdir()


def test_reinstalled_package_is_reloaded(project, environment):
    directory, packages = environment
    install(packages, "1.0")
    text = source("x", before="import acme").replace("VERSION = 'x'", "VERSION = 'first ' + acme.VERSION")
    (project / "main.py").write_text(text)
    program = [str(directory / "bin" / "python"), "-m", "corn", "dev", "--log-level", "debug"]
    with Developed(project, program=program).wait_ready() as served:
        served.wait_for_answer("first 1.0")
        served.wait_for("packages are preloaded")
        install(packages, "2.0")
        served.wait_for_answer("first 2.0")
        save(project / "main.py", text.replace("first", "second"))
        served.wait_for_answer("second 2.0")


def test_package_unsafe_to_fork_is_excluded_from_preload(project, environment):
    directory, packages = environment
    install(packages, "1.0")
    (packages / "threaded").mkdir()
    started = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    (packages / "threaded" / "__init__.py").write_text(started)
    loaded = "import acme, threaded, sys, threading"
    text = source("x", before=loaded).replace("'x'", "f'first {acme.VERSION} {threading.active_count()}'")
    (project / "main.py").write_text(text)
    program = [str(directory / "bin" / "python"), "-m", "corn", "dev", "--log-level", "debug"]
    with Developed(project, program=program).wait_ready() as served:
        served.wait_for("threaded: not preloaded, because threaded started a thread")
        served.wait_for("packages are preloaded")
        served.wait_for_answer("first 1.0 2")
        save(project / "main.py", text.replace("first", "second"))
        served.wait_for_answer("second 1.0 2")


def test_project_module_shadowing_package_is_served(project, environment):
    directory, packages = environment
    install(packages, "1.0")
    text = source("x", before="import acme").replace("VERSION = 'x'", "VERSION = acme.VERSION")
    (project / "main.py").write_text(text)
    program = [str(directory / "bin" / "python"), "-m", "corn", "dev", "--log-level", "debug"]
    with Developed(project, program=program).wait_ready() as served:
        served.wait_for_answer("1.0")
        served.wait_for("packages are preloaded")
        save(project / "acme.py", "VERSION = 'mine'\n")
        served.wait_for_answer("mine")


def test_verify_reload_reports_difference_to_cold_start(project, environment):
    directory, packages = environment
    install(packages, "1.0")
    (packages / "acme" / "late.py").write_text("")
    # Only a cold start repeats what a library decides by the environment.
    (packages / "acme" / "__init__.py").write_text("import os\nif 'ACME' in os.environ: import acme.late\n")
    (project / "main.py").write_text(source("one", before="import acme"))
    program = [str(directory / "bin" / "python"), "-m", "corn", "dev", "--verify-reload", "--log-level", "debug"]
    with Developed(project, program=program).wait_ready() as served:
        served.wait_for("packages are preloaded")
        save(project / "main.py", source("two", before="import acme"))
        served.wait_for("verify-reload: a cold start has the same modules")
        save(project / "main.py", source("two", before="os.environ['ACME'] = 'yes'\nimport acme"))
        served.wait_for("verify-reload: compared with a cold start, module acme.late is not loaded")
