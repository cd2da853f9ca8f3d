import pytest

from corn.config.addresses import InheritedAddress, NamedAddress, TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", TcpAddress("127.0.0.1", 80)),
        ("example.org:0", TcpAddress("example.org", 0)),
        ("example.org", TcpAddress("example.org", 8000)),
        (":9000", TcpAddress("0.0.0.0", 9000)),
        ("[::1]:80", TcpAddress("::1", 80)),
        ("[::]", TcpAddress("::", 8000)),
        ("[fe80::1%eth0]:80", TcpAddress("fe80::1%eth0", 80)),
        ("unix:/run/corn.sock", UnixAddress("/run/corn.sock")),
        ("unix:corn.sock", UnixAddress("corn.sock")),
        ("fd://3", InheritedAddress(3)),
        ("fd://web.socket", NamedAddress("web.socket")),
    ],
)
def test_address_is_read(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8000",
        "::1",
        "::1:80",
        "a:",
        "a:x",
        "a:65536",
        "a:-1",
        "http://a:80",
        "unix:",
        "fd://",
        "fd://x y",
        "a b:80",
    ],
)
def test_malformed_address_is_refused(text):
    with pytest.raises(ValueError, match=r"^expected host:port, "):
        parse_address(text)


def test_unix_address_with_at_sign_is_abstract():
    assert parse_address("unix:@corn").is_abstract
    assert not parse_address("unix:/run/@corn").is_abstract
