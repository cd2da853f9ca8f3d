"""Says three lines over a WebSocket, connecting again whenever the server goes away; then reads them as events."""

import asyncio
import subprocess
import sys
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

ADDRESS = sys.argv[1]


async def talk() -> None:
    said = 0
    async for websocket in connect(f"ws://{ADDRESS}/talk"):  # connects again, with a growing delay
        try:
            while said < 3:
                await websocket.send(f"line {said + 1}")
                said += 1
                if said == 2:  # a deploy in the middle of the conversation
                    subprocess.run(["corn", "reload", "--wait"], check=True)
                    await websocket.wait_closed()
                    print("closed with", websocket.close_code)
        except ConnectionClosed:
            continue
        return


asyncio.run(talk())
with urllib.request.urlopen(f"http://{ADDRESS}/events", timeout=20) as events:
    lines = [line.decode().strip() for line in (events.readline() for _ in range(9)) if line.startswith(b"data")]
print(lines)
