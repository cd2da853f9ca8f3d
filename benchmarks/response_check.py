"""Check of a server's response before the measurement, because a fast wrong response is worthless."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable

from benchmarks.cases import Case

_PATIENCE = 20.0  # seconds until a service must answer


class WrongAnswerError(Exception):
    """A server does not respond, or its response is wrong."""


def ask(case: Case, port: int) -> http.client.HTTPResponse:
    """Send the request of a case and read the response; raises WrongAnswerError if it is wrong."""
    connection = _connection(case, port)
    try:
        connection.request(case.method, case.path, body=case.body or None, headers=dict(case.headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise WrongAnswerError(f"status {response.status}: {body[:80]!r}")
    if case.answer is not None and body != case.answer:
        raise WrongAnswerError(f"{len(body)} bytes that begin with {body[:80]!r}")
    return response


def _connection(case: Case, port: int) -> http.client.HTTPConnection:
    if not case.secure:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    anyone = ssl.create_default_context()
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=anyone)


def announces_close(case: Case, port: int) -> bool:
    """True if the response announces that the server closes the connection."""
    return (ask(case, port).getheader("connection") or "").lower() == "close"


def await_answer(case: Case, port: int, lives: Callable[[], bool]) -> None:
    """Send requests until the server responds correctly; raises WrongAnswerError if it exits or times out."""
    deadline = time.monotonic() + _PATIENCE
    while (error := _unreached(case, port)) is not None:
        if not lives():
            raise WrongAnswerError("the server has exited")
        if time.monotonic() > deadline:
            raise WrongAnswerError(f"no answer within {_PATIENCE:.0f} s: {error}")
        time.sleep(0.02)


def _unreached(case: Case, port: int) -> Exception | None:
    """Error of a request without a response, None if there was a response."""
    try:
        ask(case, port)
    except (OSError, http.client.HTTPException) as error:
        return error
    return None


def raw_request(case: Case) -> bytes:
    """Request of a case as bytes, without a body, for a connection that is kept open."""
    return f"GET {case.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
