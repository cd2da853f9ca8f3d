"""Shell completion, with the completion script loaded into a real bash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
eval "$(corn completion bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_corn_completion corn
printf '%s\\n' "${COMPREPLY[@]}"
"""
TIMEOUT = 40


def offered(*words):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # compopt, which delegates file names to the shell, fails outside of an interactive completion.
    command = ["bash", "-c", "compopt() { echo $2; }\n" + ASK, "bash", *words]
    environment = os.environ | {"PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=environment, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("corn", "sca"), ["scale"]),
        (("corn", "lo"), ["log-level"]),
        (("corn", "ps", "--js"), ["--json"]),
        (("corn", "serve", "--preload", ""), ["auto", "app", "deps", "none"]),
        (("corn", "serve", "--workers", "a"), ["auto"]),
        (("corn", "serve", "--drain"), ["--drain-delay"]),
        (("corn", "serve", "--hooks", ""), ["default", ""]),
        (("corn", "serve", "--config", ""), ["default", ""]),
        (("corn", "serve", "--chdir", ""), ["dirnames", ""]),
        (("corn", "serve", "--port", ""), [""]),
        (("corn", "completion", ""), ["bash", "zsh", "fish"]),
    ],
    ids=" ".join,
)
def test_bash_completion_offers_matches(words, expected):
    assert offered(*words) == expected


def test_completion_script_exists_for_each_shell(corn):
    for shell in ("bash", "zsh", "fish"):
        done = corn("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"_CORN_COMPLETE={shell}_complete" in done.stdout


def test_missing_or_unknown_shell_is_reported_in_one_line(corn):
    assert corn("completion").stderr == "corn: missing argument SHELL; see 'corn completion --help'\n"
    assert "'ksh' is not one of" in corn("completion", "ksh").stderr


def test_completion_help_keeps_line_for_each_shell(corn):
    shown = corn("completion", "--help").stdout
    assert '  bash  eval "$(corn completion bash)"    in ~/.bashrc\n  zsh ' in shown
    assert "\\b" not in shown
