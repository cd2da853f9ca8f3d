import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.diagnosis.failure import Failure, Frame, Raised
from corn.diagnosis.html import page
from corn.diagnosis.response import HTML, JSON, TEXT, answer, choose
from corn.diagnosis.text import text

CODE = ("def load(path):", "    with open(path) as file:", "        return json.laods(file.read())", "", "CONFIG = 1")
OWN = Frame("/srv/app/main.py", 12, "load", True, CODE, 10, 15, 25)
LIBRARY = Frame("/venv/lib/python3.12/site-packages/flask/app.py", 7, "run", False, ("run()",), 7)
FAILURE = Failure(
    "exception",
    "main could not be imported",
    (Raised("AttributeError", "module 'json' has no attribute 'laods'", (OWN, LIBRARY, LIBRARY)),),
    changed=("/srv/app/main.py",),
)
SCARCE = Failure("exit", "worker 0 was killed by SIGKILL before it was ready")


def test_text_starts_with_place_and_ends_with_exception():
    assert text(FAILURE, color=False, directory="/srv/app").splitlines() == [
        "main could not be imported",
        "after a change of main.py",
        "  main.py:12 in load",
        "    10 | def load(path):",
        "    11 |     with open(path) as file:",
        "  > 12 |         return json.laods(file.read())",
        "       |                ^^^^^^^^^^",
        "    13 |",
        "    14 | CONFIG = 1",
        "  ... 2 frames in flask",
        "AttributeError: module 'json' has no attribute 'laods'",
    ]


def test_color_adds_only_escape_sequences():
    coloured = text(FAILURE, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text(FAILURE, color=False)
    assert coloured != text(FAILURE, color=False)


def test_failure_without_exception_is_one_line():
    assert text(SCARCE, color=False) == SCARCE.summary


def test_control_characters_in_message_are_removed():
    evil = Failure("exception", "x", (Raised("E", "\x1b]0;owned\x07\x9b2J\rfine"),))
    assert not set(text(evil, color=False)) & set("\x1b\x07\x9b\r")


@given(st.text(), st.text(), st.lists(st.text(), max_size=4), st.integers(0, 6), st.integers(-1, 9), st.integers(-1, 9))
def test_arbitrary_failure_is_rendered(message, file, code, line, start, end):
    frame = Frame(file, line, "f", True, tuple(code), 1, start, end)
    failure = Failure("exception", message, (Raised("E", message, (frame, LIBRARY)),), changed=(file,))
    text(failure, color=True)
    shown = page(failure)
    tags = set(re.findall(r"<\s*/?\s*([a-z0-9!]+)", shown, re.IGNORECASE))
    assert "script" not in tags
    assert Failure.from_json(failure.to_json()) == failure


def test_page_is_escaped_and_self_contained():
    evil = "</style><script>alert(1)</script>\"'"
    failure = Failure("exception", evil, (Raised(evil, evil, (Frame(evil, 1, evil, True, (evil,), 1, 0, 4),)),))
    shown = page(failure, evil)
    assert "<script" not in shown
    assert html.escape(evil) in shown
    assert not re.search(r"""(src|href|url\()=?["']?(https?:)?//""", shown)


def test_page_shows_file_line_and_code():
    shown = page(FAILURE, "/srv/app")
    assert "main.py:12" in shown
    assert "<mark>json.laods</mark>" in shown
    assert "2 frames in flask" in shown


@pytest.mark.parametrize(
    ("frames", "boxes"), [((OWN,), 1), ((OWN, LIBRARY), 1), ((OWN, OWN), 3), ((LIBRARY,), 1), ((LIBRARY, LIBRARY), 3)]
)
def test_page_repeats_failed_line_only_above_longer_traceback(frames, boxes):
    shown = page(Failure("exception", "x", (Raised("E", "", frames),)), "/srv/app")
    unfolded = re.sub(r"<details>.*?</details>", "", shown, flags=re.DOTALL)
    assert unfolded.count('<div class="frame">') == boxes


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", HTML),
        ("*/*", TEXT),
        ("", TEXT),
        ("application/json", JSON),
        ("application/json, text/plain, */*", TEXT),
        ("text/html;q=0.1, application/json;q=0.9", JSON),
        ("text/html;q=x", TEXT),
        ("text/html;q=0", TEXT),
        ("image/png", TEXT),
    ],
)
def test_response_format_follows_accept(accept, kind):
    assert choose(accept) == kind
    content_type, body = answer(FAILURE, accept, "/srv/app")
    assert content_type.decode().startswith(kind)
    assert b"laods" in body
