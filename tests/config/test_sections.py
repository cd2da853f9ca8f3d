"""Option types of one section each: addresses for monitoring, log files and formats, headers."""

import json

import pytest

from corn.config.sections.admin import AdminAddress, StatsdAddress
from corn.config.sections.http import HeaderField
from corn.config.sections.logs import AccessLogFile, LineFormat, LogConfig, LogFile, is_table


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (9000, "127.0.0.1:9000"),
        ("9000", "127.0.0.1:9000"),
        ("0.0.0.0:9000", "0.0.0.0:9000"),
        ("[::1]:9000", "[::1]:9000"),
        ("unix:/run/admin.sock", "unix:/run/admin.sock"),
    ],
)
def test_admin_port_alone_is_on_loopback_interface(written, address):
    assert AdminAddress().parse(written) == address


@pytest.mark.parametrize("written", ["", True, None, "localhost", "[::1]", "fd://3", "a:b:c", "127.0.0.1:99999"])
def test_admin_address_without_port_is_refused(written):
    with pytest.raises(ValueError, match="expected"):
        AdminAddress().parse(written)


@pytest.mark.parametrize("written", ["127.0.0.1:8125", "statsd.example:8125", "unix:/run/statsd.sock"])
def test_statsd_address_is_kept_as_written(written):
    assert StatsdAddress().parse(written) == written


@pytest.mark.parametrize("written", ["", 8125, "8125", ":8125", "unix", "statsd.example", "fd://3", "a:99999"])
def test_statsd_address_without_host_or_port_is_refused(written):
    with pytest.raises(ValueError, match=r"expected|port"):
        StatsdAddress().parse(written)


@pytest.mark.parametrize("written", ["%(h)s %(r)s %(s)s", "%({user-agent}i)s 100%%", "plain"])
def test_line_format_of_known_atoms_is_kept(written):
    assert LineFormat().parse(written) == written


@pytest.mark.parametrize("written", ["", None, 5, "%(h)s %", "%(no such atom)s", "%(h)s\n"])
def test_line_format_with_other_directive_is_refused(written):
    with pytest.raises(ValueError, match="expected a line with atoms"):
        LineFormat().parse(written)


@pytest.mark.parametrize("written", ["access.log", "-", "syslog://", "syslog://log.example:514"])
def test_access_log_file_is_kept_as_written(written):
    assert AccessLogFile().parse(written) == written


def test_hyphen_is_log_file_of_its_own_in_access_log_only():
    assert LogFile().parse("-") is None
    assert LogFile().parse("corn.log") == "corn.log"


@pytest.mark.parametrize("written", ["", None, "syslog://log.example:port"])
def test_malformed_log_file_is_refused(written):
    with pytest.raises(ValueError, match="expected"):
        LogFile().parse(written)


def test_log_config_table_is_kept_as_json_and_file_as_name():
    table = {"version": 1, "root": {"level": "INFO"}}
    kept = LogConfig().parse(table)
    assert (json.loads(kept), is_table(kept), LogConfig().show(kept)) == (table, True, "{...}")
    assert (LogConfig().parse("log.ini"), is_table("log.ini"), LogConfig().show("log.ini")) == (
        "log.ini",
        False,
        "log.ini",
    )


def test_log_config_table_with_objects_is_refused():
    with pytest.raises(ValueError, match="a table of plain values"):
        LogConfig().parse({"handlers": object()})


@pytest.mark.parametrize("written", ["X-Frame-Options: DENY", "X-Frame-Options:DENY ", " X-Frame-Options:   DENY"])
def test_header_option_is_written_in_one_form(written):
    assert HeaderField().parse(written) == "X-Frame-Options: DENY"


@pytest.mark.parametrize("written", ["X-Frame-Options", ": DENY", "X Y: z", "X: a\r\nY: b", None])
def test_malformed_header_option_is_refused(written):
    with pytest.raises(ValueError, match="expected a header such as"):
        HeaderField().parse(written)
