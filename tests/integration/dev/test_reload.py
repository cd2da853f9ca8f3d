"""Reloads of corn dev, through the command line, with real files."""

import os
import signal
import sys
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.corn_process import DEADLINE, Served
from tests.support.dev_project import Developed, save, source
from tests.support.http_client import Load


def has_ended(sock):
    """Whether the peer has closed the connection; pending data is discarded."""
    try:
        return sock.recv(65536) == b""
    except ConnectionError:
        return True


def test_saved_change_is_served_and_logged_in_one_line(project):
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("one")
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")
        served.wait_for(r"reloaded in \d+ ms \(app \d+, lifespan \d+\): main\.py$")
        served.wait_until(lambda: len(served.workers()) == 1, "one worker is left")


def test_saves_under_load_fail_no_request_and_serve_only_new_code(project):
    with Developed(project, "--no-access-log").wait_ready() as served, Load(served.address, clients=4) as load:
        for version in ("two", "six", "ten"):
            save(project / "main.py", source(version))
            served.wait_for_answer(version)
            assert served.client().get() == version
        load.stop()
        assert load.failures == []


def test_saves_of_equal_size_within_second_are_served(project):
    with Developed(project, PYTHONDONTWRITEBYTECODE="").wait_ready() as served:
        for version in ("two", "six", "ten", "one"):
            (project / "main.py").write_text(source(version))
            served.wait_for_answer(version)


@pytest.fixture(scope="module")
def developed(tmp_path_factory):
    """Service for the tests of failing code, each of which ends with working code."""
    directory = tmp_path_factory.mktemp("developed")
    (directory / "main.py").write_text(source("one"))
    with Developed(directory).wait_ready() as served:
        yield served


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("def app(:\n    pass\n", ["main.py:1", "SyntaxError"]),
        (source("two", before="import nothing_like_it"), ["main.py:3", "No module named 'nothing_like_it'"]),
        (source("two", before="raise ValueError('too bad')"), ["main.py:3", "ValueError: too bad"]),
        (source("two", lifespan="raise OSError('no database')"), ["main.py", "OSError: no database"]),
        (source("two", before="import sys; sys.exit(0)"), ["main.py:3", "SystemExit: 0"]),
        (source("two", before="os._exit(0)"), ["exited with code 0"]),
        (source("two", before="os.abort()"), ["SIGABRT"]),
        ("other = 1\n", ["has no 'app'"]),
    ],
    ids=["syntax", "import", "exception", "start-up", "exit", "hard-exit", "abort", "no-app"],
)
def test_failing_code_shows_error_until_fixed(developed, text, shown):
    since = developed.mark()
    save(developed.directory / "main.py", text)
    developed.wait_for_failure(*shown)
    developed.wait_for("the application failed to start; waiting for a change", since=since)
    save(developed.directory / "main.py", source("two"))
    developed.wait_for_answer("two")


def test_failing_first_start_waits_for_fix(project):
    (project / "main.py").write_text("import other\n" + source("one"))
    with Developed(project).wait_ready() as served:
        served.wait_for_failure("No module named 'other'")
        (project / "other.py").write_text("")
        served.wait_for_answer("one")


def test_unknown_module_exits_2_with_one_line(project):
    with Served(project, "mian:app", "--port", "0", program=[sys.executable, "-m", "corn", "dev"]) as served:
        assert served.wait_exit() == 2
        assert "no module named 'mian'" in served.output
        assert "Traceback" not in served.output


def test_open_stream_does_not_delay_reload(project):
    with Developed(project).wait_ready() as served:
        client = served.client()
        stream = client.connect()
        stream.sendall(b"GET /stream HTTP/1.1\r\nHost: corn\r\n\r\n")
        assert b"200" in stream.recv(4096)
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")
        served.wait_until(lambda: has_ended(stream), "the old stream ends")
        stream.close()
        served.wait_until(lambda: len(served.workers()) == 1, "one worker is left")


def test_open_websocket_closes_with_1012_without_delay(project):
    websocket = """
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
"""
    text = source("one").replace('    if scope["path"] == "/die":', websocket + '    if scope["path"] == "/die":')
    (project / "main.py").write_text(text)
    with Developed(project).wait_ready() as served, connect(served.address.replace("http", "ws")) as client:
        client.send("hello")
        save(project / "main.py", text.replace("'one'", "'two'"))
        served.wait_for_answer("two")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=DEADLINE)
        assert client.protocol.close_code == 1012
        served.wait_until(lambda: len(served.workers()) == 1, "one worker is left")


def test_in_flight_request_is_finished_by_old_code(project):
    until_drain = """print("asked", flush=True)
        await scope["extensions"]["corn.drain"]["event"].wait()"""
    (project / "main.py").write_text(source("one").replace("await asyncio.sleep(0.4)", until_drain))
    with Developed(project).wait_ready() as served:
        answers = []
        slow = threading.Thread(target=lambda: answers.append(served.client().get("/slow")))
        slow.start()
        served.wait_for("^asked")
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")
        slow.join(DEADLINE)
        assert answers == ["one"]


def test_crashed_worker_is_restarted(project):
    with Developed(project).wait_ready() as served:
        with pytest.raises(OSError, match="closed"):
            served.client().get("/die")
        served.wait_for_answer("one")


def files_of(reload):
    """The number of files that a line about a reload names: `a.py, b.py, c.py and 7 others`."""
    named, _, others = reload.rpartition(": ")[2].partition(" and ")
    return len(named.split(", ")) + int(others.split()[0] if others else 0)


def test_checkout_of_many_files_reloads_few_times_and_touch_never(project):
    package = project / "package"
    package.mkdir()
    files = [package / f"module{number}.py" for number in range(500)]
    for file in files:
        file.write_text("VALUE = 1\n")
    with Developed(project, "--log-level", "debug").wait_ready() as served:
        served.wait_for("directories are watched")
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")
        (project / ".git").mkdir()
        lock = project / ".git" / "index.lock"
        lock.write_text("")
        fresh = [file.with_suffix(".new") for file in files]
        for each in fresh:
            each.write_text("VALUE = 2\n")
        for each, file in zip(fresh, files, strict=True):  # quickly: a pause of this process ends a batch
            each.rename(file)
        save(project / "main.py", source("six"))
        lock.unlink()
        served.wait_until(lambda: sum(map(files_of, served.reloads())) == 1 + len(files) + 1, "all files are reloaded")
        served.wait_for_answer("six")
        assert len(served.reloads()) < 20, served.output
        mark = served.mark()
        for file in files:
            os.utime(file)
        save(project / "main.py", source("ten"))
        served.wait_for(r"reloaded in .*: main\.py$", since=mark)
        served.wait_for_answer("ten")
        assert sum(map(files_of, served.reloads())) == 1 + len(files) + 1 + 1


def test_save_reloads_all_workers(project):
    with Developed(project, "--workers", "3").wait_ready() as served:
        before = {each.pid for each in served.workers()}
        assert len(before) == 3
        save(project / "main.py", source("two"))
        served.wait_for("reloaded in")
        served.wait_until(lambda: len({each.pid for each in served.workers()} - before) == 3, "three new workers")
        assert {served.client().get() for _ in range(12)} == {"two"}


def test_reload_dir_option_watches_outside_directory(project, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    (library / "shared.py").write_text("NAME = 'one'\n")
    text = source("one", before="import shared").replace("VERSION = 'one'", "VERSION = shared.NAME")
    (project / "main.py").write_text(text)
    named = ("--reload-dir", ".", "--reload-dir", str(library))
    with Developed(project, *named, PYTHONPATH=str(library)).wait_ready() as served:
        served.wait_for_answer("one")
        save(library / "shared.py", "NAME = 'two'\n")
        served.wait_for_answer("two")


def test_new_directory_is_watched(project):
    (project / "main.py").write_text(source("one", before="try:\n    import extra\nexcept ImportError: pass"))
    with Developed(project).wait_ready() as served:
        (project / "extra" / "deep").mkdir(parents=True)
        (project / "extra" / "__init__.py").write_text("from extra.deep.part import VALUE")
        (project / "extra" / "deep" / "part.py").write_text("VALUE = 1")
        served.wait_for("reloaded in")
        mark = served.mark()
        save(project / "extra" / "deep" / "part.py", "VALUE = 2")
        served.wait_for(r"reloaded in .*part\.py", since=mark)


def test_restored_directory_is_watched_again(project):
    package = project / "package"
    package.mkdir()
    (package / "__init__.py").write_text("NAME = 'one'")
    text = source("x", before="import package").replace("VERSION = 'x'", "VERSION = package.NAME")
    (project / "main.py").write_text(text)
    with Developed(project, "--log-level", "debug").wait_ready() as served:
        served.wait_for_answer("one")
        served.wait_for("directories are watched")
        package.rename(project / "elsewhere")
        served.wait_for_failure("No module named 'package'")
        (project / "elsewhere").rename(package)
        served.wait_for_answer("one")
        save(package / "__init__.py", "NAME = 'two'")
        served.wait_for_answer("two")


def test_changed_env_file_reloads_environment(project):
    (project / ".env").write_text("NAME=one\n")
    (project / "main.py").write_text(source("x").replace("VERSION = 'x'", "VERSION = os.environ['NAME']"))
    with Developed(project, "--env-file", ".env").wait_ready() as served:
        served.wait_for_answer("one")
        save(project / ".env", "NAME=two\n")
        served.wait_for_answer("two")


def test_changed_config_file_is_reread(project):
    config = project / "corn.toml"
    config.write_text("header = ['x-name: one']\n")
    with Developed(project).wait_ready() as served:
        served.wait_for_answer("one")
        save(config, "[dev]\nworkers = 2\n")
        served.wait_until(lambda: len(served.workers()) == 2, "two workers")
        save(config, "workres = 3\n")
        served.wait_for("unknown option 'workres'; did you mean 'workers'")
        assert served.client().get() == "one"


def test_production_config_is_ignored_except_dev_section(project):
    (project / "corn.toml").write_text("bind = ['0.0.0.0:0']\nworkers = 3\nsoak = 9\n")
    with Developed(project).wait_ready() as served:
        assert served.address.startswith("http://127.0.0.1:")
        assert len(served.workers()) == 1
        served.wait_for(r"corn dev ignores bind, workers, soak of corn\.toml; set values for development in \[dev\]")


def test_keep_last_good_serves_old_code_until_fixed(project):
    with Developed(project, "--keep-last-good").wait_ready() as served:
        save(project / "main.py", "raise ValueError('too bad')")
        served.wait_for("ValueError: too bad")
        assert {served.client().get() for _ in range(5)} == {"one"}
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")


@pytest.mark.parametrize("how", [["--preload", "none"], ["--reload-polling"], ["--no-refresh"], ["--loop", "asyncio"]])
def test_reload_works_with_other_options(project, how):
    with Developed(project, *how).wait_ready() as served:
        served.wait_for_answer("one")
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")


def test_no_reload_option_starts_no_watcher(project):
    with Developed(project, "--no-reload").wait_ready() as served:
        served.wait_for_answer("one")
        served.wait_until(lambda: all(each.startswith("corn ") for each in served.names()), "each process has its name")
        assert "corn worker 0" in served.names()
        assert "corn watcher" not in served.names()


def test_sigint_to_process_group_exits_0_despite_open_stream(project):
    with Developed(project).wait_ready() as served:
        stream = served.client().connect()
        stream.sendall(b"GET /stream HTTP/1.1\r\nHost: corn\r\n\r\n")
        assert b"200" in stream.recv(4096)
        os.killpg(served.pid, signal.SIGINT)
        assert served.wait_exit() == 0
        stream.close()
        served.wait_until(lambda: served.leftovers() == [], "no process is left")


def test_killed_watcher_is_restarted(project):
    with Developed(project).wait_ready() as served:
        served.wait_until(lambda: served.named("corn watcher"), "the watcher has started")
        (watcher,) = served.named("corn watcher")
        watcher.kill()
        served.wait_for("restarting it")
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")


def test_killed_template_is_replaced(project):
    with Developed(project).wait_ready() as served:
        for template in served.templates():
            template.kill()
        served.wait_for("template .* was lost")
        save(project / "main.py", source("two"))
        served.wait_for_answer("two")


def test_profile_reload_lists_slowest_modules(project):
    (project / "slow.py").write_text("import time; time.sleep(0.05)")
    (project / "main.py").write_text(source("one", before="import slow"))
    with Developed(project, "--profile-reload").wait_ready() as served:
        served.wait_for(r"\d+\.\d ms  slow$")
        served.wait_for(r"\d+\.\d ms  main$")


def test_save_during_start_is_served(project):
    with Developed(project) as served:
        save(project / "main.py", source("two"))
        served.wait_ready().wait_for_answer("two")
