"""Readers of the foreign formats, with files in these formats that are made here."""

from tests.suites.files import cases_in
from tests.suites.http2 import Http2Results, results_in

PAGE = """
## One request

<!-- meta={"type": "request"} -->
```http
GET /a HTTP/1.1
A:\\tb


```

```log
off=4 len=2 span[url]="/a"
off=9 message complete
```

## One that is paused

<!-- meta={"type": "request", "pause": "on_url_complete"} -->
```http
GET /b HTTP/1.1


```

```log
off=4 len=2 span[url]="/b"
```

### A bad one

<!-- meta={"type": "request"} -->
```http
GET
```

```log
off=3 error code=6
```
"""


def test_llhttp_page_gives_bytes_and_expectation_of_each_plain_request(tmp_path):
    (tmp_path / "llhttp/test/request").mkdir(parents=True)
    (tmp_path / "llhttp/test/request/sample.md").write_text(PAGE)
    first, second = cases_in(tmp_path)
    assert (first.name, first.data) == ("sample: One request", b"GET /a HTTP/1.1\r\nA:\tb\r\n\r\n")
    assert (first.is_valid, first.targets) == (True, ("/a",))
    assert (second.name, second.data, second.is_valid) == ("sample: A bad one", b"GET", False)


def test_gunicorn_file_gives_bytes_unless_it_sets_options(tmp_path):
    for kind in ("valid", "invalid"):
        directory = tmp_path / "gunicorn/tests/requests" / kind
        directory.mkdir(parents=True)
        (directory / "1.http").write_bytes(b"GET /a HTTP/1.1\\r\\n\n\\x41: b\\r\\n\n\\r\\n\n")
        (directory / "1.py").write_text('request = {"uri": uri("/a")}\n')
        (directory / "2.http").write_bytes(b"")
        (directory / "2.py").write_text('cfg.set("x", 1)\n')
    cases = list(cases_in(tmp_path))
    assert [each.is_valid for each in cases] == [False, True]
    assert {each.data for each in cases} == {b"GET /a HTTP/1.1\r\nA: b\r\n\r\n"}
    assert {each.targets for each in cases} == {("/a",)}


PROBE = r"""
        yield return new TestCase
        {
            Id = "A-1",
            PayloadFactory = ctx =>
            {
                var longName = new string('A', 1_0);
                const string body = "a\r\n";
                var cl = Encoding.ASCII.GetByteCount(body);
                return MakeRequest($"GET / HTTP/1.1\r\n{longName}: {cl}\r\n" +
                    $"Host: {ctx.HostHeader}\r\n\x0Bd\r\n{body}");
            },
            Expected = new ExpectedBehavior
            {
                Description = "400/431 or close",
            }
        };

        yield return new TestCase
        {
            Id = "A-2",
            PayloadFactory = _ => MakeRequest("GET /\0 HTTP/1.1\r\n\r\n"),
            Expected = new ExpectedBehavior
            {
                ExpectedStatus = StatusCodeRange.Exact(400),
                AllowConnectionClose = true
            }
        };

        yield return new TestCase
        {
            Id = "A-3",
            PayloadFactory = _ => MakeRequest("GET / HTTP/1.1\r\n\r\n"),
            Expected = new ExpectedBehavior
            {
                Description = "2xx with Date header",
            }
        };

        yield return new TestCase
        {
            Id = "A-4",
            PayloadFactory = _ => new byte[] { 1 },
            Expected = new ExpectedBehavior
            {
                ExpectedStatus = StatusCodeRange.Exact(400)
            }
        };
"""


def test_http11probe_gives_plain_requests_and_statuses_allowed(tmp_path):
    directory = tmp_path / "Http11Probe/src/Http11Probe/TestCases/Suites"
    directory.mkdir(parents=True)
    (directory / "SampleSuite.cs").write_text(PROBE)
    first, second = cases_in(tmp_path)
    head = b"GET / HTTP/1.1\r\nAAAAAAAAAA: 3\r\nHost: localhost\r\n"
    assert (first.name, first.data) == ("A-1", head + b"?\r\na\r\n")  # \x takes up to four digits in C#
    assert (first.allowed, first.is_valid) == (("400", "431", "close"), False)
    assert (second.data, second.allowed) == (b"GET /\0 HTTP/1.1\r\n\r\n", ("400", "close"))


def test_junit_report_gives_number_of_cases_and_names_of_failed_ones():
    report = """<testsuites><testsuite>
        <testcase package="http2/3.5" classname="Sends a preface"></testcase>
        <testcase package="http2/4.1" classname="Sends a frame"><error>closed</error></testcase>
    </testsuite></testsuites>"""
    assert results_in(report) == Http2Results(2, ("http2/4.1: Sends a frame",))
