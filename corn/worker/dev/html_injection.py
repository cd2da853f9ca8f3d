"""HTML injection: inserts an element into one response, if that is a page. Pure: messages in, messages out.

    START    http.response.start  -> HELD, if it may be a page, else PASSING
    HELD     the first bytes      -> INSERTING, if they begin a document, else PASSING
    INSERTING  the last message   -> the element goes before its last </body>, or after it

A page is a complete HTML document without a content coding. Only the last message is searched for </body>, because
earlier ones may contain it in a script. A streamed body is delayed only until its first bytes arrive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from corn.server.asgi.types import Message

Fields = list[tuple[bytes, bytes]]
_DOCUMENT = re.compile(rb"<(!doctype html|html|head|body)[\s>]", re.IGNORECASE)
_END = re.compile(rb"</body\s*>", re.IGNORECASE)
_SEARCHED_BYTES = 2048
# A cached page would connect to a server that has exited; a digest would not match the changed bytes.
_DROPPED = {b"etag", b"last-modified", b"accept-ranges", b"cache-control", b"content-digest", b"repr-digest", b"digest"}
_PARTIAL = {204, 205, 206, 304}
_POLICY = b"content-security-policy"


class HTMLInjection:
    """Injection into one response. `element_for` receives the values of its policies, and returns adapted ones and the
    element.
    """

    def __init__(self, element_for: Callable[[list[str]], tuple[list[str], bytes]]) -> None:
        self._element_for = element_for
        self._held: Message | None = None
        self._element = b""

    def feed(self, message: Message) -> Iterable[Message]:
        """The messages to send for one of the application's."""
        if message["type"] == "http.response.start" and may_be_page(message):
            self._held = message
            return ()
        if message["type"] != "http.response.body":
            return self._with_held(message)
        if self._held is not None:
            if not message.get("body") and message.get("more_body", False):
                return ()
            self._decide(message)
        if self._element and not message.get("more_body", False):
            message = {**message, "body": _inserted(bytes(message.get("body", b"")), self._element)}
        return self._with_held(message)

    def _decide(self, message: Message) -> None:
        if self._held is None or not _DOCUMENT.search(bytes(message["body"][:_SEARCHED_BYTES])):
            return
        fields: Fields = [(bytes(name).lower(), bytes(value)) for name, value in self._held.get("headers", ())]
        policies = [value.decode("latin-1") for name, value in fields if name == _POLICY]
        allowed, self._element = self._element_for(policies)
        self._held = {**self._held, "headers": _adjusted_fields(fields, allowed, len(self._element))}

    def _with_held(self, message: Message) -> Iterable[Message]:
        held, self._held = self._held, None
        return (message,) if held is None else (held, message)


def may_be_page(start: Message) -> bool:
    """True if a response may be a page, by its status and its header."""
    if start["status"] in _PARTIAL or start["status"] < 200:
        return False
    fields = {bytes(name).lower(): bytes(value).lower() for name, value in start.get("headers", ())}
    if not fields.get(b"content-type", b"").startswith(b"text/html"):
        return False
    attached = fields.get(b"content-disposition", b"").startswith(b"attachment")
    return not attached and fields.get(b"content-encoding", b"identity") == b"identity"


def _adjusted_fields(fields: Fields, policies: list[str], size: int) -> Fields:
    """The header for a body that is longer by `size`."""
    kept = [(name, value) for name, value in fields if name not in _DROPPED and name != _POLICY]
    kept = [
        (name, b"%d" % (int(value) + size) if name == b"content-length" and value.isdigit() else value)
        for name, value in kept
    ]
    kept += [(_POLICY, each.encode("latin-1")) for each in policies]
    return [*kept, (b"cache-control", b"no-store")]


def _inserted(body: bytes, element: bytes) -> bytes:
    ends = [found.start() for found in _END.finditer(body)]
    place = ends[-1] if ends else len(body)
    return body[:place] + element + body[place:]
