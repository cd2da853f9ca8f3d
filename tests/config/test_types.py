import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.config.schema import OPTIONS
from corn.config.sections.admin import AdminAddress, StatsdAddress
from corn.config.sections.http import HeaderField
from corn.config.sections.logs import AccessLogFile, LineFormat
from corn.config.sections.static import Mount
from corn.config.sections.tls import ClientCertificates
from corn.config.types import (
    Address,
    AnyText,
    ApplicationName,
    Choice,
    Flag,
    HostName,
    Integer,
    IntegerOrAuto,
    ListOf,
    Mode,
    Nullable,
    NumberOrRange,
    Seconds,
    Size,
    Text,
    url_path,
)


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (Text(), "a b", "a b"),
        (AnyText(), "", ""),
        (Integer(0, 9), "7", 7),
        (Integer(-5, 9), "-5", -5),
        (Seconds(), "0", 0.0),
        (Seconds(), "1.25", 1.25),
        (Seconds(0.1), 3, 3.0),
        (Size(), "64KiB", 65536),
        (Size(), "512 MB", 512_000_000),
        (Size(), 10, 10),
        (Flag(), True, True),
        (Flag(), "Off", False),
        (Flag(), "1", True),
        (Choice(("auto", "on")), "AUTO", "auto"),
        (Mode(), "660", 0o660),
        (Mode(), "0o1777", 0o1777),
        (ListOf(Text()), "a, b,", ("a", "b")),
        (ListOf(Text()), ["a,b"], ("a,b",)),
        (ListOf(Integer(0, 9)), ["1,2", "3"], (1, 2, 3)),
        (ListOf(Text()), "", ()),
        (Nullable(Integer(0, 9)), "7", 7),
        (IntegerOrAuto(1, 9), "AUTO", "auto"),
        (NumberOrRange(1, 9), "4", 4),
        (NumberOrRange(1, 9), "auto", "auto"),
        (NumberOrRange(1, 9), "2..8", "2..8"),
        (NumberOrRange(1, 9), "3..3", 3),
        (HostName(), "App.Example", "app.example"),
        (HostName(), "*", "*"),
    ],
)
def test_option_text_is_read(kind, raw, value):
    assert kind.parse(raw) == value


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (Text(), "", "a text that is not empty"),
        (Text(), "a\0b", "a text that is not empty"),
        (Text(), 5, "a text that is not empty"),
        (AnyText(), None, "a text"),
        (Integer(1, 9), "0", "a whole number from 1 to 9"),
        (Integer(1, 9), "1.0", "a whole number from 1 to 9"),
        (Integer(1, 9), 1.0, "a whole number from 1 to 9"),
        (Integer(1, 9), True, "a whole number from 1 to 9"),
        (Integer(1, 9), "9" * 5000, "a whole number from 1 to 9"),
        (Integer(1, 9), "٣", "a whole number from 1 to 9"),
        (Seconds(), "-1", "seconds, 0 or more"),
        (Seconds(), "1s", "seconds, 0 or more"),
        (Seconds(), float("nan"), "seconds, 0 or more"),
        (Seconds(), float("inf"), "seconds, 0 or more"),
        (Seconds(0.1), 0, "seconds, 0.1 or more"),
        (Seconds(), False, "seconds, 0 or more"),
        (Size(), "5 parsecs", "a size such as 65536, 64KiB or 512MB"),
        (Size(), -1, "a size such as 65536, 64KiB or 512MB"),
        (Size(1024), 1000, "a size of at least 1KiB"),
        (Flag(), "maybe", "true or false"),
        (Flag(), 1, "true or false"),
        (Choice(("auto", "on")), "off", "one of auto, on"),
        (Mode(), 660, 'permissions in octal, such as "660"'),
        (Mode(), "888", 'permissions in octal, such as "660"'),
        (Size(), 1.5, "a size such as 65536, 64KiB or 512MB"),
        (Size(high=10), 11, "a size of at most 10"),
        (IntegerOrAuto(1, 9), "many", "a whole number from 1 to 9, or auto"),
        (NumberOrRange(1, 9), "0", "a whole number from 1 to 9, or auto, or a range such as 2..8"),
        (NumberOrRange(1, 9), "0..4", "a whole number from 1 to 9"),
        (NumberOrRange(1, 9), "8..2", "the smaller number of a range first, as in 2..8"),
        (HostName(), "app.example:80", "a host name without a port, such as app.example, .example or *"),
        (HostName(), None, "a host name without a port, such as app.example, .example or *"),
        (url_path(), "health", "a path such as /health"),
        (url_path(), 5, "a path such as /health"),
        (ListOf(Integer(0, 9)), 5, "a list"),
        (ListOf(Integer(0, 9)), ["x"], "a whole number from 0 to 9"),
        (ListOf(Integer(0, 9)), ["1,x"], "a whole number from 0 to 9"),
    ],
)
def test_malformed_value_reports_expected_form(kind, raw, expected):
    with pytest.raises(ValueError) as caught:
        kind.parse(raw)
    assert str(caught.value) == f"expected {expected}"


@pytest.mark.parametrize("name", ["main:app", "pkg.sub.main:make_app", "main:holder.app", "größe:app"])
def test_application_name_is_accepted(name):
    assert ApplicationName().parse(name) == name


@pytest.mark.parametrize(
    ("written", "guess"),
    [
        ("main", "perhaps main:app"),
        ("main.py", "perhaps main:app"),
        ("mysite.wsgi", "perhaps mysite.wsgi:application"),
        ("./src/main.py:api", "perhaps src.main:api"),
        ("main:create_app()", "perhaps main:create_app"),
        ("my-app:app", "such as main:app"),
        ("a:b:c", "such as main:app"),
        ("", "such as main:app"),
        (None, "such as main:app"),
    ],
)
def test_malformed_application_name_is_refused_with_suggestion(written, guess):
    with pytest.raises(ValueError) as caught:
        ApplicationName().parse(written)
    assert str(caught.value) == f"expected MODULE:ATTRIBUTE, {guess}"


@given(st.floats(0, 1e9).map(lambda value: round(value, 6)))
def test_shown_seconds_are_parsed_back(value):
    assert Seconds().parse(Seconds().show(value)) == value


@given(st.integers(0, 10**14))
def test_shown_sizes_are_parsed_back(value):
    assert Size().parse(Size().show(value)) == value


@given(st.integers(0, 0o7777))
def test_shown_modes_are_parsed_back(value):
    assert Mode().parse(Mode().show(value)) == value


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_option_default_is_valid_value(option):
    shown = option.kind.show(option.default)
    assert not shown or option.kind.parse(shown) == option.default


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (Text(), "a b"),
        (AnyText(), ""),
        (url_path(), "/health?full=1"),
        (Integer(0, 9), "7"),
        (IntegerOrAuto(1, 9), "auto"),
        (NumberOrRange(1, 9), "2..8"),
        (ApplicationName(), "main:app.asgi"),
        (Address(), "127.0.0.1:8000"),
        (AdminAddress(), "127.0.0.1:9000"),
        (StatsdAddress(), "127.0.0.1:8125"),
        (HeaderField(), "X-A: b"),
        (LineFormat(), "%(h)s"),
        (AccessLogFile(), "access.log"),
        (Mount(), "/assets=public"),
        (Flag(), "true"),
        (Flag(), "false"),
        (Choice(("auto", "on")), "on"),
        (HostName(), ".example"),
        (ListOf(Integer(0, 9)), "1, 2"),
        (Nullable(Text()), "a"),
    ],
)
def test_shown_value_is_as_user_would_write_it(kind, written):
    assert kind.show(kind.parse(written)) == written


@pytest.mark.parametrize(
    ("kind", "annotation", "metavar"),
    [
        (Text(), "str", "TEXT"),
        (Text("FILE"), "StrPath", "FILE"),
        (Choice(("a", "b")), 'Literal["a", "b"]', "a|b"),
        (ClientCertificates(), 'Literal["none", "optional", "required"] | int', "none|optional|required"),
        (ListOf(Text("FILE")), "StrPath | Sequence[StrPath]", "FILE"),
        (Nullable(Integer(0, 9)), "int | None", "N"),
    ],
)
def test_type_of_option_is_annotated_and_named_in_help(kind, annotation, metavar):
    assert (kind.annotation, kind.metavar) == (annotation, metavar)


def test_unset_option_is_shown_empty():
    assert Nullable(Text()).show(None) == ""
