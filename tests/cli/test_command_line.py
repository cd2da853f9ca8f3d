"""Common behavior of all commands: help, version, and usage errors in one line."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from corn.config.schema import OPTIONS
from corn.config.types import Flag
from corn.version import __version__
from tests.cli.conftest import COMMAND, DEADLINE

WINDOWS = "import sys; sys.platform = 'win32'; before = set(sys.modules); from corn.cli.main import main; "


def test_version_is_printed(corn):
    assert corn("--version").stdout == f"corn {__version__}\n"


def test_console_script_prints_version():
    script = Path(sysconfig.get_path("scripts")) / "corn"
    shown = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert shown.stdout == f"corn {__version__}\n"


def test_missing_command_prints_help_and_exits_2(corn):
    done = corn()
    assert (done.returncode, done.stdout) == (2, "")
    assert "serve Serve an application." in " ".join(done.stderr.split())
    assert "corn serve main:app --workers auto" in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 80


@pytest.mark.parametrize("command", ["serve", "dev", "config"])
def test_help_lists_all_options_in_80_columns(corn, command):
    done = corn(command, "--help", COLUMNS="80")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    for option in OPTIONS:
        flag = option.flag.replace("--", "--[no-]", 1) if isinstance(option.kind, Flag) else option.flag
        assert (f"{flag} " in done.stdout) == (command == "config" or option.command in ("", command))
    assert "Addresses:\n" in done.stdout
    assert "-w, --workers N|N..M|auto" in done.stdout
    assert "--[no-]access-log" in done.stdout
    assert "Port to listen on; 0 picks a free one. [8000]" in done.stdout
    assert corn(command, "-h", COLUMNS="80").stdout == done.stdout


MISTAKES = [
    (["serv"], "unknown command 'serv'; did you mean 'serve'?"),
    (["main:app"], "unknown command 'main:app'; did you mean 'corn serve main:app'?"),
    (["scale"], "missing argument N|+N|-N; see 'corn scale --help'"),
    (["run", "main:app"], "unknown command 'run'; did you mean 'corn serve'?"),
    (["start"], "unknown command 'start'; did you mean 'corn serve'?"),
    (["help"], "unknown command 'help'; did you mean 'corn --help'?"),
    (["zzz"], "unknown command 'zzz'; see 'corn --help'"),
    (["--zzz"], "unknown option '--zzz'; see 'corn --help'"),
    (["serve", "--wokers", "3"], "unknown option '--wokers'; did you mean '--workers'?"),
    (["serve", "--no-acces-log"], "unknown option '--no-acces-log'; did you mean '--no-access-log'?"),
    (["serve", "main:app", "--reload"], "--reload is an option of 'corn dev'"),
    (["dev", "main:app", "--soak", "3"], "--soak is an option of 'corn serve'"),
    (
        ["dev", "main:app", "--preload", "app"],
        "corn dev does not support --preload app; use auto, deps or none",
    ),
    (["dev", "main:app", "--reload-dir", "nowhere"], "--reload-dir: there is no directory 'nowhere'"),
    (["serve", "a:b", "--max-requests=9"], "unknown option '--max-requests' of gunicorn; use --limit-max-requests"),
    (["serve", "-x"], "unknown option '-x'; see 'corn serve --help'"),
    (["serve", "a:b", "c:d"], "got unexpected extra argument (c:d); see 'corn serve --help'"),
    (["serve"], "no application given; name one, as in 'corn serve main:app', or set app in corn.toml"),
    (["config", "--check"], "no application given; name one, as in 'corn serve main:app', or set app in corn.toml"),
    (["serve", "main.py"], "APP: 'main.py' is wrong; expected MODULE:ATTRIBUTE, perhaps main:app"),
    (
        ["serve", "a:b", "-w", "0"],
        "--workers: '0' is wrong; expected a whole number from 1 to 512, or auto, or a range such as 2..8",
    ),
    (["serve", "a:b", "-c", "x.toml"], "x.toml: cannot be read: No such file or directory"),
    (
        ["config", "-b", "8000"],
        "--bind: '8000' is wrong; expected host:port, [::1]:port, unix:path, unix:@name, fd://N or fd://NAME",
    ),
]


@pytest.mark.parametrize(("arguments", "line"), MISTAKES, ids=[" ".join(each[0]) for each in MISTAKES])
def test_usage_error_is_one_line_and_exits_2(corn, arguments, line):
    done = corn(*arguments)
    assert (done.stderr, done.stdout, done.returncode) == (f"corn: {line}\n", "", 2)


def test_option_without_value_exits_2(corn):
    done = corn("serve", "--port")
    assert done.returncode == 2
    assert done.stderr.startswith("corn: option '--port' requires an argument")
    assert done.stderr.count("\n") == 1


def test_invalid_variable_and_file_are_reported_with_source(corn, tmp_path):
    assert corn("config", CORN_PORT="x").stderr.startswith("corn: CORN_PORT: 'x' is wrong; ")
    (tmp_path / "corn.toml").write_text("wokers = 1")
    assert corn("config").stderr == "corn: corn.toml: unknown option 'wokers'; did you mean 'workers'?\n"


def test_error_in_terminal_has_red_label(corn_on_a_terminal):
    assert corn_on_a_terminal("serv").startswith("corn: \x1b[31merror:\x1b[0m unknown command 'serv'")
    assert corn_on_a_terminal("serv", NO_COLOR="1").startswith("corn: unknown command 'serv'")


def test_windows_is_refused_before_imports():
    code = WINDOWS + "import atexit; atexit.register(lambda: print(sorted(set(sys.modules) - before))); main()"
    done = subprocess.run(
        [sys.executable, "-S", "-c", _with_corn(code)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "corn: Windows is not supported; run corn on Linux, on macOS, or in WSL\n"
    assert "click" not in done.stdout
    assert "corn.config" not in done.stdout


def _with_corn(code):
    return f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); {code}"


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("main.py", 0, "main.py: watched, reloads the application: files like *.py are watched\n"),
        ("style.css", 0, "style.css: watched, refreshes browsers only: files like *.css are watched\n"),
        (
            "x.json",
            1,
            "x.json: not watched: files of this kind are not watched; --reload-include '*.json' adds them\n",
        ),
        ("/etc/x.py", 1, "/etc/x.py: not watched: it is in none of the watched directories"),
    ],
)
def test_explain_reload_shows_effect_and_reason_of_path(corn, path, code, said):
    done = corn("dev", "--explain-reload", path)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(said)


@pytest.mark.parametrize(("former", "name"), [("ps", "requests"), ("logs", "log-level")])
def test_deprecated_command_name_works_with_notice(corn, former, name):
    done = corn(former, "--help")
    assert done.stderr == f"corn: 'corn {former}' is deprecated; use 'corn {name}'\n"
    assert done.stdout == corn(name, "--help").stdout
    assert f"  {former} " not in corn("--help").stdout


def test_options_of_other_server_are_explained_together(corn):
    done = corn("serve", "main:app", "-k", "gthread", "--max-requests", "9", "--threads=4", "--wokers", "3", "--reload")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0] == "corn: 5 unknown options"
    assert lines[1].startswith("  -k              an option of gunicorn; corn has no counterpart: asgi,")
    assert lines[2:] == [
        "  --max-requests  an option of gunicorn; use --limit-max-requests",
        "  --threads       an option of gunicorn; use --wsgi-threads (10, not 1)",
        "  --wokers        did you mean '--workers'?",
        "  --reload        an option of 'corn dev'",
    ]


def test_variables_and_keys_of_other_server_are_explained_together(corn, tmp_path):
    done = corn("config", CORN_MAX_REQUESTS="9", CORN_WOKERS="3")
    assert done.stderr.splitlines() == [
        "corn: 2 unknown variables",
        "  CORN_MAX_REQUESTS  an option of gunicorn; use CORN_LIMIT_MAX_REQUESTS",
        "  CORN_WOKERS        did you mean 'CORN_WORKERS'?",
    ]
    (tmp_path / "corn.toml").write_text("max_requests = 9\nwokers = 3\n")
    assert corn("config").stderr.splitlines() == [
        "corn: corn.toml: 2 unknown options",
        "  max_requests  an option of gunicorn; use limit_max_requests",
        "  wokers        did you mean 'workers'?",
    ]


def test_full_output_device_is_reported_in_one_line(tmp_path):
    command = [*COMMAND, "config"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=DEADLINE, check=False
        )
    assert (done.returncode, done.stderr) == (2, "corn: No space left on device\n")
