"""Path and root_path of the scope, behind proxies that strip --root-path and behind those that do not."""

import pytest

from tests.support.asgi_server import hello, serving


def scope_for(run, target, method="GET", **options):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        await hello(scope, receive, send)

    async def main():
        async with serving(app, **options) as at:
            answer = await at.request(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert answer.status == 200

    run(main())
    return seen["root_path"], seen["path"], seen["raw_path"]


@pytest.mark.parametrize("root_path", ["/api", "/api/", "api"])
@pytest.mark.parametrize(
    ("target", "stripped", "path"),
    [
        ("/users", "auto", "/api/users"),
        ("/api/users", "auto", "/api/users"),
        ("/api", "auto", "/api"),
        ("/", "auto", "/api/"),
        ("/apiary", "auto", "/api/apiary"),
        ("/api/users", "yes", "/api/api/users"),
        ("/users", "yes", "/api/users"),
        ("/api/users", "no", "/api/users"),
        ("/users", "no", "/users"),
        ("http://x/api/users", "auto", "/api/users"),
    ],
)
def test_path_includes_root_path_once(run, root_path, target, stripped, path):
    assert scope_for(run, target, root_path=root_path, root_path_stripped=stripped) == ("/api", path, path.encode())


def test_raw_path_escapes_added_root_path(run):
    assert scope_for(run, "/x", root_path="/caf\u00e9 1") == ("/caf\u00e9 1", "/caf\u00e9 1/x", b"/caf%C3%A9%201/x")
    assert scope_for(run, "/caf%c3%a9/x", root_path="/caf\u00e9") == ("/caf\u00e9", "/caf\u00e9/x", b"/caf%c3%a9/x")
    assert scope_for(run, "/%61pi/x", root_path="/api") == ("/api", "/api/x", b"/%61pi/x")


def test_asterisk_target_is_kept(run):
    assert scope_for(run, "*", "OPTIONS", root_path="/api") == ("/api", "*", b"*")
