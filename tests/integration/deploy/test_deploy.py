"""Reloads under load: all workers serve the new code, none serves failing code, and no request fails."""

from __future__ import annotations

import signal

import psutil
import pytest

from tests.support.corn_process import Served, write_app
from tests.support.http_client import Load

RELOADS = 5


def where(kind, directory):
    return ("--uds", str(directory / "corn.sock")) if kind == "unix" else ("--port", "0")


@pytest.mark.parametrize(("kind", "workers"), [("tcp", 4), ("unix", 1)])
def test_reload_under_load_fails_no_request(tmp_path, kind, workers):
    write_app(tmp_path, "v0")
    arguments = ("--workers", str(workers), *where(kind, tmp_path), "--no-access-log", "--soak", "0")
    with Served(tmp_path, "main:app", *arguments).wait_ready() as served, Load(served.address) as load:
        for number in range(1, RELOADS + 1):
            since = served.mark()
            write_app(tmp_path, f"v{number}")
            served.signal(signal.SIGHUP)
            served.wait_for(rf"reloaded: generation {number + 1} serves", since=since)
            so_far = len(load.answers)
            served.wait_until(lambda count=so_far: len(load.answers) > count + 50, "more answers")
        # An old worker answers one more request of a kept connection and closes it.
        new = {f"v{RELOADS}"}
        served.wait_until(lambda: {answer.split()[0] for answer in load.answers[-50:]} == new, "only the new code")
        load.stop()
        assert load.failures == []
        served.wait_until(lambda: len(served.workers()) == workers, "the old workers gone")


BAD = {
    "syntax error": ("def (:\n", r"SyntaxError"),
    "failing import": ("import nothing_like_this\n", r"No module named 'nothing_like_this'"),
    "exception": ("raise RuntimeError('oh no')\n", r"RuntimeError: oh no"),
    "sys.exit": ("import sys; sys.exit(0)\n", r"sys\.exit\(0\)"),
    "os._exit": ("import os; os._exit(0)\n", r"exited with code 0"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n", r"killed by SIGKILL"),
    "no application": ("app = None\n", r"is not an application: an object of type NoneType"),
    "hanging import": ("import time; time.sleep(3600)\n", r"--timeout-boot"),
    "lifespan raises": (
        "async def app(scope, receive, send):\n    raise RuntimeError('no database')\n",
        r"reload failed.*no database",
    ),
    "lifespan fails": (
        """
async def app(scope, receive, send):
    await receive()
    await send({'type': 'lifespan.startup.failed', 'message': 'no cache'})
""",
        r"reload failed.*no cache",
    ),
    "lifespan hangs": (
        "import asyncio\nasync def app(scope, receive, send):\n    await asyncio.sleep(3600)\n",
        r"timeout-boot|boot timed out",
    ),
    "lifespan exits": ("import os\nasync def app(*_):\n    os._exit(1)\n", r"reload failed.*exited with code 1"),
}


HANGING = ("hanging import", "lifespan hangs")


def boot_within(directory, seconds):
    """Set --timeout-boot of the next generation: short only where the timeout is expected to refuse the code."""
    (directory / "corn.toml").write_text(f"timeout-boot = {seconds}\n")


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    """Service for the tests of failing code; it never rolls back, as each test kills a worker soon after a reload."""
    directory = tmp_path_factory.mktemp("reloaded")
    write_good(directory, "first")
    boot_within(directory, 60)
    arguments = ("--workers", "2", "--port", "0", "--soak", "0", "--lifespan", "on", "--rollback-window", "0")
    with Served(directory, "main:app", *arguments, "--no-access-log").wait_ready() as served:
        yield served


@pytest.mark.parametrize("kind", BAD)
def test_failing_code_is_refused_and_next_reload_succeeds(reloaded, kind):
    source, said = BAD[kind]
    served, directory, since = reloaded, reloaded.directory, reloaded.mark()
    before = served.client().get().split()[0]
    with Load(served.address, clients=4) as load:
        (directory / "main.py").write_text(source)
        boot_within(directory, 2 if kind in HANGING else 60)
        served.signal(signal.SIGHUP)
        served.wait_for("reload failed", since=since)
        served.wait_for(said, since=since)
        boot_within(directory, 60)
        so_far = len(load.answers)
        served.wait_until(lambda: len(load.answers) > so_far + 50, "more answers")
        load.stop()
    assert load.failures == []
    assert {answer.split()[0] for answer in load.answers} == {before}
    victim = served.workers()[0]
    victim.kill()
    served.wait_until(lambda: len(served.workers()) == 2 and victim not in served.workers(), "a replacement")
    assert served.client().get().startswith(f"{before} ")
    better = f"after-{kind.replace(' ', '-')}"
    write_good(directory, better)
    served.signal(signal.SIGHUP)
    served.wait_for(r"reloaded: generation \d+ serves", since=since)
    served.wait_until(lambda: served.client().get().startswith(f"{better} "), "the better code")
    served.wait_until(lambda: len(served.workers()) == 2, "the old workers gone")


def write_good(directory, version):
    write_app(directory, version)
    (directory / "main.py").write_text((directory / "main.py").read_text().replace(*WITH_LIFESPAN))


WITH_LIFESPAN = (
    '    assert scope["type"] == "http"\n',
    """    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
""",
)


def test_invalid_config_at_reload_is_refused_with_reason(tmp_path):
    write_app(tmp_path, "one")
    (tmp_path / "corn.toml").write_text('app = "main:app"\nport = 0\nworkers = 1\n')
    with Served(tmp_path).wait_ready() as served:
        for text, said in (
            ('app = "main:app"\nport = 9\n', "port cannot change from 0 to 9 without a restart"),
            ('app = "main:app"\nport = 0\nwokers = 2\n', "unknown option 'wokers'; did you mean 'workers'"),
            ("app = \n", "corn.toml"),
        ):
            since = served.mark()
            (tmp_path / "corn.toml").write_text(text)
            served.signal(signal.SIGHUP)
            served.wait_for("reload refused, nothing was changed: .*" + said, since=since)
        (tmp_path / "corn.toml").write_text('app = "main:app"\nport = 0\nworkers = 3\n')
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_until(lambda: len(served.workers()) == 3, "three workers")


def test_reload_rereads_env_file(tmp_path):
    (tmp_path / "main.py").write_text(
        "import os\nasync def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    await send({'type': 'http.response.body', 'body': os.environ['GREETING'].encode()})\n"
    )
    (tmp_path / ".env").write_text("GREETING=hello\n")
    with Served(
        tmp_path, "main:app", "--port", "0", "--soak", "0", "--env-file", ".env", "--lifespan", "off"
    ).wait_ready() as served:
        assert served.client().get() == "hello"
        (tmp_path / ".env").write_text("GREETING='good evening'\n")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded")
        served.wait_until(lambda: served.client().get() == "good evening", "the new value")


def test_sigterm_during_hanging_reload_exits_0(tmp_path):
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0").wait_ready() as served:
        (tmp_path / "main.py").write_text("import time; time.sleep(3600)\n")
        served.signal(signal.SIGHUP)
        served.wait_for("loading generation 2")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []


WAITS = """
import pathlib, time
print("imports", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.01)
"""


def test_sighup_storm_causes_at_most_two_reloads(tmp_path):
    """The first reload lasts until all signals are sent, however long that takes."""
    write_app(tmp_path, "one")
    with Served(tmp_path, "main:app", "--port", "0", "--soak", "0").wait_ready() as served:
        write_app(tmp_path, "two", more=WAITS)
        served.signal(signal.SIGHUP)
        served.wait_for("imports")
        for _ in range(200):
            served.signal(signal.SIGHUP)
        served.wait_for("reload queued")
        (tmp_path / "go").touch()
        served.wait_for("reloaded: generation 3 serves")
        served.wait_until(lambda: len(served.workers()) == 1 and len(served.templates()) <= 2, "one worker")
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert "loading generation 4" not in served.output


def test_repeated_reloads_leak_no_descriptor_or_memory(tmp_path):
    write_app(tmp_path, "one")
    arguments = ("--port", "0", "--workers", "2", "--soak", "0", "--rollback-window", "0")
    with Served(tmp_path, "main:app", *arguments).wait_ready() as served:
        master = psutil.Process(served.pid)

        def reload(number):
            served.signal(signal.SIGHUP)
            served.wait_for(rf"reloaded: generation {number} serves")

        for number in range(2, 5):
            reload(number)
        served.wait_until(lambda: len(served.workers()) == 2 and len(served.templates()) == 1, "quiet")
        fds, memory = master.num_fds(), master.memory_info().rss
        for number in range(5, 15):
            reload(number)
        served.wait_until(lambda: len(served.workers()) == 2 and len(served.templates()) == 1, "quiet")
        served.wait_until(lambda: master.num_fds() <= fds, "the same descriptors")
        assert master.memory_info().rss < memory + (1 << 20)
        assert served.zombies() == []


HEALTH = """
async def checked(scope, receive, send):
    if scope["path"] == "/health":
        await send({{"type": "http.response.start", "status": {status}}})
        await send({{"type": "http.response.body"}})
    else:
        await app(scope, receive, send)
"""


def test_failed_health_check_refuses_reload(tmp_path):
    write_app(tmp_path, "good", more=HEALTH.format(status=204))
    arguments = ("--port", "0", "--workers", "2", "--health-path", "/health", "--soak", "0", "--lifespan", "off")
    with Served(tmp_path, "main:checked", *arguments).wait_ready() as served, Load(served.address, clients=4) as load:
        write_app(tmp_path, "bad", more=HEALTH.format(status=503))
        served.signal(signal.SIGHUP)
        served.wait_for("reload failed: .*the health check GET /health answered 503")
        write_app(tmp_path, "better", more=HEALTH.format(status=404))
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 3 serves")
        served.wait_until(lambda: {each.split()[0] for each in load.answers[-50:]} == {"better"}, "the better code")
        load.stop()
        assert load.failures == []
        assert "bad" not in {answer.split()[0] for answer in load.answers}


DYING = """
import asyncio

async def dying(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        while not os.path.exists("die"):
            await asyncio.sleep(0.01)
        os._exit(9)
    else:
        await app(scope, receive, send)
"""


def test_canary_crash_during_soak_withdraws_reload(tmp_path):
    write_app(tmp_path, "good", more="dying = app\n")
    arguments = ("--port", "0", "--workers", "2", "--soak", "60", "--log-level", "debug")
    with Served(tmp_path, "main:dying", *arguments).wait_ready() as served:
        before, since = {worker.pid for worker in served.workers()}, served.mark()
        write_app(tmp_path, "bad", more=DYING)
        served.signal(signal.SIGHUP)
        served.wait_for(r"worker 0 .*is ready", since=since)
        (tmp_path / "die").touch()
        served.wait_for("reload failed: .*a new worker crashed: exited with code 9")
        assert {worker.pid for worker in served.workers()} == before


def test_crash_soon_after_reload_rolls_back_from_memory(tmp_path):
    write_app(tmp_path, "good", more="dying = app\n")
    arguments = ("--port", "0", "--workers", "2", "--soak", "0", "--no-access-log")
    with Served(tmp_path, "main:dying", *arguments).wait_ready() as served:
        write_app(tmp_path, "bad", more=DYING)
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        (tmp_path / "main.py").unlink()
        (tmp_path / "die").touch()
        served.wait_for("rolled back: generation 1 serves again, generation 2 is withdrawn: a worker crashed soon")

        def is_all_old():
            titles = [served.title(worker) for worker in served.workers()]
            return len(served.templates()) == 1 and len(titles) == 2 and all(" g1 " in title for title in titles)

        served.wait_until(is_all_old, "the old code only")
        assert {served.client().get().split()[0] for _ in range(20)} == {"good"}


def test_previous_template_is_kept_for_rollback_window(tmp_path):
    write_app(tmp_path, "one")
    (tmp_path / "corn.toml").write_text("rollback-window = 600\n")
    with Served(tmp_path, "main:app", "--port", "0", "--soak", "0").wait_ready() as served:
        first = served.templates()
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        second = [each for each in served.templates() if each not in first]
        assert {*first} < {*served.templates()}
        (tmp_path / "corn.toml").write_text("rollback-window = 2\n")
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 3 serves")
        served.wait_until(lambda: len(served.templates()) == 1, "the previous templates gone")
        assert served.templates() not in (first, second)
