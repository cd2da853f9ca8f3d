"""HTTP versions that are served, by option and by installed extra."""

import subprocess
import sys

import pytest

from corn.config import Config
from corn.server.http2 import http2_connection
from corn.server.tls.context import application_protocols

WITHOUT_HPACK = """
import sys
sys.modules["hpack"] = None
from corn.config import Config
from corn.server.http2 import http2_connection
from corn.server.tls.context import application_protocols
config = Config(http=sys.argv[1])
print(http2_connection(config), application_protocols(config))
"""


@pytest.mark.parametrize(("http", "offered"), [("auto", ["h2", "http/1.1"]), ("1", ["http/1.1"]), ("2", ["h2"])])
def test_alpn_offers_served_protocols(http, offered):
    config = Config(http=http)
    assert application_protocols(config) == offered
    assert (http2_connection(config) is not None) == ("h2" in offered)


def without_hpack(http):
    line = [sys.executable, "-c", WITHOUT_HPACK, http]
    return subprocess.run(line, capture_output=True, text=True, timeout=40, check=False)


def test_missing_hpack_serves_http1_and_refuses_http2():
    assert without_hpack("auto").stdout == "None ['http/1.1']\n"
    refused = without_hpack("2")
    assert refused.returncode != 0
    assert "--http 2 needs hpack, the extra 'http2': pip install hpack" in refused.stderr
