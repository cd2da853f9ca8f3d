"""HTTPS: certificate checks at the start, renewal under load, redirection, client certificates, and keys of root."""

import contextlib
import http.client
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import psutil
import pytest
from cryptography.hazmat.primitives import serialization

from tests.support.certificates import DAY, NOW, Issued, authorities, client
from tests.support.corn_process import Served, write_app
from tests.support.http_client import PAUSE


def serve(directory, issued, *arguments):
    write_app(directory, "one")
    return Served(directory, "main:app", "--port", "0", *issued.arguments(), *arguments)


PRINTS_ENVIRONMENT = """
import subprocess

async def app(scope, receive, send):
    body = subprocess.run(["env"], capture_output=True, check=True).stdout
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


def get(address, path="/"):
    where = urlsplit(address)
    connection = http.client.HTTPSConnection("localhost", where.port, timeout=20, context=client())
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def serial(address):
    """Serial number of the certificate on a new connection."""
    where = urlsplit(address)
    with (
        socket.create_connection((where.hostname, where.port), 20) as sock,
        client().wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        return tls.getpeercert()["serialNumber"]


class SecureLoad:
    """Threads that send requests without pause, half of them on kept connections."""

    def __init__(self, address):
        self._port = urlsplit(address).port
        self._stop = threading.Event()
        self.answers, self.failures = [], []
        self._threads = [threading.Thread(target=self._go_on, args=(keep,)) for keep in (True, True, False, False)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def _go_on(self, keep):
        context, connection = client(), None
        while not self._stop.wait(PAUSE):
            try:
                if connection is None:
                    connection = http.client.HTTPSConnection("localhost", self._port, timeout=20, context=context)
                connection.request("GET", "/")
                response = connection.getresponse()
                self.answers.append((response.status, response.read()))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            if not keep and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def test_certificate_renewal_under_load_fails_no_request(tmp_path):
    first, second = Issued(tmp_path, "a"), Issued(tmp_path, "b")
    with serve(tmp_path, first, "--workers", "2") as served:
        served.wait_ready()
        workers = {each.pid for each in served.workers()}
        before = serial(served.address)
        with SecureLoad(served.address) as load:
            first.replace(second)
            served.wait_until(lambda: serial(served.address) != before, "the new certificate is served")
            served.wait_for("certificates renewed: valid until")
            served.wait_until(lambda: all(serial(served.address) != before for _ in range(6)), "by all workers")
            count = len(load.answers)
            served.wait_until(lambda: len(load.answers) > count + 20, "the load goes on")
        assert load.failures == []
        assert {each.pid for each in served.workers()} == workers


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda it, other: it.certfile.write_bytes(it.certificate[:200]), "holds no certificate in PEM form"),
        (lambda it, other: it.keyfile.write_bytes(other.key), "the key does not match the certificate"),
        (lambda it, other: it.keyfile.unlink(), "cannot read"),
        (lambda it, other: it.replace(other), "expired on"),
    ],
    ids=["half-written", "wrong key", "no key", "expired"],
)
def test_invalid_renewed_certificate_is_refused_and_old_one_kept(tmp_path, spoil, why):
    issued = Issued(tmp_path, "a")
    expired = Issued(tmp_path, "old", not_before=NOW - 3 * DAY, not_after=NOW - DAY)
    with serve(tmp_path, issued, "--workers", "2") as served:
        served.wait_ready()
        before = serial(served.address)
        spoil(issued, expired)
        served.wait_for(f"certificate renewal failed, keeping the current certificates: --ssl-.*{why}")
        assert serial(served.address) == before
        victim = served.workers()[0]
        victim.kill()  # its successor must not read the files
        served.wait_until(
            lambda: len(served.workers()) == 2 and victim.pid not in {each.pid for each in served.workers()}, "replaced"
        )
        assert get(served.address)[0] == 200
        mark = served.mark()
        served.signal(signal.SIGHUP)
        served.wait_for("generation 2", since=mark)
        assert serial(served.address) == before
        assert len(re.findall(f"renewal failed.*{why}", served.output)) == 1
        issued.replace(Issued(tmp_path, "c"))
        served.wait_for("certificates renewed")
        served.wait_until(lambda: serial(served.address) != before, "the good one is served")


def refused(directory, *arguments):
    write_app(directory, "one")
    done = subprocess.run(
        [sys.executable, "-m", "corn", "serve", "main:app", "--port", "0", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_unusable_certificate_files_exit_2_with_one_line(tmp_path):
    a, b = Issued(tmp_path, "a"), Issued(tmp_path, "b")
    for arguments, expected in (
        (["--ssl-certfile", "none.pem", "--check-config"], "--ssl-certfile: cannot read 'none.pem': No such file"),
        (["--ssl-certfile", "none.pem"], "--ssl-certfile: cannot read 'none.pem': No such file"),
        (["--ssl-certfile", "a.pem", "--ssl-keyfile", "b.key"], "--ssl-keyfile: the key does not match"),
        (["--ssl-certfile", "a.pem"], "--ssl-certfile: 'a.pem' holds no private key in PEM form; name its file"),
        (["--ssl-certfile", "main.py", "--ssl-keyfile", "a.key"], "--ssl-certfile: 'main.py' holds no certificate"),
        (["--ssl-keyfile", "a.key"], "--ssl-keyfile: give a certificate too"),
        ([*a.arguments(), "--ssl-certfile", "b.pem"], "2 certificates and 1 keys"),
        ([*a.arguments(), "--ssl-ciphers", "NOTHING"], "--ssl-ciphers: OpenSSL knows no cipher in 'NOTHING'"),
        ([*a.arguments(), "--ssl-cert-reqs", "2"], "--ssl-cert-reqs: name the clients' authorities"),
        ([*a.arguments(), "--ssl-ca-certs", "a.pem"], "--ssl-ca-certs: it needs --ssl-cert-reqs"),
        (["--redirect-bind", "127.0.0.1:0"], "--redirect-bind: give a certificate too"),
    ):
        code, line = refused(tmp_path, *arguments)
        assert (code, expected in line) == (2, True), line
    assert b.certfile.exists()


def test_encrypted_key_needs_password_and_password_is_not_exposed(tmp_path):
    issued = Issued(tmp_path, "a")
    key = serialization.load_pem_private_key(issued.key, None)
    password = serialization.BestAvailableEncryption(b"secret")
    encrypted = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, password)
    (tmp_path / "encrypted.key").write_bytes(encrypted)
    pair = ["--ssl-certfile", "a.pem", "--ssl-keyfile", "encrypted.key"]
    assert "is encrypted; give its --ssl-keyfile-password" in refused(tmp_path, *pair)[1]
    assert "does not open the key" in refused(tmp_path, *pair, "--ssl-keyfile-password", "wrong")[1]
    (tmp_path / "main.py").write_text(PRINTS_ENVIRONMENT)
    with Served(
        tmp_path, "main:app", "--port", "0", *pair, CORN_SSL_KEYFILE_PASSWORD="secret", OTHER="other"
    ) as served:
        served.wait_ready()
        status, environment = get(served.address)
        assert status == 200
        assert "OTHER=other" in environment
        assert "secret" not in environment
        served.signal(signal.SIGHUP)
        served.wait_for("generation 2 serves|reloaded")
        assert get(served.address) == (200, environment)
    shown = subprocess.run(
        [sys.executable, "-m", "corn", "config", "--json", *pair, "--ssl-keyfile-password", "secret"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "secret" not in shown.stdout


def test_expired_certificate_warns_and_fails_config_check(tmp_path):
    old = Issued(tmp_path, "old", not_before=NOW - 3 * DAY, not_after=NOW - DAY)
    code, line = refused(tmp_path, *old.arguments(), "--check-config")
    assert code == 2
    assert "it expired on" in line
    with serve(tmp_path, old) as served:
        served.wait_ready()
        assert "WARNING" in served.wait_for(".*expired on.*clients will refuse it")[0]


def test_redirect_bind_redirects_plain_http(tmp_path):
    with serve(tmp_path, Issued(tmp_path, "a"), "--redirect-bind", "127.0.0.1:0") as served:
        served.wait_ready()
        plain = urlsplit(served.wait_for(r"(http://\S+) redirects to HTTPS")[1])
        port = urlsplit(served.address).port
        for head, location in (
            ("GET /a%20b?c=d&e HTTP/1.1\r\nHost: example.com:80", f"https://example.com:{port}/a%20b?c=d&e"),
            ("POST //evil.test/x HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 3", f"https://[::1]:{port}//evil.test/x"),
            ("GET http://other.test/y HTTP/1.1\r\nHost: example.com", f"https://other.test:{port}/y"),
            ("OPTIONS * HTTP/1.1\r\nHost: example.com", f"https://example.com:{port}/"),
        ):
            answer = ask(plain.port, head)
            assert answer.startswith("HTTP/1.1 308 ")
            assert f"\r\nlocation: {location}\r\n" in answer
        for head in ("GET / HTTP/1.0", "GET / HTTP/1.1", "nonsense", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01"):
            assert ask(plain.port, head).startswith("HTTP/1.1 400 ")
        status = get(served.address)[0]
        assert status == 200


def ask(port, head):
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(head.encode() + b"\r\n\r\n")
        answer = b""
        while data := sock.recv(65536):
            answer += data
    return answer.decode()


def test_client_certificate_is_required(tmp_path):
    own = Issued(tmp_path, "client", "someone@example.com")
    required = ["--ssl-ca-certs", authorities(tmp_path), "--ssl-cert-reqs", "required"]
    with serve(tmp_path, Issued(tmp_path, "a"), *required) as served:
        served.wait_ready()
        port = urlsplit(served.address).port
        with pytest.raises(OSError, match=r"(?i)ssl|reset|broken"):
            get(served.address)
        connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=client(own=own))
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()


def test_tls_session_is_resumed_by_other_worker(tmp_path):
    with serve(tmp_path, Issued(tmp_path, "a"), "--workers", "2") as served:
        served.wait_ready()
        port, context = urlsplit(served.address).port, client()
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # so that the ticket is there when the handshake is
        session, seen = None, []
        for _ in range(12):
            with (
                socket.create_connection(("127.0.0.1", port), 20) as sock,
                context.wrap_socket(sock, server_hostname="localhost", session=session) as tls,
            ):
                seen.append(tls.session_reused)
                session = session or tls.session
        assert seen == [False] + [True] * 11


def test_certificate_examiner_that_hangs_does_not_delay_stop(tmp_path):
    """The test suspends the examiner by a signal."""
    issued = Issued(tmp_path, "a")
    with serve(tmp_path, issued) as served:
        served.wait_ready()
        issued.replace(Issued(tmp_path, "b"))
        served.wait_until(lambda: _stop_examiner(served) or "renewed" in served.output, "the examiner is started")
        assert get(served.address)[0] == 200
        served.signal(signal.SIGTERM)
        assert served.wait_exit() == 0
        assert served.leftovers() == []


def _stop_examiner(served):
    """Stop the process that examines certificates; whether there was one.

    A child that has not executed its program yet is left alone: posix_spawn(3) has its parent wait for that, and a
    parent whose child is stopped before it waits for ever.
    """
    found = [
        each for each in psutil.Process(served.pid).children() if "corn.server.tls.certificate" in served.title(each)
    ]
    for each in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.suspend()
    return bool(found)


def test_upgrade_with_unreadable_key_keeps_certificate(tmp_path):
    """As with --user, where the first master reads the key as root and then drops root. Here the file is removed."""
    issued = Issued(tmp_path, "a")
    with serve(tmp_path, issued) as served:
        served.wait_ready()
        before = serial(served.address)
        issued.keyfile.unlink()
        mark = served.mark()
        served.signal(signal.SIGUSR2)
        served.wait_for("the new master serves: stopping", since=mark)
        served.wait_for("--ssl-keyfile: .* is no longer readable: renewing it needs a restart", since=mark)
        assert served.process.wait(40) == 0
        assert serial(served.address) == before
        assert get(served.address)[0] == 200
