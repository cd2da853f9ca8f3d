"""Scope that an application receives for one request."""

from tests.support.asgi_server import hello, serving


def scope_for(run, *lines, listener=None, before=b"", **options):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        await hello(scope, receive, send)

    async def main():
        async with serving(app, listener=listener, **options) as at:
            await at.request(
                before + b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"".join(each + b"\r\n" for each in lines) + b"\r\n"
            )

    run(main())
    return seen
