"""Options of TLS and static files, and their dependencies."""

import pytest

from corn.config.sections.static import Mount, split_mount
from corn.config.sections.tls import ClientCertificates, Secret
from corn.config.sources import resolve
from corn.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "mount"),
    [
        ("/assets=./public", ("/assets", "./public")),
        ("/assets/=public", ("/assets", "public")),
        ("/=dist", ("", "dist")),
        ("/a/b=/srv/x=y", ("/a/b", "/srv/x=y")),
        ("/.well-known=acme", ("/.well-known", "acme")),
    ],
)
def test_mount_is_parsed(written, mount):
    assert split_mount(Mount().parse(written)) == mount


@pytest.mark.parametrize(
    "written",
    ["", "public", "/assets", "/assets=", "assets=public", "//a=b", "/a/../b=c", "/%41=b", "/a?b=c", "/a\0=b", 3],
)
def test_malformed_mount_is_refused(written):
    with pytest.raises(ValueError, match="expected a path and a directory"):
        Mount().parse(written)


@pytest.mark.parametrize(
    ("raw", "word"), [("optional", "optional"), ("REQUIRED", "required"), (2, "required"), ("0", "none")]
)
def test_client_certificate_policy_is_parsed(raw, word):
    assert ClientCertificates().parse(raw) == word


@pytest.mark.parametrize("raw", ["3", True, None, "maybe"])
def test_unknown_client_certificate_policy_is_refused(raw):
    with pytest.raises(ValueError, match="expected one of none, optional, required"):
        ClientCertificates().parse(raw)


@pytest.mark.parametrize("written", ["", None, 5])
def test_empty_secret_is_refused(written):
    with pytest.raises(ValueError, match="expected a text that is not empty"):
        Secret().parse(written)


def test_secret_is_not_shown():
    assert Secret().parse("abc") == "abc"
    assert "abc" not in Secret().show("abc")


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"ssl_keyfile": ["a"]}, "--ssl-keyfile: give a certificate too"),
        ({"ssl_certfile": ["a", "b"], "ssl_keyfile": ["a"]}, "2 certificates and 1 keys"),
        ({"ssl_certfile": ["a"], "ssl_ca_certs": "c"}, "--ssl-ca-certs: it needs --ssl-cert-reqs"),
        ({"ssl_certfile": ["a"], "ssl_cert_reqs": "2"}, "--ssl-cert-reqs: name the clients' authorities"),
        ({"ssl_certfile": ["a"], "ssl_crl": "r"}, "--ssl-crl: it needs --ssl-cert-reqs optional or required"),
        ({"redirect_bind": ["127.0.0.1:80"]}, "--redirect-bind: give a certificate too"),
        ({"static": ["/a=nowhere"]}, "--static: there is no directory 'nowhere'"),
    ],
)
def test_option_without_required_other_is_refused(tmp_path, given, refusal):
    with pytest.raises(ConfigError, match=refusal):
        resolve(given, {}, tmp_path, None)
