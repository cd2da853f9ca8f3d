"""HTTP/2 with real clients over TLS, and during a reload."""

import asyncio
import signal
import subprocess
from urllib.parse import urlsplit

import httpx
import pytest
from h2.errors import ErrorCodes

from tests.support.asgi_server import Peer, until
from tests.support.certificates import Issued, authorities, client
from tests.support.corn_process import Served, write_app
from tests.support.http2_peer import H2Peer, tolerant
from tests.support.http_client import PAUSE

BIG = 1_000_000
APP = """
PAGE = b'''<!doctype html><script>
const text = "x".repeat(100000), events = new EventSource("/events"), seen = [];
events.onmessage = event => { seen.push(event.data); if (seen.length == 3) { events.close(); ask(); } };
async function ask() {
  const echoes = await Promise.all([...Array(20)].map(() => fetch("/echo", {method: "POST", body: text})));
  const sizes = new Set(await Promise.all(echoes.map(async each => (await each.text()).length)));
  const socket = new WebSocket("wss://" + location.host + "/ws");
  socket.onopen = () => socket.send("browser");
  socket.onmessage = event => fetch(`/done?${performance.getEntriesByType("navigation")[0].nextHopProtocol}` +
    `&${[...sizes]}&${seen}&${event.data}`);
}
</script>'''

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"] + " " + scope["http_version"]})
        return
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    kind = b"text/html" if scope["path"] == "/page" else b"text/event-stream"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    if scope["path"] == "/events":
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\\n\\n" % number, "more_body": True})
    answer = {"/page": PAGE, "/echo": body}.get(scope["path"], b"")
    await send({"type": "http.response.body", "body": answer})
"""


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def served(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("http2")
    (directory / "main.py").write_text(APP)
    issued = Issued(directory, "own")
    options = ("--port", "0", "--workers", "2", "--loop", request.param, *issued.arguments())
    with Served(directory, "main:app", *options).wait_ready() as running:
        running.authority = authorities(directory)
        yield running


def url(served, path="/"):
    return f"https://localhost:{urlsplit(served.address).port}{path}"


def output(*line):
    return subprocess.run(line, capture_output=True, timeout=40, check=True, text=True).stdout


def test_curl_negotiates_http2(served, program, tmp_path):
    (tmp_path / "body").write_bytes(b"x" * BIG)
    common = (program("curl"), "-sS", "--fail", "--cacert", served.authority, "-o", tmp_path / "answer")
    written = "%{http_version} %{http_code} %{size_download}"
    assert output(*common, "-w", written, url(served)) == "2 200 0"
    assert output(*common, "-w", written, "--data-binary", f"@{tmp_path}/body", url(served, "/echo")) == f"2 200 {BIG}"
    assert output(*common, "-w", written, "--http1.1", url(served)) == "1.1 200 0"


def test_nghttp_gets_200(served, program):
    printed = output(program("nghttp"), "-nv", "--no-verify-peer", url(served), url(served, "/page"))
    assert printed.count(":status: 200") == 2


def test_h2load_has_no_failed_request(served, program):
    printed = output(program("h2load"), "-n2000", "-c8", "-m16", url(served))
    assert "Application protocol: h2" in printed
    assert "2000 succeeded, 0 failed, 0 errored" in printed


def test_httpx_posts_concurrent_streams(served):
    async def main():
        async with httpx.AsyncClient(http2=True, verify=client(), trust_env=False, timeout=40) as http:
            answers = await asyncio.gather(*[http.post(url(served, "/echo"), content=b"x" * 10_000) for _ in range(50)])
        assert {(each.http_version, each.status_code, len(each.content)) for each in answers} == {
            ("HTTP/2", 200, 10_000)
        }

    asyncio.run(main())


def test_chromium_uses_requests_events_and_websocket(served, chromium):
    since = served.mark()
    chromium.go(url(served, "/page"))
    served.wait_for(r'"GET /done\?h2&100000&0,1,2&browser%202 HTTP/2" 200', since=since)


async def ask_without_end(address, stop, answers, failures):
    """Send requests on one connection, and on a new one after GOAWAY; refused requests are retried."""
    where = urlsplit(address)
    while not stop.is_set():
        peer = Peer(*await asyncio.open_connection(where.hostname, where.port))
        asking = tolerant(await H2Peer(peer).start())
        while asking.terminated is None and not stop.is_set():
            streams = [await asking.begin() for _ in range(8)]
            for stream in streams:
                try:
                    response = await asking.response(stream)
                except AssertionError as error:
                    if asking.terminated is None or stream <= asking.terminated.last_stream_id:
                        failures.append(str(error))
                        return
                    continue  # RFC 9113, 6.8: streams above the last one of the GOAWAY may be retried
                if response.ended and response.status == 200:
                    answers.append(response.body)
                elif response.reset != ErrorCodes.REFUSED_STREAM:
                    failures.append((response.status, response.reset))
            await asyncio.sleep(PAUSE)
        peer.close()


def test_reload_under_load_fails_no_request(tmp_path):
    write_app(tmp_path, "one")
    with Served(
        tmp_path, "main:app", "--port", "0", "--workers", "2", "--soak", "0", "--timeout-keep-alive", "1"
    ).wait_ready() as served:

        async def main():
            stop, answers, failures = asyncio.Event(), [], []
            load = [asyncio.ensure_future(ask_without_end(served.address, stop, answers, failures)) for _ in range(4)]
            for version in (b"two", b"three"):
                write_app(tmp_path, version.decode())
                served.signal(signal.SIGHUP)
                await asyncio.wait_for(until(lambda: answers and answers[-1].startswith(version)), 40)  # noqa: B023
            stop.set()
            await asyncio.wait_for(asyncio.gather(*load), 40)
            return answers, failures

        answers, failures = asyncio.run(main())
    assert not failures
    assert len(answers) > 100
