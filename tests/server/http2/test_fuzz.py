"""Random HTTP/2 frames: the connection ends cleanly or continues, and the server keeps serving."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corn.server.http2 import frames
from tests.support.asgi_server import echo, serving
from tests.support.http2_peer import connect

HEADS = [
    b"\x82\x86\x84\x41\x01x",
    b"\x83\x86\x84\x41\x01x",
    b"\x82",
    b"\x86\x84\x41\x01x\x02\x07CONNECT",
    b"\x40\x01a\x01b\xbe",
]
PAYLOADS = st.sampled_from([*HEADS, b"", b"x" * 8, b"\0\0\0\1", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\4\0\0\0\0"])
KINDS = st.sampled_from([0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 6, 7, 8, 8, 9, 0x20])
FRAMES = st.builds(
    frames.frame,
    KINDS,
    st.sampled_from([0, 1, 4, 5, 5, 8, 0x0D, 0x24, 0x25, 0xFF]),
    st.sampled_from([0, 1, 1, 3, 3, 5, 2]),
    PAYLOADS | st.binary(max_size=20),
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(FRAMES, max_size=6), max_size=4))
def test_random_frames_do_not_break_server(caplog, batches):
    failures = []
    caplog.clear()

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        async with serving(echo) as at:
            peer = await at.connect(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0, b""))
            for batch in batches:
                await peer.send(b"".join(batch))
                await asyncio.sleep(0)
            other = await connect(at)
            assert (await other.request()).status == 200
            peer.close()
            other.peer.close()

    asyncio.run(asyncio.wait_for(main(), 20))
    assert not failures
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
