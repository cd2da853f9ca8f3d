"""Terminal output of corn dev: banner, keys, and progress of a slow start."""

import pytest

from tests.support.dev_project import Developed, save, source
from tests.support.shell import wait_until

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
LITESTAR = "from litestar import Litestar\napp = Litestar([])\n"
BUSY = "import os, time\nwhile not os.path.exists('{released}'): time.sleep(0.01)\n"


def test_banner_in_terminal_shows_addresses_directories_and_keys(project, shell):
    shell.develop()
    shell.wait_for(r"  Local    http://127\.0\.0\.1:\d+\r?\n")
    shell.wait_for(r"  Network  this machine only; --host 0\.0\.0\.0 changes that")
    shell.wait_for(rf"  Watching {str(project)[:40]}")
    shell.wait_for("  Keys     r reload, o open, c clear, q quit")
    assert "Docs" not in shell.output


@pytest.mark.parametrize(("app", "path"), [(FASTAPI, "/docs"), (LITESTAR, "/schema")], ids=["fastapi", "litestar"])
def test_banner_shows_docs_url_of_framework(project, shell, app, path):
    (project / "main.py").write_text(app)
    shell.develop()
    shell.wait_for(rf"  Docs     {shell.address}{path}\r?\n")
    assert shell.client().request(path)[0] == 200


def test_banner_shows_network_address(shell):
    shell.develop("--host 0.0.0.0")
    shell.wait_for(r"  Local    http://127\.0\.0\.1:\d+")
    shell.wait_for(r"  Network  (http://\d+\.\d+\.\d+\.\d+:\d+|this machine has no network address)")


def test_banner_fits_narrow_terminal(shell):
    shell.run("stty cols 30")
    shell.develop()
    shell.wait_for("  Keys  ")
    lines = [each for each in shell.output.replace("\r", "").split("\n") if each.startswith("  ")]
    assert lines
    assert all(len(each) <= 30 for each in lines)


def test_banner_is_not_printed_without_terminal(project):
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("one")
        assert "Local" not in served.output


def test_keys_reload_clear_and_quit(shell):
    shell.develop()
    shell.wait_for("  Keys  ")
    shell.type("r")
    shell.wait_for(r"reloaded in \d+ ms .*: requested")
    shell.type("c")
    shell.wait_for(r"\x1b\[2J")
    shell.type("q")
    wait_until(lambda: not shell.master.is_running(), "it ends")
    shell.run("echo typed-$((1 + 1))")
    shell.wait_for("echo typed")  # the terminal shows what is typed again
    shell.wait_for("typed-2")


@pytest.mark.parametrize("how", ["key", "option"])
def test_open_key_and_option_start_browser(project, shell, how):
    browser = project / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > opened.tmp; mv opened.tmp opened\n')
    browser.chmod(0o755)
    shell.run(f"export BROWSER={browser}")
    if how == "option":
        shell.develop("--open")
    else:
        shell.develop()
        shell.wait_for("  Keys  ")
        shell.type("o")
    wait_until((project / "opened").exists, "the browser is started")
    assert (project / "opened").read_text().strip() == shell.address


def test_open_key_without_browser_prints_address(shell):
    shell.run("export BROWSER=false DISPLAY= WAYLAND_DISPLAY= PATH=")
    shell.develop()
    shell.wait_for("  Keys  ")
    shell.type("o")
    shell.wait_for(rf"no browser could be started; open {shell.address}\r?\n")


def test_no_keys_option_ignores_input(shell):
    shell.develop("--no-keys")
    shell.wait_for("  Local  ")
    shell.type("q\n")
    assert shell.answers("one")
    assert "Keys" not in shell.output


@pytest.mark.parametrize("call", ["input()", "__import__('pdb').set_trace()"])
def test_application_input_is_not_read_as_keys(project, shell, call):
    place = '    if scope["path"] == "/die":'
    text = source("one").replace(place, f'    if scope["path"] == "/ask":\n        {call}\n{place}')
    (project / "main.py").write_text(text)
    shell.develop()
    shell.wait_for("  Keys  ")
    sock = shell.client().connect()
    sock.sendall(b"GET /ask HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    if "pdb" in call:
        shell.wait_for(r"\(Pdb\)")
    else:
        wait_until(
            lambda: "ICANON" in settings(shell) and "ECHO" in settings(shell), "the terminal is in canonical mode"
        )
    shell.type("c\n")
    assert b"200" in sock.recv(65536)
    sock.close()
    save(project / "main.py", source("two"))
    wait_until(lambda: shell.answers("two"), "the new code is served")
    shell.type("q")
    wait_until(lambda: not shell.master.is_running(), "it ends")


def settings(shell):
    import termios

    flags = termios.tcgetattr(shell.fd)[3]
    return [name for name in ("ICANON", "ECHO") if flags & getattr(termios, name)]


def test_slow_start_shows_imported_module(project):
    (project / "slow_module.py").write_text(BUSY.format(released="go"))
    (project / "main.py").write_text(source("one", before="import slow_module"))
    with Developed(project) as served:
        served.wait_for(r"importing slow_module \.\.\.")
        (project / "go").touch()
        served.wait_for("serves main:app")


def test_very_slow_start_shows_slowest_modules(project):
    (project / "slow_module.py").write_text(BUSY.format(released="first"))
    (project / "other_module.py").write_text(BUSY.format(released="second"))
    (project / "main.py").write_text(source("one", before="import slow_module, other_module"))
    with Developed(project) as served:
        served.wait_for(r"importing slow_module \.\.\.")
        (project / "first").touch()
        served.wait_for(
            r"main:app has been starting for \d+ s; slowest so far: \w+_module \d+\.\d s, \w+_module \d+\.\d s"
        )
        (project / "second").touch()
        served.wait_for("serves main:app")


def test_slow_lifespan_start_is_shown(project):
    (project / "main.py").write_text(
        source("one", lifespan="while not os.path.exists('go'): await asyncio.sleep(0.01)")
    )
    with Developed(project) as served:
        served.wait_for(r"waiting for the lifespan start-up \.\.\.")
        (project / "go").touch()
        served.wait_for("serves main:app")


def test_fast_start_shows_no_progress(project):
    began = "import time; began = time.monotonic()"
    took = "print(f'took {time.monotonic() - began:.1f} s', flush=True)"
    (project / "main.py").write_text(source("one", before=began, lifespan=took))
    with Developed(project).wait_ready() as served:
        seconds = float(served.wait_for(r"^took (\S+) s$")[1])
        assert "importing" not in served.output or seconds >= 0.5  # which a loaded machine may need
