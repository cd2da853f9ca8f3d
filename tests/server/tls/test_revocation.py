"""Revocation of client certificates (--ssl-crl)."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from corn.config import Config
from corn.errors import ConfigError
from corn.server.tls.context import TLSContexts
from corn.tls.credentials import Credentials, FileStamps, read_credentials
from tests.support.asgi_server import hello, serving
from tests.support.certificates import DAY, NOW, Issued, authorities, authority, client

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def revocation_list(path, *revoked, until=DAY):
    """Write a revocation list of the test's authority."""
    ca = x509.load_pem_x509_certificate(authority().cert_pem.bytes())
    key = serialization.load_pem_private_key(authority().private_key_pem.bytes(), None)
    builder = x509.CertificateRevocationListBuilder().issuer_name(ca.subject)
    builder = builder.last_update(NOW - 2 * DAY).next_update(NOW + until)
    for each in revoked:
        serial = x509.load_pem_x509_certificate(each.certificate).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY)
        builder = builder.add_revoked_certificate(entry.build())
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return str(path)


def config_of(tmp_path, crl):
    server = Issued(tmp_path, "a")
    return Config(ssl_ca_certs=authorities(tmp_path), ssl_cert_reqs="required", ssl_crl=crl, **server.options())


def is_served(run, config, own):
    tls = TLSContexts(config, read_credentials(config))

    async def main():
        async with serving(hello, tls=tls) as running:
            try:
                peer = await running.connect(ssl=client(own=own), server_hostname="localhost")
                return (await peer.request(GET)).status == 200
            except (OSError, EOFError):
                return False

    return run(main())


def test_revoked_client_certificate_is_refused(run, tmp_path):
    good, bad = Issued(tmp_path, "good", "good@example.com"), Issued(tmp_path, "bad", "bad@example.com")
    config = config_of(tmp_path, revocation_list(tmp_path / "crl.pem", bad))
    assert is_served(run, config, good)
    assert not is_served(run, config, bad)


def test_expired_revocation_list_refuses_all_clients(run, tmp_path):
    own = Issued(tmp_path, "good", "good@example.com")
    assert not is_served(run, config_of(tmp_path, revocation_list(tmp_path / "crl.pem", until=dt.timedelta(-1))), own)


def test_renewal_watches_revocation_list(tmp_path):
    own = Issued(tmp_path, "good", "good@example.com")
    config = config_of(tmp_path, revocation_list(tmp_path / "crl.pem"))
    stamps, before = FileStamps(config), read_credentials(config)
    assert stamps.have_changed()
    revocation_list(tmp_path / "crl.pem", own)
    assert stamps.have_changed()
    after = read_credentials(config)
    assert after != before
    assert Credentials.from_json(after.to_json()) == after


def test_file_without_revocation_list_is_config_error(tmp_path):
    config = config_of(tmp_path, authorities(tmp_path))
    with pytest.raises(ConfigError, match=r"--ssl-crl: '.*ca\.pem' holds no revocation list in PEM form"):
        read_credentials(config)
