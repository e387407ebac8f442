"""Real sockets in this process, where both ends can be looked at."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.policies import ProtocolWrapper

from chatd import service
from chatd.config import Config
from chatd.doors.websocket import ChatProtocol
from tests.support.client import Client, close_of, dial, request
from tests.support.rfc6455 import CLOSE, TEXT, Frame, client_frame
from tests.support.tls import certificate as self_signed

GREETING = Frame(TEXT, b"connected to WebSocket server")
NOTSENT_LOWAT = 25  # linux/tcp.h
ANY_PORT = "tcp:0:interface=127.0.0.1"

Test = TypeVar("Test", bound=Callable[..., Any])

in_reactor: Callable[[Test], Test] = pytest_twisted.ensureDeferred

# Twisted's own, of a newer pyOpenSSL than it was made for
tls = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

T = TypeVar("T")


class Running:
    """A service that runs in this process."""

    def __init__(self, chat: service.ChatService) -> None:
        self._chat = chat
        addresses: list[Any] = [port.getHost() for _, port in chat.ports]
        self.ports = [int(getattr(each, "port", 0)) for each in addresses]
        self.ws, self.web = self.ports[0], self.ports[-1]

    @property
    def connections(self) -> set[ChatProtocol]:
        """Those who are registered at the WebSocket door, from either port."""
        return self._chat._sockets.connections


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """Have chatd run in this process for as long as the block does."""
    from twisted.internet import reactor

    chat = service.build(config, reactor)
    chat.privilegedStartService()
    chat.startService()
    try:
        yield Running(chat)
    finally:
        await chat.stopService()


async def apart(call: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Do what blocks in a thread, while the reactor turns."""
    done: T = await deferToThread(call, *arguments, **named)
    return done


async def until(condition: Callable[[], object], what: str, timeout_s: float = 10) -> float:
    """Let the reactor turn until something is true; returns how long that took."""
    from twisted.internet import reactor

    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < timeout_s, f"not within {timeout_s:g} s: {what}"
        await deferLater(reactor, 0.02, lambda: None)
    return time.monotonic() - begun


@in_reactor
async def test_no_delay() -> None:
    """Small frames are sent at once, on both ports."""
    async with running(Config(database=":memory:", ws=(ANY_PORT,), web=(ANY_PORT,))) as chat:
        for port, path in ((chat.ws, "/"), (chat.web, "/plain")):
            with await apart(Client, port, path) as client:
                assert await apart(client.read) == GREETING
                (ours,) = chat.connections
                handle = ours.transport.getHandle()
                assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert ours.transport.getTcpNoDelay()
            await until(lambda: not chat.connections, "its end")


@tls
@in_reactor
async def test_not_sent(certificate: Path, tmp_path: Path) -> None:
    """The kernel keeps little that is not on its way, on TCP, either port, and TLS."""
    pem = f"privateKey={certificate}:certKey={certificate}:interface=127.0.0.1"
    unix = tmp_path / "socket"
    config = Config(
        database=":memory:",
        ws=(ANY_PORT, f"ssl:0:{pem}", f"unix:{unix}"),
        web=(ANY_PORT, f"ssl:0:{pem}"),
    )

    def to_unix() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(unix))
        return connection

    async with running(config) as chat:
        ws, wss, _, web, https = chat.ports
        for dialled, expected in (
            (lambda: dial(ws), 16384),
            (lambda: dial(web), 16384),
            (lambda: secure(wss, certificate), 65536),
            (lambda: secure(https, certificate), 65536),
            (to_unix, None),
        ):
            for path in ("/plain", "/connection/websocket"):
                connection = await apart(dialled)
                with await apart(Client, connection, path, {"Host": "localhost"}):
                    await until(lambda: chat.connections, "its beginning")
                    (ours,) = chat.connections
                    bare = ours.transport
                    while isinstance(bare, ProtocolWrapper):
                        bare = bare.transport
                    handle = bare.getHandle()
                    if expected is None:
                        assert handle.family == socket.AF_UNIX
                    else:
                        assert handle.getsockopt(socket.IPPROTO_TCP, NOTSENT_LOWAT) == expected
                await until(lambda: not chat.connections, "its end")


@in_reactor
async def test_greeter_drain() -> None:
    """When somebody who had not read has read everything, the greeter says so, and not before."""
    many = 8000
    config = Config(
        ws=(ANY_PORT,),
        web=(ANY_PORT,),
        database=":memory:",
        greeter=True,
        publish_burst=many,
    )
    with capturedLogs() as events:
        async with running(config) as chat:
            with await apart(Client, chat.ws, "/greeter", receive_buffer=4096) as client:
                me = "{}:{}".format(*client.socket.getsockname())
                (ours,) = chat.connections

                def lines(words: str) -> int:
                    return [formatEvent(each) for each in events].count(f"greeter: {words}")

                # or it would take megabytes until it is seen that nobody reads
                ours.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                await apart(client.socket.sendall, client_frame(TEXT, b"?") * many)
                await until(lambda: not ours.takes_pongs(), "the high water")
                assert not lines(f"{me} drained")
                heard = await apart(lambda: {client.read() for _ in range(many)})
                assert heard == {Frame(TEXT, b"Hello from server!")}
                await until(lambda: lines(f"{me} drained"), "a line about the drain")
                assert lines(f"1 bytes from {me}") == many


@in_reactor
async def test_reads_later() -> None:
    """Who stops reading for a while misses nothing."""
    count = 100
    async with running(Config(database=":memory:", ws=(ANY_PORT,), web=(ANY_PORT,))) as chat:
        with await apart(Client, chat.ws, receive_buffer=4096) as late:
            (ours,) = chat.connections
            # or the kernel would hold it all, and not chatd
            ours.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            said = [Frame(TEXT, b"%d" % number + b"." * 2000) for number in range(count)]

            def speak() -> None:
                with Client(chat.ws) as speaker:
                    assert speaker.read() == GREETING
                    for each in said:
                        speaker.send(TEXT, each.payload)
                        assert speaker.read() == each

            await apart(speak)
            assert not ours.takes_pongs(), "all of it went into the kernel"
            assert await apart(lambda: [late.read() for _ in range(count + 1)]) == [GREETING, *said]
            await until(ours.takes_pongs, "that it is live again")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for localhost, signed with that key."""
    return Path(self_signed(str(tmp_path_factory.mktemp("tls"))))


def encrypted(certificate: Path) -> Config:
    """Settings with TLS on both ports."""
    endpoint = f"ssl:0:privateKey={certificate}:certKey={certificate}:interface=127.0.0.1"
    return Config(database=":memory:", ws=(endpoint,), web=(endpoint,), linger_timeout_s=1)


def secure(port: int, certificate: Path) -> ssl.SSLSocket:
    """A connection to somebody who has that certificate."""
    context = ssl.create_default_context(cafile=str(certificate))
    plain = dial(port)
    try:
        return context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
    except BaseException:
        plain.close()
        raise


@tls
@in_reactor
async def test_tls(certificate: Path) -> None:
    """Over TLS there are the page, the greeting, and two who hear each other on two ports."""
    async with running(encrypted(certificate)) as chat:
        host = {"Host": f"localhost:{chat.ws}"}
        mine = {**host, "Origin": f"https://localhost:{chat.web}"}

        def talk() -> None:
            with (
                Client(secure(chat.ws, certificate), "/", mine) as one,
                Client(secure(chat.web, certificate), "/plain", mine) as two,
            ):
                assert one.read() == two.read() == GREETING
                one.say("x" * 65536)
                assert one.read() == two.read() == Frame(TEXT, b"x" * 65536)
                two.say("and back")
                assert one.read() == two.read() == Frame(TEXT, b"and back")
                assert one.goodbye(1000, "bye") == (1000, "bye")
                assert one.ends()
            answer = request(secure(chat.web, certificate), "/", host)
            assert answer.status == 200
            assert b"<title>chatd</title>" in answer.body

        await apart(talk)
        await until(lambda: not chat.connections, "the end of both")


@tls
@pytest.mark.parametrize("port", ["ws", "web"])
@in_reactor
async def test_tls_without_its_end(certificate: Path, port: str) -> None:
    """A peer that says goodbye but never ends its TLS is gone after the linger timeout."""
    async with running(encrypted(certificate)) as chat:
        connection = await apart(secure, getattr(chat, port), certificate)
        own = {"Host": "localhost"}
        with await apart(Client, connection, "/plain", own) as client:
            assert await apart(client.read) == GREETING
            client.send(CLOSE, b"\x03\xe8")
            assert close_of(await apart(client.read)) == (1000, "")
            # Neither ended nor read from: Python would answer the end of TLS.
            assert len(chat.connections) == 1
            took = await until(lambda: not chat.connections, "its end", 5)
            assert took < 3


@tls
@in_reactor
async def test_no_tls_where_tls_is(certificate: Path) -> None:
    """A peer that speaks no TLS to a port that does is sent nothing of the chat and is gone."""
    async with running(encrypted(certificate)) as chat:

        def knock() -> bytes:
            with dial(chat.ws) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = b""
                try:
                    while got := connection.recv(4096):
                        answer += got
                except ConnectionResetError:
                    pass
                return answer

        answer = await apart(knock)
        assert b"HTTP" not in answer
        await until(lambda: not chat.connections, "its end")
