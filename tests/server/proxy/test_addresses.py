"""Parser of forwarded addresses, and trusted networks."""

import pytest

from corn.config.sections.http import HeaderField, Network
from corn.server.proxy.addresses import is_hidden, parse_node
from corn.server.proxy.trusted_networks import TrustedNetworks


@pytest.mark.parametrize(
    "value",
    [
        "999.999.999.999",
        "...",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "0x7f.1",
        "1.2.3.4:99999",
        "1.2.3.4:",
        "1.2.3.4:-1",
        "1.2.3.4:8_0",
        "1.2.3.4:1:2",
        "1.2.3.4\n",
        "1.2.3.4/32",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]:",
        "[::1]:65536",
        "[[::1]]",
        "[]",
        ":",
        ":::",
        "1::2::3",
        "12345::",
        "fe80::1%eth0",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]:80",
        "::1%<script>",
        "\u0661.2.3.4",
        "unix:",
        "localhost",
        "_hidden",
        "unknown:80",
        "-",
    ],
)
def test_invalid_address_is_not_client(value):
    assert parse_node(value) is None


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        *(
            (each, True)
            for each in ("unknown", "Unknown", "unknown:80", "unknown:_p", "_a", "_a.b-c_d:99", "_SEVKISEK")
        ),
        *((each, False) for each in ("", "_", "_a b", "_a:", "_a:99999", "_\xe9", "hidden", "1.2.3.4")),
    ],
)
def test_undisclosed_client_is_recognised(value, hidden):
    assert is_hidden(value) is hidden


def test_trusted_networks_match_addresses():
    trust = TrustedNetworks(["10.0.0.0/8", "::1"])
    hosts = ("10.1.2.3", "11.0.0.1", "::1", "::ffff:10.1.2.3", "fe80::1%eth0", "host", "")
    assert [trust.contains(each) for each in hosts] == [True, False, True, True, False, False, False]
    assert TrustedNetworks(["*"]).contains("anything")
    assert not TrustedNetworks([]).trusts(None)


def test_network_and_header_field_options_are_parsed():
    assert Network().parse("10.1.2.3/8") == "10.0.0.0/8"
    assert Network().parse("*") == "*"
    assert HeaderField().parse("X-A:b") == "X-A: b"
    for kind, raw in (
        (Network(), "x"),
        (Network(), ""),
        (HeaderField(), "a"),
        (HeaderField(), "a b: c"),
        (HeaderField(), 1),
    ):
        with pytest.raises(ValueError, match="expected"):
            kind.parse(raw)
