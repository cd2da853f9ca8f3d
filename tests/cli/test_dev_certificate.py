"""Certificate of `corn dev --tls`."""

import os
import ssl
import stat
import sys
import urllib.request

import pytest

from corn.cli.dev_certificate import local_certificate
from corn.errors import ConfigError
from tests.support.corn_process import Served, write_app


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "corn"


def test_dev_certificate_is_created_once_with_private_key_file(home):
    made = local_certificate()
    assert stat.S_IMODE(made.keyfile.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.directory.stat().st_mode) == 0o700
    content = made.keyfile.read_bytes()
    assert local_certificate().keyfile.read_bytes() == content
    assert sorted(each.name for each in home.rglob("*")) == ["authority.pem", "localhost.key", "localhost.pem", "tls"]


def test_expired_or_damaged_dev_certificate_is_replaced(home):
    made = local_certificate()
    content = made.keyfile.read_bytes()
    os.utime(made.certfile, (0, 0))
    assert local_certificate().keyfile.read_bytes() != content
    made.authority.unlink()
    assert local_certificate().authority.exists()
    assert [each.name for each in home.iterdir()] == ["tls"]


def test_unwritable_certificate_directory_is_config_error(tmp_path, monkeypatch):
    (tmp_path / "data").write_text("a file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with pytest.raises(ConfigError, match=r"--tls: cannot write the certificate to .*data/corn/tls"):
        local_certificate()


def test_missing_tls_extra_is_named(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ConfigError, match="pip install trustme"):
        local_certificate()
    assert not home.exists()


def test_dev_tls_option_serves_https(tmp_path, home):
    write_app(tmp_path, "one")
    command = [sys.executable, "-m", "corn", "dev"]
    arguments = ("main:app", "--port", "0", "--tls")
    with Served(tmp_path, *arguments, program=command, XDG_DATA_HOME=str(tmp_path / "data")) as served:
        authority = served.wait_for(r"import (\S+) into the browser")[1]
        port = served.wait_for(r"https://127.0.0.1:(\d+)")[1]
        trusting = ssl.create_default_context(cafile=authority)
        for host in ("localhost", "127.0.0.1"):
            with urllib.request.urlopen(f"https://{host}:{port}/", context=trusting, timeout=30) as answer:
                assert answer.read().startswith(b"one ")
    assert authority.startswith(str(home))
