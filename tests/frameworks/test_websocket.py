"""WebSockets of each framework, with the client of `websockets` and with a browser."""

import contextlib

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

TIMEOUT = 20


def ws(served):
    return served.address.replace("http://", "ws://") + "/ws"


def opened(served):
    return connect(ws(served), open_timeout=TIMEOUT, close_timeout=TIMEOUT, proxy=None)


def test_websocket_echoes_messages_in_order(served):
    if not served.site.is_asgi:
        with pytest.raises(InvalidStatus) as refused:
            opened(served)
        assert refused.value.response.status_code == 403
        return
    with opened(served) as websocket:
        for text in ("one", "zwei", "x" * 100_000):
            websocket.send(text)
            assert websocket.recv(TIMEOUT) == f"echo {text}"
    assert websocket.close_code == 1000


def test_concurrent_websockets_echo_independently(served):
    if not served.site.is_asgi:
        pytest.skip("WSGI has no WebSockets")
    with contextlib.ExitStack() as stack:
        websockets = [stack.enter_context(opened(served)) for _ in range(20)]
        for number, websocket in enumerate(websockets):
            websocket.send(str(number))
        assert [websocket.recv(TIMEOUT) for websocket in websockets] == [f"echo {each}" for each in range(20)]


def test_browser_uses_websocket_and_events(served, request):
    if not served.site.is_asgi:
        pytest.skip("WSGI has no WebSockets")
    request.getfixturevalue("chromium").go(served.address + "/page")  # only here: the skipped tests need no browser
    served.wait_for(r'"GET /done\?ws=echo%20browser&events=3 HTTP/1.1" 200')
