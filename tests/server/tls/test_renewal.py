"""Certificate renewal without a master, as with `corn.serve`."""

import asyncio
import logging

import pytest

import corn
from corn.config import Config
from corn.errors import ConfigError
from corn.server.tls.renewal import auto_renewal, open_tls
from tests.support.asgi_server import Peer, hello, until
from tests.support.certificates import DAY, NOW, Issued, client

LAST = b"GET / HTTP/1.1\r\nHost: corn\r\nConnection: close\r\n\r\n"


def test_embedded_server_loads_renewed_certificate(run, tmp_path, caplog):
    issued, other = Issued(tmp_path, "a"), Issued(tmp_path, "b")
    ready = asyncio.Event()
    addresses = []

    async def shown():
        port = int(addresses[0].rpartition(":")[2])
        peer = Peer(*await asyncio.open_connection("127.0.0.1", port, ssl=client(), server_hostname="localhost"))
        serial = peer.writer.get_extra_info("peercert")["serialNumber"]
        assert (await peer.request(LAST)).body == b"hello"
        peer.close()
        return serial

    async def main():
        def begin(where):
            addresses.extend(where)
            ready.set()

        serving = asyncio.create_task(corn.serve(hello, ready=begin, port=0, lifespan="off", **issued.options()))
        await ready.wait()
        assert addresses[0].startswith("https://")
        before = await shown()
        issued.keyfile.write_bytes(other.key)
        await until(lambda: "renewal failed" in caplog.text)
        assert await shown() == before
        issued.replace(other)
        while await shown() == before:
            await asyncio.sleep(0.05)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    with caplog.at_level(logging.INFO, "corn"):
        logging.getLogger("corn").addHandler(caplog.handler)
        try:
            run(main())
        finally:
            logging.getLogger("corn").removeHandler(caplog.handler)
    refusals = {id(each) for each in caplog.records if "the key does not match" in each.getMessage()}
    assert len(refusals) == 1  # which the log's handlers may both have seen


def test_unusable_credentials_are_refused_and_expired_ones_warn(tmp_path, caplog):
    issued = Issued(tmp_path, "a", not_before=NOW - 3 * DAY, not_after=NOW - DAY)
    with caplog.at_level(logging.WARNING):
        logging.getLogger("corn").addHandler(caplog.handler)
        assert open_tls(Config(**issued.options()), None) is not None
        logging.getLogger("corn").removeHandler(caplog.handler)
    assert "it expired on" in caplog.text
    issued.keyfile.write_text("nothing")
    with pytest.raises(ConfigError, match="--ssl-keyfile"):
        open_tls(Config(**issued.options()), None)


def test_renewal_without_certificates_does_nothing(run):
    async def main():
        assert open_tls(Config(), None) is None
        with auto_renewal(None, Config()):
            await asyncio.sleep(0)

    run(main())
