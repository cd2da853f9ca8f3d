"""One honest request, before any is timed: a fast wrong answer is worth nothing."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable

from benchmarks.cases import Case

_PATIENCE = 20.0  # seconds until a service must answer


class WrongAnswerError(Exception):
    """A server does not answer, or not what it should."""


def ask(case: Case, port: int) -> http.client.HTTPResponse:
    """The response to the case's request, its body read; raises WrongAnswerError unless it is right."""
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
    """Whether the response says that the connection ends with it."""
    return (ask(case, port).getheader("connection") or "").lower() == "close"


def await_answer(case: Case, port: int, lives: Callable[[], bool]) -> None:
    """Ask until the service is up and answers right, or has ended."""
    deadline = time.monotonic() + _PATIENCE
    while (error := _unreached(case, port)) is not None:
        if not lives():
            raise WrongAnswerError("the server has ended")
        if time.monotonic() > deadline:
            raise WrongAnswerError(f"no answer within {_PATIENCE:.0f} s: {error}")
        time.sleep(0.02)


def _unreached(case: Case, port: int) -> Exception | None:
    """What kept the request from being answered at all."""
    try:
        ask(case, port)
    except (OSError, http.client.HTTPException) as error:
        return error
    return None


def raw_request(case: Case) -> bytes:
    """The case's request, without a body, as bytes for a connection that is to be kept."""
    return f"GET {case.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
