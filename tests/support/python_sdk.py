"""The PyPI package `centrifuge-python`, unmodified, doing what it is told.

Run as a program. Commands come as lines of JSON on standard input, answers and events go as lines
of JSON to standard output; `tests.support.sdks` says which. tests/js/sdk_client.mjs is its twin.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from centrifuge import (
    CentrifugeError,
    Client,
    ClientEventHandler,
    ClientInfo,
    ConnectedContext,
    ConnectingContext,
    DisconnectedContext,
    ErrorContext,
    JoinContext,
    LeaveContext,
    Publication,
    PublicationContext,
    ReplyError,
    StreamPosition,
    SubscribedContext,
    SubscribingContext,
    SubscriptionErrorContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)

__all__ = ["Peer"]

LEAST_DELAY_S = 0.02
MOST_DELAY_S = 0.2

Json = dict[str, Any]


def _tell(fact: Json) -> None:
    sys.stdout.write(json.dumps(fact, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _person(info: ClientInfo | None) -> Json | None:
    if info is None:
        return None
    return {"user": info.user, "id": info.client, "info": info.conn_info}


def _publication(pub: Publication) -> Json:
    return {
        "offset": pub.offset,
        "data": pub.data,
        "tags": pub.tags,
        "info": _person(pub.info),
    }


class Room(SubscriptionEventHandler):
    """Tells what happens to one subscription."""

    def __init__(self, peer: Peer, room: str) -> None:
        self._peer = peer
        self._room = room

    def _tell(self, event: str, **fact: object) -> None:
        self._peer.tell(event, room=self._room, **fact)

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        """Tell it."""
        place = ctx.stream_position
        assert place is not None
        self._tell(
            "subscribed",
            position=[place.epoch, place.offset],
            was_recovering=ctx.was_recovering,
            recovered=ctx.recovered,
            data=ctx.data,
        )

    async def on_subscribing(self, ctx: SubscribingContext) -> None:
        """Tell it."""
        self._tell("subscribing", code=ctx.code, reason=ctx.reason)

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        """Tell it."""
        self._tell("unsubscribed", code=ctx.code, reason=ctx.reason)

    async def on_error(self, ctx: SubscriptionErrorContext) -> None:
        """Tell it."""
        self._tell("subscription_error", code=getattr(ctx.error, "code", ctx.code))

    async def on_join(self, ctx: JoinContext) -> None:
        """Tell it."""
        self._tell("join", **(_person(ctx.info) or {}))

    async def on_leave(self, ctx: LeaveContext) -> None:
        """Tell it."""
        self._tell("leave", **(_person(ctx.info) or {}))

    async def on_publication(self, ctx: PublicationContext) -> None:
        """Tell it, or throw if that was asked for."""
        if self._peer.throwing:
            self._peer.throwing = False
            raise RuntimeError(f"thrown at {ctx.pub.offset}")
        self._tell("publication", **_publication(ctx.pub))


class Peer(ClientEventHandler):
    """One client of the SDK; its public methods are the commands."""

    def __init__(self, words: Json) -> None:
        self.throwing = False
        self._name = words["client"]
        self._tokens: list[str | None] | None = words.get("tokens")
        self._keeps_resume = words.get("keeps_resume", True)
        # The SDK sends it as it is at that moment, so what is added later goes out too.
        self._about: Json = {
            key: words[key] for key in ("nick", "resume") if words.get(key) is not None
        }
        self._about.setdefault("client", "test")  # an empty one would not be kept
        self._client = Client(
            words["url"],
            events=self,
            token=words.get("token", ""),
            get_token=None if self._tokens is None else self._token,
            data=self._about,
            proxy=None,
            min_reconnect_delay=LEAST_DELAY_S,
            max_reconnect_delay=MOST_DELAY_S,
        )

    async def _token(self) -> str:
        self.tell("token")
        token = self._tokens.pop(0) if self._tokens else None
        if not token:
            raise RuntimeError("no token")
        return token

    def tell(self, event: str, **fact: object) -> None:
        """Tell that something happened to this client."""
        _tell({"event": event, "client": self._name, **fact})

    async def on_connecting(self, ctx: ConnectingContext) -> None:
        """Tell it."""
        self.tell("connecting", code=ctx.code, reason=ctx.reason)

    async def on_connected(self, ctx: ConnectedContext) -> None:
        """Tell it, and keep the resume token."""
        if self._keeps_resume and ctx.data:
            self._about["resume"] = ctx.data["resume"]
        self.tell("connected", id=ctx.client, data=ctx.data)

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        """Tell it."""
        self.tell("disconnected", code=ctx.code, reason=ctx.reason)

    async def on_error(self, ctx: ErrorContext) -> None:
        """Tell it."""
        self.tell("error", type=type(ctx.error).__name__, code=ctx.code)

    async def connect(self, _: Json) -> None:
        """Come in, and again whenever the connection ends."""
        await self._client.connect()

    async def disconnect(self, _: Json) -> None:
        """Go, and stay away."""
        await self._client.disconnect()

    async def subscribe(self, words: Json) -> None:
        """Become a member of a room."""
        room = words["room"]
        before = self._client.get_subscription(room)
        if before is not None:
            await before.subscribe()
            return
        subscription = self._client.new_subscription(
            room,
            events=Room(self, room),
            positioned=True,
            recoverable=True,
            join_leave=words.get("join_leave", False),
            min_resubscribe_delay=LEAST_DELAY_S,
            max_resubscribe_delay=MOST_DELAY_S,
        )
        await subscription.subscribe()

    async def unsubscribe(self, words: Json) -> None:
        """Leave a room."""
        subscription = self._client.get_subscription(words["room"])
        assert subscription is not None
        await subscription.unsubscribe()

    async def throw_once(self, _: Json) -> None:
        """Have the next publication's listener throw."""
        self.throwing = True

    async def publish(self, words: Json) -> None:
        """Publish."""
        await self._client.publish(words["room"], words["data"])

    async def history(self, words: Json) -> Json:
        """Read a page of history."""
        since = words.get("since")
        page = await self._client.history(
            words["room"],
            limit=words["limit"],
            since=StreamPosition(epoch=since[0], offset=since[1]) if since else None,
            reverse=words.get("reverse", False),
        )
        publications = [_publication(each) for each in page.publications]
        return {"position": [page.epoch, page.offset], "publications": publications}

    async def presence(self, words: Json) -> list[Json | None]:
        """Who is in a room."""
        result = await self._client.presence(words["room"])
        return [_person(each) for each in result.clients.values()]

    async def presence_stats(self, words: Json) -> Json:
        """How many are in a room."""
        result = await self._client.presence_stats(words["room"])
        return {"clients": result.num_clients, "users": result.num_users}

    async def rpc(self, words: Json) -> Any:
        """Call a method of the daemon."""
        return (await self._client.rpc(words["method"], words["data"])).data


async def _obey(peers: dict[str, Peer], command: Json) -> None:
    number, name = command["id"], command["client"]
    try:
        if command["make"] == "peer":
            peers[name] = Peer(command)
            result = None
        else:
            result = await getattr(peers[name], command["make"])(command)
        _tell({"id": number, "result": result})
    except ReplyError as error:
        _tell({"id": number, "error": {"code": error.code, "message": error.message}})
    except CentrifugeError as error:
        _tell({"id": number, "error": {"code": 0, "message": repr(error)}})


async def _main() -> None:
    loop = asyncio.get_running_loop()
    # The SDK reports what a listener threw to the loop.
    loop.set_exception_handler(
        lambda _, context: _tell({"event": "thrown", "message": str(context.get("exception"))})
    )
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    peers: dict[str, Peer] = {}
    under_way: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.create_task(_obey(peers, json.loads(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


if __name__ == "__main__":
    asyncio.run(_main())
