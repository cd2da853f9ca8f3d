import pytest
from hypothesis import given
from hypothesis import strategies as st

from corn.worker.dev.html_injection import HTMLInjection

MARK = b"<script>!</script>"


def passed(messages, policies=None):
    seen = []

    def element_for(given):
        seen.extend(given)
        return policies if policies is not None else given, MARK

    insertion = HTMLInjection(element_for)
    return [each for message in messages for each in insertion.feed(message)]


def start(*fields, status=200, kind=b"text/html; charset=utf-8"):
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *fields]}


def body(data, more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_script_is_inserted_before_last_body_end():
    page = b"<!DOCTYPE html><script>x='</body>'</script><p>hi</BODY></html>"
    first, second = passed([start((b"Content-Length", b"%d" % len(page))), body(page)])
    assert second["body"] == b"<!DOCTYPE html><script>x='</body>'</script><p>hi" + MARK + b"</BODY></html>"
    assert dict(first["headers"])[b"content-length"] == b"%d" % len(second["body"])
    assert dict(first["headers"])[b"cache-control"] == b"no-store"


def test_page_is_not_cacheable():
    fields = [(b"ETag", b'"x"'), (b"Last-Modified", b"now"), (b"Cache-Control", b"max-age=9"), (b"x-own", b"1")]
    first, _ = passed([start(*fields), body(b"<html>")])
    assert {name for name, _ in first["headers"]} == {b"content-type", b"x-own", b"cache-control"}


def test_csp_is_replaced():
    first, _ = passed(
        [start((b"Content-Security-Policy", b"script-src a")), body(b"<html>")], policies=["script-src b"]
    )
    assert [value for name, value in first["headers"] if name == b"content-security-policy"] == [b"script-src b"]


@pytest.mark.parametrize(
    "messages",
    [
        [start(kind=b"application/json"), body(b'"<html></body>"')],
        [start((b"content-encoding", b"gzip")), body(b"<html></body>")],
        [start((b"content-disposition", b"attachment; filename=x.html")), body(b"<html></body>")],
        [start(status=206), body(b"<html></body>")],
        [start(status=304), body(b"")],
        [start(), body(b"<li>a fragment</li>")],
        [start(), body(b"<header>a fragment</header>")],
        [start(), body(b"")],
        [start(), {"type": "http.response.trailers", "headers": []}],
    ],
)
def test_response_other_than_page_is_unchanged(messages):
    assert passed(messages) == messages


def test_error_page_gets_script():
    assert passed([start(status=500), body(b"<html>")])[1]["body"].endswith(MARK)


def test_stream_is_not_delayed():
    insertion = HTMLInjection(lambda given: (given, MARK))
    assert list(insertion.feed(start())) == []
    assert [each["type"] for each in insertion.feed(body(b"<html>", more=True))] == [
        "http.response.start",
        "http.response.body",
    ]
    assert [each["body"] for each in insertion.feed(body(b"one</body>", more=True))] == [b"one</body>"]
    assert [each["body"] for each in insertion.feed(body(b"</html>"))] == [b"</html>" + MARK]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.booleans())
def test_injection_keeps_body_and_content_length(chunks, is_document):
    chunks = [b"<html>" if is_document else b"<p>", *chunks]
    size = sum(map(len, chunks))
    messages = [body(each, more=number < len(chunks) - 1) for number, each in enumerate(chunks)]
    first, *rest = passed([start((b"content-length", b"%d" % size)), *messages])
    whole = b"".join(each["body"] for each in rest)
    assert len(rest) == len(messages)
    assert int(dict(first["headers"])[b"content-length"]) == len(whole)
    assert (whole.count(MARK) == 1) == (is_document or b"<html>" in chunks[1])
    assert whole.replace(MARK, b"", 1) == b"".join(chunks)
