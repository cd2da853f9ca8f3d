import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.config.env_file import environment_with, parse_env, read_env_file
from corn.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("\n  # a comment\n\n", {}),
        ("A=1", {"A": "1"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("export A=1\n  export\tB = 2", {"A": "1", "B": "2"}),
        ("A=two words  # comment", {"A": "two words"}),
        ("A=two words   ", {"A": "two words"}),
        ("A=a#b", {"A": "a#b"}),
        ("A=#b", {"A": "#b"}),
        ("A= # b", {"A": ""}),
        ("A=\nB=1", {"A": "", "B": "1"}),
        ("A=a=b", {"A": "a=b"}),
        ("A=it's", {"A": "it's"}),
        (r"A='\n $HOME' # c", {"A": r"\n $HOME"}),
        (r'A="\t\"\\\$\d"', {"A": '\t"\\$\\d'}),
        ('A="one\ntwo"\nB=1', {"A": "one\ntwo", "B": "1"}),
        ('A="one\\\ntwo"', {"A": "onetwo"}),
        ("A=$B", {"A": "$B"}),
        ("A=1\nB=${A}", {"A": "1", "B": "1"}),
        ('A=1\nB="<${A}>"', {"A": "1", "B": "<1>"}),
        ("A=1\nB='${A}'", {"A": "1", "B": "${A}"}),
        (r"A=1" + "\n" + r'B="\${A}"', {"A": "1", "B": "${A}"}),
        ("A=${NONE}", {"A": ""}),
        ("A=${NONE:-a default}", {"A": "a default"}),
        ("A=${EMPTY:-a default}", {"A": "a default"}),
        ("A=${B}\nB=1", {"A": "", "B": "1"}),
        ("A=1\nA=${A}2", {"A": "12"}),
        ("A=${NOT CLOSED", {"A": "${NOT CLOSED"}),
    ],
)
def test_env_file_line_is_read(text, variables):
    assert parse_env(text) == variables


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=1\n\nB", "line 3: expected KEY=VALUE"),
        ("=1", "line 1: expected KEY=VALUE"),
        ("1A=1", "line 1: expected KEY=VALUE"),
        ("A=1\nB='x\n\n", "line 2: the quote ' is not closed"),
        ('A="x\\"', 'line 1: the quote " is not closed'),
        ("A='x\ny' z", "line 2: expected the end of the line after the closing quote"),
        ("A=x\0y", "line 1: a value cannot hold a NUL character"),
    ],
)
def test_malformed_line_is_reported_with_number(text, problem):
    with pytest.raises(ValueError) as caught:
        parse_env(text)
    assert str(caught.value) == problem


@given(
    st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), st.text().filter(lambda t: "\0" not in t))
)
def test_quoted_value_round_trips(variables):
    escaped = {key: re.sub(r'([\\"$])', r"\\\1", value) for key, value in variables.items()}
    assert parse_env("".join(f'{key}="{value}"\n' for key, value in escaped.items())) == variables


@given(st.text())
def test_arbitrary_text_is_read_or_refused_with_line(text):
    problem = "line "
    try:
        parse_env(text)
    except ValueError as error:
        problem = str(error)
    assert problem.startswith("line ")


def test_file_with_bom_and_crlf_is_read(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\nB='2'\r\n")
    assert read_env_file(tmp_path / ".env") == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"A", ", line 1: expected KEY=VALUE"), (b"A=\xff", ": not UTF-8 text"), (None, ": cannot be read: No such file")],
)
def test_error_names_file(tmp_path, content, problem):
    path = tmp_path / ".env"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_env_file(path)
    assert str(caught.value).startswith(f"{path}{problem}")


def test_environment_overrides_files_and_later_file_earlier(tmp_path):
    (tmp_path / "one").write_text("A=1\nB=1\nHOST=file\n")
    (tmp_path / "two").write_text("B=2\nURL=http://${HOST}/${A}\n")
    files = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert environment_with(files, {"HOST": "production"}) == {
        "A": "1",
        "B": "2",
        "HOST": "production",
        "URL": "http://production/1",
    }
