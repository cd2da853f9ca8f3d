"""The hook ssl_context: it changes or makes the context that workers serve HTTPS with, at the start and on renewal."""

import signal
import socket
import ssl
from urllib.parse import urlsplit

import pytest

from tests.support.certificates import Issued, client
from tests.support.corn_process import Served, write_app

CHANGES = """
import ssl

def ssl_context(config, default):
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
"""
MAKES = """
import ssl

def ssl_context(config, default):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.ssl_certfile[0], config.ssl_keyfile[0])
    return context
"""
FAILS_LATER = """
import os

def ssl_context(config, default):
    with open("called", "a") as file:
        file.write("x")
    if os.path.getsize("called") > 1:
        raise ValueError("no more")
    return default()
"""


@pytest.fixture
def issued(tmp_path):
    write_app(tmp_path, "one")
    return Issued(tmp_path, "localhost")


def serve(directory, issued, hooks, *arguments):
    (directory / "hooks.py").write_text(hooks)
    return Served(directory, "main:app", "--port", "0", "--hooks", "hooks.py", *issued.arguments(), *arguments)


def until_tls_1_2():
    context = client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def connect(served, context=None):
    """Protocol, version and certificate of a new connection."""
    where = urlsplit(served.address)
    context = context or client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((where.hostname, where.port), 20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        return sock.selected_alpn_protocol(), sock.version(), sock.getpeercert()["serialNumber"]


@pytest.mark.parametrize("preload", ["app", "none"])
def test_ssl_hook_changes_context_of_workers_and_is_reloaded(tmp_path, issued, preload):
    with serve(tmp_path, issued, CHANGES, "--preload", preload, "--soak", "0").wait_ready() as served:
        with pytest.raises(ssl.SSLError):
            connect(served, until_tls_1_2())
        assert connect(served)[1] == "TLSv1.3"
        (tmp_path / "hooks.py").write_text(CHANGES.replace("v1_3", "v1_2"))
        served.signal(signal.SIGHUP)
        served.wait_for("reloaded: generation 2 serves")
        served.wait_until(lambda: len(served.workers()) == 1, "the old worker gone")
        assert connect(served, until_tls_1_2())[1] == "TLSv1.2"


def test_context_of_ssl_hook_offers_http2(tmp_path, issued):
    with serve(tmp_path, issued, MAKES).wait_ready() as served:
        assert connect(served)[0] == "h2"


def test_ssl_hook_is_called_for_renewed_certificate(tmp_path, issued):
    with serve(tmp_path, issued, CHANGES).wait_ready() as served:
        before = connect(served)[2]
        issued.replace(Issued(tmp_path, "renewed"))
        served.wait_until(lambda: connect(served)[2] != before, "the renewed certificate")
        with pytest.raises(ssl.SSLError):
            connect(served, until_tls_1_2())


def test_ssl_hook_that_fails_on_renewal_keeps_certificate(tmp_path, issued):
    with serve(tmp_path, issued, FAILS_LATER).wait_ready() as served:
        before = connect(served)[2]
        issued.replace(Issued(tmp_path, "renewed"))
        served.wait_for(
            "certificate renewal failed, keeping the current certificates: hook ssl_context failed: ValueError: no more"
        )
        assert connect(served)[2] == before


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return None", "hook ssl_context returned an object of type NoneType, not an ssl.SSLContext"),
        ("return 1 / 0", "hook ssl_context failed: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "hook ssl_context failed: SystemExit: 3"),
    ],
)
def test_wrong_ssl_hook_refuses_start_with_exit_code_2(tmp_path, issued, body, line):
    with serve(tmp_path, issued, f"def ssl_context(config, default):\n    {body}\n") as served:
        assert served.wait_exit() == 2
        assert line in served.output
        assert "corn/server" not in served.output
