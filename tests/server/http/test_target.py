"""Forms of the request target (RFC 9112, 3.2), and host names."""

import pytest

from corn.server.http.errors import HTTPError
from corn.server.http.target import is_host, origin_form


@pytest.mark.parametrize(
    ("method", "target", "origin", "authority"),
    [
        ("OPTIONS", b"*", b"*", None),
        ("OPTIONS", b"http://x", b"*", b"x"),
        ("OPTIONS", b"http://x/", b"/", b"x"),
        ("GET", b"http://x", b"/", b"x"),
        ("GET", b"http://x?a=b", b"/?a=b", b"x"),
        ("GET", b"HTTPS://x:443/a?b", b"/a?b", b"x:443"),
    ],
)
def test_absolute_and_asterisk_form_become_origin_form(method, target, origin, authority):
    assert origin_form(method, target) == (origin, authority)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", b"*"),
        ("GET", b"a"),
        ("GET", b"/a b"),
        ("GET", b"http://"),
        ("GET", b"http:///a"),
        ("GET", b"http://user@x/"),
        ("GET", b"ftp://x/"),
        ("GET", b"http://x/\xff"),
    ],
)
def test_target_of_no_form_is_refused(method, target):
    with pytest.raises(HTTPError) as caught:
        origin_form(method, target)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (b"x", True),
        (b"", True),
        (b"x:80", True),
        (b"x:99999", False),
        (b"[::1]:80", True),
        (b"[::g]", False),
        (b"[1:2:3]", False),
        (b"a b", False),
    ],
)
def test_host_is_name_or_address_with_port(text, is_one):
    assert is_host(text) == is_one
