"""Who reads 10 KB a second while many others are told megabytes, and then goes on at full speed.

`CHATD_TEST_LAGGING=full` has 20 MB told to 100; without it, it is 5 MB and 30.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import statistics
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.protocols.policies import ProtocolWrapper

from chatd import service
from chatd.config import Config
from tests.support.client import Client, dial
from tests.support.daemon import Daemon, free_ports, running
from tests.support.rfc6455 import TEXT, client_frame
from tests.support.sdk import PATH
from tests.support.tls import certificate as self_signed

FULL = os.environ.get("CHATD_TEST_LAGGING") == "full"
OTHERS = 100 if FULL else 30
MESSAGES = 2000 if FULL else 500
SIZE = 10_000
AHEAD = 4
"""So many messages may be on their way at once."""

RATE = 10_000
"""What a slow one reads, in bytes a second."""

DEADLINE_S = 300 if FULL else 60
KIB = 1024

LIMITS = {
    "CHATD_LIMITS_PUBLISH_PER_S": "100000",
    "CHATD_LIMITS_RECEIVED_BYTES_PER_S": "1000000000",
    "CHATD_LIMITS_RECEIVED_BYTES_BURST": "1000000000",
    "CHATD_LIMITS_PUBLISH_BURST": "100000",
    "CHATD_LIMITS_COMMANDS_PER_S": "100000",
    "CHATD_LIMITS_COMMANDS_BURST": "100000",
}

ROUTES = ("ws", "web", "tls")
DOORS = ("plain", "sdk")

# Twisted's own, of a newer pyOpenSSL than it was made for
tls = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

in_reactor: Callable[[Any], Any] = pytest_twisted.ensureDeferred


@dataclass
class Reader:
    """Somebody who reads, and looks at the order of what comes.

    Args:
        name: who, for failures.
        client: its connection.
    """

    name: str
    client: Client
    unread: bytearray = field(default_factory=bytearray)
    heard: int = 0
    lags: list[float] = field(default_factory=list)

    def take(self, data: bytes) -> None:
        """Take bytes: each message must be the next one, and come once."""
        self.unread += data
        while (end := self._message()) is not None:
            raw = bytes(self.unread[:end])
            del self.unread[:end]
            for place in _places(raw):
                assert place == self.heard, f"{self.name}: {place} instead of {self.heard}"
                self.heard += 1

    def _message(self) -> int | None:
        """Where the first frame ends; None when it is not there whole."""
        got = self.unread
        if len(got) < 2:
            return None
        size, head = got[1] & 0x7F, 2
        if size == 126:
            if len(got) < 4:
                return None
            (size,), head = struct.unpack_from("!H", got, 2), 4
        elif size == 127:
            if len(got) < 10:
                return None
            (size,), head = struct.unpack_from("!Q", got, 2), 10
        return head + size if len(got) >= head + size else None

    def read(self, most: int = 1 << 18) -> int:
        """Read what there is, up to so much; how much that was."""
        total = 0
        while total < most:
            try:
                got = self.client.socket.recv(min(most - total, 1 << 18))
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            assert got, f"{self.name} was thrown out"
            total += len(got)
            self.take(got)
        return total


def _places(raw: bytes) -> Iterator[int]:
    """Numbers of the messages in a frame, or of the frames in some."""
    at = raw.find(b"#")
    while at >= 0:
        yield int(raw[at + 1 : at + 9])
        at = raw.find(b"#", at + 9)


def words(number: int) -> bytes:
    """The message of that number."""
    return (b"#%08d" % number).ljust(SIZE, b".")


def enter(where: int | socket.socket, door: str, *, buffer: int = 0) -> Client:
    """Come in by a door, up to being in the lobby."""
    host = {"Host": "localhost"}
    path = "/plain" if door == "plain" else PATH
    client = Client(where, path, host, receive_buffer=buffer)
    if door == "plain":
        client.read_text()
    else:
        client.say('{"id":1,"connect":{}}')
        client.read_text()
        client.say('{"id":2,"subscribe":{"channel":"lobby"}}')
        client.read_text()
    return client


def secure(port: int, pem: str, *, buffer: int = 0) -> ssl.SSLSocket:
    """A TLS connection."""
    context = ssl.create_default_context(cafile=pem)
    plain = dial(port, receive_buffer=buffer)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def queued(port: int) -> int:
    """What the daemon's kernel keeps for the peer at that port, sent and unsent, in bytes."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        parts = line.split()
        if int(parts[2].rpartition(":")[2], 16) == port:
            return int(parts[4].partition(":")[0], 16)
    raise AssertionError(f"no connection from {port}")


class Publisher:
    """Says the messages at the plain door, `AHEAD` at a time, and hears each come back.

    Args:
        client: its connection.
    """

    def __init__(self, client: Client) -> None:
        self.reader = Reader("publisher", client)
        self.said = 0
        self.times: list[float] = []

    def go_on(self, heard: int) -> None:
        """Say more, unless too much is on its way to those who read."""
        while self.said < min(MESSAGES, heard + AHEAD):
            self.times.append(time.monotonic())
            self.reader.client.socket.settimeout(10)
            self.reader.client.socket.sendall(client_frame(TEXT, words(self.said)))
            self.reader.client.socket.setblocking(False)
            self.said += 1


@pytest.fixture
def pem(tmp_path: Path) -> str:
    """A file with key and certificate."""
    return self_signed(str(tmp_path))


@tls
def test_lagging(pem: str) -> None:
    """It loses nothing and gets all in order; the kernel keeps little for it; nobody waits."""
    (port,) = free_ports(1)
    endpoint = f"ssl:{port}:privateKey={pem}:certKey={pem}:interface=127.0.0.1"
    with running("--web", endpoint, env=LIMITS) as daemon, ExitStack() as clients:
        slow = []
        for route in ROUTES:
            for door in DOORS:
                client = clients.enter_context(_slow(daemon, port, pem, route, door))
                slow.append(Reader(f"{door} over {route}", client))
        others = []
        for number in range(OTHERS):
            where = (daemon.ws, daemon.web)[number % 2]
            client = clients.enter_context(enter(where, DOORS[number // 2 % 2]))
            others.append(Reader(f"number {number}", client))
        publisher = Publisher(clients.enter_context(enter(daemon.ws, "plain")))
        most = _run(publisher, [*others, publisher.reader], slow)
        lags = sorted(lag for each in others for lag in each.lags)
        print(  # noqa: T201  # for people, with pytest -s
            f"\np50 {statistics.median(lags) * 1000:.1f} ms, "
            f"p99 {lags[len(lags) * 99 // 100] * 1000:.1f} ms; in the kernel {most}"
        )
        assert all(size <= 128 * KIB for size in most.values()), most
        behind = {each.name: each.heard for each in slow}
        assert all(heard < MESSAGES // 2 for heard in behind.values()), f"not slow: {behind}"

        end = time.monotonic() + DEADLINE_S
        for each in slow:
            each.client.socket.setblocking(True)
            each.client.socket.settimeout(10)
            while each.heard < MESSAGES:
                each.take(each.client.socket.recv(1 << 18))
                assert time.monotonic() < end
        publisher.reader.client.socket.setblocking(True)
        publisher.reader.client.socket.sendall(client_frame(TEXT, words(MESSAGES)))
        for each in slow:  # live again
            while each.heard < MESSAGES + 1:
                each.take(each.client.socket.recv(1 << 18))
        assert " closed " not in daemon.log()


def _slow(daemon: Daemon, port: int, pem: str, route: str, door: str) -> Client:
    """Somebody with small buffers."""
    if route == "tls":
        return enter(secure(port, pem, buffer=4096), door)
    return enter(getattr(daemon, route), door, buffer=4096)


def _run(publisher: Publisher, fast: list[Reader], slow: list[Reader]) -> dict[str, int]:
    """Have all said and read; returns the most that the kernel kept for each slow one."""
    most = dict.fromkeys((each.name for each in slow), 0)
    ports = {each.name: each.client.socket.getsockname()[1] for each in slow}
    begun = time.monotonic()
    sipped = dict.fromkeys(most, 0)
    looked = 0.0
    for each in [*fast, *slow]:
        each.client.socket.setblocking(False)
        each.take(bytes(each.client.unread))
    with selectors.DefaultSelector() as selector:
        for each in fast:
            selector.register(each.client.socket, selectors.EVENT_READ, each)
        while (heard := min(each.heard for each in fast)) < MESSAGES:
            publisher.go_on(heard)
            for key, _ in selector.select(0.05):
                reader = key.data
                before = reader.heard
                reader.read()
                now = time.monotonic()
                reader.lags += [now - publisher.times[n] for n in range(before, reader.heard)]
            now = time.monotonic()
            assert now - begun < DEADLINE_S, f"only {heard} messages in {DEADLINE_S} s"
            for each in slow:
                allowed = int((now - begun) * RATE) - sipped[each.name]
                if allowed > 0:
                    sipped[each.name] += each.read(allowed)
            if now - looked > 0.05:
                looked = now
                for name, port in ports.items():
                    most[name] = max(most[name], queued(port))
    return most


def held(transport: Any) -> int:
    """What Twisted keeps of what was written to a transport, above TLS and below it."""
    size = 0
    while isinstance(transport, ProtocolWrapper):
        size += sum(map(len, getattr(transport, "_appSendBuffer", ())))
        aggregator = getattr(transport, "_aggregator", None)
        size += sum(map(len, getattr(aggregator, "_buffer", ())))
        transport = transport.transport
    size += len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return int(size)


@asynccontextmanager
async def here(pem: str) -> AsyncIterator[tuple[service.ChatService, list[int]]]:
    """A chatd in this process, and its ports: ws, one with TLS, web."""
    from twisted.internet import reactor

    here = "interface=127.0.0.1"
    config = Config(
        database=":memory:",
        ws=(f"tcp:0:{here}", f"ssl:0:privateKey={pem}:certKey={pem}:{here}"),
        web=(f"tcp:0:{here}",),
        publish_per_s=100_000,
        publish_burst=100_000,
    )
    chat = service.build(config, reactor)
    chat.startService()
    addresses: list[Any] = [port.getHost() for _, port in chat.ports]
    try:
        yield chat, [int(each.port) for each in addresses]
    finally:
        await chat.stopService()


@tls
@in_reactor
async def test_held(pem: str) -> None:
    """Of a lagging peer no more than 256 KiB is kept in user space, on any way in."""
    from twisted.internet import reactor

    async with here(pem) as (chat, (ws, secured, web)):

        def come() -> list[Client]:
            return [
                enter(
                    secure(secured, pem, buffer=4096) if way == secured else way, door, buffer=4096
                )
                for way in (ws, web, secured)
                for door in DOORS
            ]

        def speak(count: int) -> None:
            with enter(ws, "plain") as speaker:
                for first in range(0, count, 8):
                    for number in range(first, first + 8):
                        speaker.send(TEXT, words(number))
                    for _ in range(8):
                        speaker.read()

        slow = await deferToThread(come)
        connections = list(chat._sockets.connections)
        assert len(connections) == len(slow) == 6
        most = 0
        speaking = deferToThread(speak, 400)
        try:
            while not speaking.called:
                most = max(most, *(held(each.transport) for each in connections))
                await deferLater(reactor, 0.001, lambda: None)
            await speaking
            behind = [bool(each._outbox and each._outbox.behind) for each in connections]
            assert all(behind), behind
            assert most <= 256 * KIB, f"{most / KIB:.0f} KiB"
        finally:
            for each in slow:
                each.kill()
