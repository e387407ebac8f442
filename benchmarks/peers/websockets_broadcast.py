"""PyPI `websockets` with its `broadcast()`."""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

_connected: set[ServerConnection] = set()


async def _talk(connection: ServerConnection) -> None:
    _connected.add(connection)
    try:
        await connection.send("connected to WebSocket server")
        async for message in connection:
            broadcast(_connected, message)
    finally:
        _connected.discard(connection)


async def _main(port: int) -> None:
    async with serve(_talk, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
