"""WSGI environ, over a real socket."""

import pytest

from tests.support.wsgi_client import GET, TEXT, ask, request


def environ_for(run, data, **options):
    """Environ of the application's call."""
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", TEXT)
        return [b"ok"]

    assert ask(run, app, data, **options).status == 200
    return seen


def test_environ_holds_request(run):
    data = request(
        b"/caf%C3%A9/%FF?a=b%20c",
        b"Content-Type: text/x",
        b"X-Two: 1",
        b"X-Two: 2",
        b"Cookie: a=1",
        b"Cookie: b=2",
        body=b"12345",
    )
    environ = environ_for(run, data)
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9/\xff",
        "QUERY_STRING": "a=b%20c",
        "REQUEST_URI": "/caf%C3%A9/%FF?a=b%20c",
        "RAW_URI": "/caf%C3%A9/%FF?a=b%20c",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "5",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "corn.test",
        "HTTP_X_TWO": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    assert {name: environ[name] for name in expected} == expected
    assert environ["SERVER_SOFTWARE"].startswith("corn/")
    assert environ["SERVER_PORT"].isdigit()
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_environ_drops_field_name_with_underscore(run):
    environ = environ_for(run, request(b"/", b"X_Real_IP: forged", b"X-Real-IP: 10.0.0.1", b"X_Other: forged"))
    assert environ["HTTP_X_REAL_IP"] == "10.0.0.1"
    assert "HTTP_X_OTHER" not in environ


@pytest.mark.parametrize(
    ("path", "stripped", "path_info"),
    [
        (b"/", "auto", "/"),
        (b"/x", "auto", "/x"),
        (b"/api", "auto", ""),
        (b"/api/", "auto", "/"),
        (b"/api/x", "auto", "/x"),
        (b"/%61pi/x", "auto", "/x"),
        (b"/apiary", "auto", "/apiary"),
        (b"/x", "yes", "/x"),
        (b"/api/x", "yes", "/api/x"),
        (b"/%61pi", "yes", "/api"),
        (b"/api/x", "no", "/x"),
        (b"/x", "no", "/x"),
    ],
)
def test_script_name_is_root_path(run, path, stripped, path_info):
    environ = environ_for(run, request(path), root_path="/api", root_path_stripped=stripped)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/api", path_info)


def test_forwarded_fields_of_trusted_proxy_apply(run):
    environ = environ_for(run, request(b"/", b"X-Forwarded-For: 192.0.2.7", b"X-Forwarded-Proto: https"))
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("192.0.2.7", "https")


def test_single_thread_is_not_multithreaded(run):
    assert environ_for(run, GET, wsgi_threads=1)["wsgi.multithread"] is False
