"""File watching of corn dev: symbolic links, names that are not UTF-8, and directories that are removed."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import threading
import time

import pytest

from tests.support.dev_project import Developed, save, source


def version_of(module):
    """Application whose version comes from another module."""
    return source("x", before=f"import {module}").replace("VERSION = 'x'", f"VERSION = {module}.VERSION")


def pause(seconds):
    threading.Event().wait(seconds)


def pauses_between(times):
    """The number of pauses, as a loaded machine makes between two saves: each ends a series."""
    return sum(after - before > 0.1 for before, after in itertools.pairwise(times))


@pytest.mark.parametrize("name", [b"caf\xe9.py", b"caf\xe9.log", b"\xff\xfe"])
def test_file_name_not_utf_8_does_not_stop_watching(project, name):
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("one")
        with open(os.path.join(os.fsencode(project), name), "w") as file:
            file.write("VERSION = 1\n")
        for version in ("two", "six"):
            save(project / "main.py", source(version))
            served.wait_for_answer(version)
        assert "Traceback" not in served.output


def test_project_with_names_not_utf_8_is_reloaded(project):
    odd = os.path.join(os.fsencode(project), b"d\xe9j\xe0")
    os.mkdir(odd)
    with open(os.path.join(odd, b"vu\xe9.py"), "w") as file:
        file.write("")
    with Developed(project, "--no-refresh").wait_ready() as served:
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")
        mark = served.mark()
        with open(os.path.join(odd, b"vu\xe9.py"), "w") as file:
            file.write("VERSION = 1\n")
        served.wait_for(r"reloaded in .*d\\xe9j\\xe0/vu\\xe9\.py", since=mark)


@pytest.mark.parametrize("how", [(), ("--reload-polling",)], ids=["notified", "polled"])
def test_symlinked_package_is_watched(project, tmp_path, how):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "__init__.py").write_text("VERSION = 'one'")
    (project / "linked").symlink_to(tmp_path / "elsewhere")
    (project / "main.py").write_text(version_of("linked"))
    with Developed(project, *how).wait_ready() as served:
        served.wait_for_answer("one")
        save(tmp_path / "elsewhere" / "__init__.py", "VERSION = 'two'")
        served.wait_for_answer("two")
        (tmp_path / "another").mkdir()
        (tmp_path / "another" / "__init__.py").write_text("VERSION = 'six'")
        (project / "fresh").symlink_to(tmp_path / "another")
        (project / "fresh").rename(project / "linked")
        served.wait_for_answer("six")
        save(tmp_path / "another" / "__init__.py", "VERSION = 'ten'")
        served.wait_for_answer("ten")


def test_symlinked_module_is_watched(project, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "common.py").write_text("VERSION = 'one'")
    (project / "linked.py").symlink_to(tmp_path / "shared" / "common.py")
    (project / "main.py").write_text(version_of("linked"))
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("one")
        save(tmp_path / "shared" / "common.py", "VERSION = 'two'")
        served.wait_for_answer("two")
        (tmp_path / "shared" / "common.py").write_text("VERSION = 'six'")
        served.wait_for_answer("six")


def test_project_opened_through_symlink_is_watched(project, tmp_path):
    (tmp_path / "link").symlink_to(project)
    with Developed(tmp_path / "link").wait_ready() as served:
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")


@pytest.mark.parametrize("away", ["removed", "moved"])
def test_restored_working_directory_is_served_again(project, tmp_path, away):
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("one")
        if away == "removed":
            shutil.rmtree(project)
        else:
            project.rename(tmp_path / "aside")
            served.wait_for("reloaded in")
        if away == "removed":
            served.wait_for_failure("working directory")
            project.mkdir()
            (project / "main.py").write_text(source("two"))
        else:
            (tmp_path / "aside" / "main.py").write_text(source("two"))
            (tmp_path / "aside").rename(project)
        served.wait_for_answer("two")
        save(project / "main.py", source("six"))
        served.wait_for_answer("six")
        assert "Traceback" not in served.output


def test_replaced_working_directory_is_served_and_watched(project, tmp_path):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "main.py").write_text(source("two", before="assert os.getcwd()"))
    (fresh / "name.txt").write_text("six")
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("one")
        project.rename(tmp_path / "aside")
        fresh.rename(project)
        served.wait_for_answer("two")
        save(project / "main.py", source("x").replace("VERSION = 'x'", "VERSION = open('name.txt').read()"))
        served.wait_for_answer("six")


def test_unreadable_git_directory_does_not_hide_saves(tmp_path):
    # To root every directory is readable; a name that is too long fails in the same way.
    (tmp_path / ".git").symlink_to("x" * 5 + "/" + "y" * 300)
    project = tmp_path / "project"
    project.mkdir()
    (project / "main.py").write_text(source("one"))
    with Developed(project).wait_ready() as served:
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")


def test_browser_asset_change_does_not_reload_code(project):
    (project / "static").mkdir()
    with Developed(project, "--log-level", "debug").wait_ready() as served:
        served.wait_for_answer("one")
        (worker,) = served.workers()
        for name in ("plot.png", "upload.js", "logo.svg", "static/photo.jpeg", "static/font.woff2", "static/style.css"):
            save(project / name, "x")
            served.wait_for(rf"browsers are refreshed: .*{re.escape(name)}")
        mark = served.mark()
        save(project / "main.py", source("two"))
        served.wait_for(r"reloaded in .*: main\.py$", since=mark)
        assert len(served.reloads()) == 1
        served.wait_until(lambda: worker.pid not in {each.pid for each in served.workers()}, "the worker is replaced")


def test_removed_package_reloads_code(project):
    package = project / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("VERSION = 'one'\n")
    (project / "main.py").write_text(version_of("shop"))
    with Developed(project, "--log-level", "debug").wait_ready() as served:
        served.wait_for_answer("one")
        served.wait_for("directories are watched")
        package.rename(project.parent / "shop")
        served.wait_for("No module named 'shop'")


def test_fifty_sequential_saves_are_few_reloads_and_last_state_serves(project):
    package = project / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for number in range(50):
        (package / f"m{number}.py").write_text("VERSION = 'old'")
    names = ", ".join(f"m{number}" for number in range(50))
    before = f"from package import {names}"
    text = source("x", before=before).replace(
        "VERSION = 'x'", f"VERSION = ','.join(sorted({{m.VERSION for m in [{names}]}}))"
    )
    (project / "main.py").write_text(text)
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("old")
        times = [time.monotonic()]
        for number in range(50):
            save(package / f"m{number}.py", "VERSION = 'new'")
            pause(0.03)
            times.append(time.monotonic())
        served.wait_for_answer("new")
        assert len(served.reloads()) <= 4 + int(times[-1] - times[0]) + pauses_between(times)


def test_saves_during_reload_are_coalesced(project):
    slow = "print('boots', flush=True); import time; time.sleep(0.4)"
    with Developed(project).wait_ready() as served:
        save(project / "main.py", source("two", before=slow))
        served.wait_for("^boots")
        times = [time.monotonic()]
        for version in ("three", "four", "five"):
            save(project / "main.py", source(version, before=slow))
            pause(0.05)
            times.append(time.monotonic())
        served.wait_for_answer("five")
        assert len(served.reloads()) <= 2 + pauses_between(times)


def test_save_during_hanging_boot_is_served(project):
    with Developed(project).wait_ready() as served:
        save(project / "main.py", source("two", before="print('boots', flush=True); import time; time.sleep(3600)"))
        served.wait_for("^boots")
        save(project / "main.py", source("six"))
        served.wait_for_answer("six")
