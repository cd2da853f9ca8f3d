"""DNS rebinding: corn dev and the admin endpoint refuse requests for other host names."""

import http.client
from urllib.parse import urlsplit

import pytest

from tests.support.admin_client import Monitored
from tests.support.asgi_server import Answer
from tests.support.corn_process import Served
from tests.support.dev_project import Developed, save

PATHS = ("/", "/livez", "/readyz", "/status", "/metrics", "/dashboard.js", "/none")


def ask(address: str, host: str, path: str = "/") -> Answer:
    """Response to a browser's request for that host."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
    try:
        connection.request("GET", path, headers={"Host": host, "Accept": "text/html"})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read(), [])
    finally:
        connection.close()


def test_foreign_host_gets_421_without_source_lines(project):
    with Developed(project).wait_ready() as served:
        for broken in (False, True):
            if broken:
                save(project / "main.py", "SECRET = 1 / 0\n")
                served.wait_until(lambda: ask(served.address, "localhost").status == 500, "the error")
            answer = ask(served.address, "evil.example")
            assert answer.status == 421
            assert b"SECRET" not in answer.body
            assert b"__corn__" not in answer.body
            assert b"add it with --allow-host" in answer.body


def test_allow_host_option_admits_host(project):
    with Developed(project, "--allow-host", "app.example").wait_ready() as served:
        assert ask(served.address, "app.example:80").status == 200
        assert ask(served.address, "evil.example").status == 421


@pytest.fixture(scope="module")
def admin(tmp_path_factory):
    """Address of an admin endpoint that admits .example.com."""
    directory = tmp_path_factory.mktemp("admin")
    (directory / "go").touch()
    with Monitored(directory, "--admin-allow-host", ".example.com").wait_ready() as served:
        yield served.wait_for(r"admin endpoint at (\S+)")[1]


@pytest.mark.parametrize("path", PATHS)
def test_admin_endpoint_refuses_foreign_host(admin, path):
    assert ask(admin, "evil.example", path).status == 421
    assert ask(admin, "localhost", path).status in (200, 404)
    assert ask(admin, "a.example.com", path).status in (200, 404)


def test_serve_answers_any_host(project):
    with Served(project, "main:app", "--port", "0").wait_ready() as served:
        assert ask(served.address, "any.example").status == 200
