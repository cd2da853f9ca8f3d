"""Readers of the foreign formats, with files in these formats that are made here."""

from tests.suites.files import cases_in

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
