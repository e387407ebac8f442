"""What the demos did, byte for byte, on every door that speaks it; and who may come in."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.client import Client, request, upgrade_headers
from tests.support.daemon import Daemon, running, until
from tests.support.rfc6455 import BINARY, CONTINUATION, TEXT, Frame, client_frame

GREETING = b"connected to WebSocket server"
LARGEST = 65536
BURST = 100
BAD_ROOMS = ("a room", "a/b", "x" * 101, "%0A", "caf%C3%A9")
BAD_NICKS = ("a b", "x" * 33, "ad:min", "%0Amin", "SYSTEM", "server", "n%C3%AFck")

Join = Callable[..., Client]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """The daemon as it comes; tokens come back slowly, so that a burst is a burst anywhere."""
    with running(env={"CHATD_LIMITS_PUBLISH_PER_S": "1"}) as daemon:
        yield daemon


@pytest.fixture(params=["ws /", "ws /plain", "web /plain"])
def join(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Join]:
    """Comes in by one of the doors that speak plain text, and is greeted."""
    port, path = request.param.split()
    with ExitStack() as clients:

        def enter(query: str = "", greeted: bool = True) -> Client:
            client = Client(getattr(daemon, port), path + query)
            clients.enter_context(client)
            if greeted:
                assert client.read() == Frame(TEXT, GREETING)
            return client

        yield enter


def test_text_to_everyone(join: Join) -> None:
    """A text goes to everybody, its sender too, as it is."""
    everyone = [join() for _ in range(3)]
    for text in ("hello", " spaces\tand\nlines ", "żółw 🐢", '{"type":"message"}', "\x00", "0"):
        everyone[0].say(text)
        for each in everyone:
            assert each.read() == Frame(TEXT, text.encode())


def test_binary_and_empty(join: Join) -> None:
    """Binary stays binary, empty stays empty, and nothing overtakes anything."""
    sender, other = join(), join()
    said = [
        Frame(TEXT, b"1"),
        Frame(BINARY, bytes(range(256))),
        Frame(TEXT, b""),
        Frame(BINARY, b""),
        Frame(TEXT, b"2"),
        Frame(BINARY, b"\xff" * LARGEST),
        Frame(TEXT, b"3"),
    ]
    sender.socket.sendall(b"".join(client_frame(each.opcode, each.payload) for each in said))
    for client in (sender, other):
        assert [client.read() for _ in said] == said


def test_fragments_come_as_one(join: Join) -> None:
    """A message in several frames goes out as one."""
    sender, other = join(), join()
    sender.send(TEXT, "ż".encode()[:1], fin=False)
    sender.send(CONTINUATION, b"", fin=False)
    sender.send(CONTINUATION, "ż".encode()[1:])
    assert other.read() == sender.read() == Frame(TEXT, "ż".encode())


def test_largest_text(join: Join) -> None:
    """65 536 bytes pass whole; one more closes with 1009 and reaches nobody."""
    sender, other = join(), join()
    sender.say("x" * LARGEST)
    assert other.read() == sender.read() == Frame(TEXT, b"x" * LARGEST)
    sender.say("x" * (LARGEST + 1))
    assert sender.read_close()[0] == 1009
    last = join()
    last.say("after it")
    assert other.read() == Frame(TEXT, b"after it")


def test_bad_utf_8(join: Join) -> None:
    """Text that is not UTF-8 closes with 1007 and reaches nobody."""
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"):
        sender, other = join(), join()
        sender.send(TEXT, bad)
        assert sender.read_close()[0] == 1007, bad
        other.say("after it")
        assert other.read() == Frame(TEXT, b"after it")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4321, None])
def test_close_is_echoed(join: Join, code: int | None) -> None:
    """Who says goodbye hears their own code and words, and the connection ends."""
    client = join()
    words = "" if code is None else "so long"
    assert client.goodbye(code, words) == (code, words)
    assert client.ends()


def test_rooms_apart(join: Join) -> None:
    """A room hears what is said in it, in any spelling of its case, and nothing else."""
    lobby, named, a, b = (join(each) for each in ("", "?room=LOBBY", "?room=a.b:c_1-", "?room=b"))
    a.say("in a")
    b.say("in b")
    lobby.say("in the lobby")
    assert a.read() == Frame(TEXT, b"in a")
    assert b.read() == Frame(TEXT, b"in b")
    assert lobby.read() == named.read() == Frame(TEXT, b"in the lobby")


def test_nicks(join: Join) -> None:
    """With `nicks=1` a text shows who said it, without it does not; binary is never touched."""
    ann, plain, showing = join("?nick=Ann"), join("?nicks=0"), join("?nicks=1")
    guest = join("?nicks=1")
    ann.say("hello: there")
    assert plain.read() == ann.read() == Frame(TEXT, b"hello: there")
    assert showing.read() == guest.read() == Frame(TEXT, b"Ann: hello: there")
    ann.send(TEXT, b"")
    ann.send(BINARY, b"Ann")
    assert [showing.read(), showing.read()] == [Frame(TEXT, b"Ann: "), Frame(BINARY, b"Ann")]
    assert [plain.read(), plain.read()] == [Frame(TEXT, b""), Frame(BINARY, b"Ann")]
    assert [guest.read(), guest.read()] == [Frame(TEXT, b"Ann: "), Frame(BINARY, b"Ann")]
    guest.say("me")
    assert re.fullmatch(r"guest-[0-9a-f]{6}: me", showing.read_text())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        *((f"?room={each.replace(' ', '%20')}", "room") for each in BAD_ROOMS),
        *((f"?nick={each.replace(' ', '%20')}", "nick") for each in BAD_NICKS),
        ("?room=a&room=b", "bad request"),
        ("?nick=a&nick=b", "bad request"),
        ("?nicks=2", "bad request"),
    ],
)
def test_bad_query(join: Join, query: str, words: str) -> None:
    """A room or nick that cannot be is refused by a close with 1008 that says so."""
    client = join(query, greeted=False)
    code, reason = client.read_close()
    assert code == 1008
    assert words in reason


def test_burst(join: Join) -> None:
    """A hundred messages at once are fine; the next one closes with 1008, others stay."""
    sender, other = join(), join()
    said = [Frame(TEXT, b"%d" % number) for number in range(BURST)]
    sender.socket.sendall(b"".join(client_frame(*each[:2]) for each in said))
    assert [other.read() for _ in said] == said
    assert [sender.read() for _ in said] == said
    sender.socket.sendall(b"".join(client_frame(TEXT, b"too many") for _ in range(BURST)))
    code, reason = sender.read_close()
    assert code == 1008
    assert "slow down" in reason
    other.say("still here")
    # the second or two that the first hundred took gave as many back
    heard = [other.read().payload]
    while heard[-1] != b"still here":
        heard.append(other.read().payload)
    assert heard.count(b"too many") == len(heard) - 1 < BURST // 10


def test_no_echo() -> None:
    """With `--no-echo` a sender does not hear itself, in text or binary; others do."""
    with running("--no-echo") as daemon, Client(daemon.ws) as sender, Client(daemon.ws) as other:
        assert sender.read().payload == other.read().payload == GREETING
        sender.say("one")
        sender.send(BINARY, b"two")
        sender.send(TEXT, b"")
        assert [other.read() for _ in range(3)] == [
            Frame(TEXT, b"one"),
            Frame(BINARY, b"two"),
            Frame(TEXT, b""),
        ]
        other.say("answer")
        assert sender.read() == Frame(TEXT, b"answer")


def test_greeting_of_choice() -> None:
    """The greeting can be another, or none."""
    with running("--greeting", "cześć") as daemon, Client(daemon.ws) as client:
        assert client.read_text() == "cześć"
    with running("--greeting", "") as daemon, Client(daemon.ws) as client:
        client.say("first")
        assert client.read_text() == "first"


@pytest.fixture(scope="module")
def greeter() -> Iterator[Daemon]:
    """A daemon with the greeter."""
    with running("--greeter") as daemon:
        yield daemon


@pytest.mark.parametrize("port", ["ws", "web"])
def test_greeter(greeter: Daemon, port: str) -> None:
    """The greeter answers everything the same, ends at `stop`, and logs lengths, not texts."""
    secret = "nobody must read this"
    with Client(getattr(greeter, port), "/greeter") as client:
        me = "{}:{}".format(*client.socket.getsockname())
        for opcode, payload in ((TEXT, secret.encode()), (BINARY, b"stop"), (TEXT, b"")):
            client.send(opcode, payload)
            assert client.read() == Frame(TEXT, b"Hello from server!")
        client.say("stop")
        assert client.read_close() == (1000, "")
        client.send(0x8, b"\x03\xe8")
        assert client.ends()
    until(lambda: f"closed {me} /greeter greeter 1000 '' by chatd" in greeter.log(), "the close")
    log = greeter.log()
    assert f"opened {me} /greeter" in log
    for size in (len(secret), 4, 0):
        assert f"greeter: {size} bytes from {me}" in log
    assert secret not in log


def test_greeter_logs_close_of_the_peer(greeter: Daemon) -> None:
    """Code and words with which a peer leaves the greeter are in the log."""
    with Client(greeter.ws, "/greeter") as client:
        me = "{}:{}".format(*client.socket.getsockname())
        assert client.goodbye(4000, "bye\nbye") == (4000, "bye\nbye")
    until(
        lambda: f"closed {me} /greeter greeter 4000 'bye\\nbye' by peer" in greeter.log(),
        "the close",
    )


def test_without_greeter(daemon: Daemon) -> None:
    """Without the flag there is no greeter."""
    for port in (daemon.ws, daemon.web):
        assert request(port, "/greeter").status == 404
        headers = upgrade_headers(f"localhost:{port}")
        assert request(port, "/greeter", headers).status == 404


def test_greet(daemon: Daemon) -> None:
    """`GET /greet` says hello in plain text."""
    answer = request(daemon.web, "/greet")
    assert answer.status == 200
    assert answer.body == b"Hello chatd!"
    assert answer.headers["content-type"].startswith("text/plain")


# Who may come in


def status(port: int, path: str, **headers: str) -> int:
    """The status that a handshake with these headers is answered with."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(port, path, {**upgrade_headers(f"localhost:{port}"), **named}).status


def accepted(port: int, path: str, **headers: str) -> bool:
    """Whether a handshake is accepted and greeted."""
    with Client(port, path, {name.replace("_", "-"): text for name, text in headers.items()}) as c:
        return c.read().payload == GREETING


DOORS = [("ws", "/"), ("ws", "/plain"), ("web", "/plain")]


@pytest.mark.parametrize(("port", "path"), DOORS)
def test_plain_get_of_a_socket(daemon: Daemon, port: str, path: str) -> None:
    """A browser that opens a WebSocket path as a page is told 426 and what to use."""
    answer = request(getattr(daemon, port), path)
    assert answer.status == 426
    assert answer.headers["upgrade"].lower() == "websocket"
    assert b"ws://" in answer.body


def test_unknown_paths(daemon: Daemon) -> None:
    """What is nowhere is 404, as a page and as a WebSocket, on both ports."""
    for port in (daemon.ws, daemon.web):
        for path in ("/nothing", "/plain/", "/plain/more", "//", "/%2fplain", "/PLAIN"):
            assert request(port, path).status == 404, (port, path)
            assert status(port, path) == 404, (port, path)


@pytest.mark.parametrize(("port", "path"), DOORS)
def test_origins(daemon: Daemon, port: str, path: str) -> None:
    """Our own page may connect, from both of our ports; a foreign one, or a file, may not."""
    here = getattr(daemon, port)
    for ours in (daemon.web, daemon.ws):
        assert accepted(here, path, Origin=f"http://localhost:{ours}")
    own = {"Host": f"127.0.0.1:{here}", "Origin": f"http://127.0.0.1:{daemon.web}"}
    assert accepted(here, path, **own)
    for foreign in (
        "https://evil.example",
        "http://localhost",
        "http://localhost:1",
        f"http://localhost.evil.example:{daemon.web}",
        f"http://evil-localhost:{daemon.web}",
        f"http://127.0.0.1:{daemon.web}",
        f"http://localhost:{daemon.web}@evil.example",
        "null",
        "file://",
    ):
        assert status(here, path, Origin=foreign) == 403, foreign


@pytest.mark.parametrize(("port", "path"), [*DOORS, ("web", "/")])
def test_hosts(daemon: Daemon, port: str, path: str) -> None:
    """A foreign name that leads here is refused, for a WebSocket and for the page."""
    here = getattr(daemon, port)
    for foreign in ("evil.example", f"evil.example:{here}", "localhost.evil.example", "a b", ""):
        headers = {"Host": foreign}
        if path == "/" and port == "web":
            assert request(here, path, headers).status == 403, foreign
        else:
            assert status(here, path, **headers) == 403, foreign


def test_allowed_null_origin() -> None:
    """`--allow-origin null` lets pages in that are files, and nobody else."""
    with running("--allow-origin", "null", "--allow-origin", "https://a.example") as daemon:
        for port, path in ((daemon.ws, "/"), (daemon.web, "/plain")):
            assert accepted(port, path, Origin="null")
            assert accepted(port, path, Origin="https://a.example")
            assert status(port, path, Origin="https://b.example") == 403
            assert status(port, path, Origin="http://a.example") == 403


def test_public_url() -> None:
    """Behind a proxy the public name and its page are known, and no other."""
    with running("--public-url", "https://chat.example") as daemon:
        for port, path in ((daemon.ws, "/"), (daemon.web, "/plain")):
            assert accepted(port, path, Host="chat.example", Origin="https://chat.example")
            assert status(port, path, Host="chat.example", Origin="https://evil.example") == 403
            assert status(port, path, Host="evil.example", Origin="https://chat.example") == 403
        assert request(daemon.web, "/", {"Host": "chat.example"}).status == 200


def test_log_of_strangers() -> None:
    """No text of a message is ever logged; names and other words of a stranger only quoted."""
    nick, text, strange = "Nick-in-quotes", "text-of-a-message", "strange\\words"
    with running() as daemon:
        for port, path in ((daemon.ws, "/"), (daemon.web, "/plain")):
            with Client(port, f"{path}?nick={nick}&room=quoted") as client:
                client.read()
                client.say(text)
                client.send(BINARY, text.encode())
                client.send(TEXT, text.encode() + b"\xff")
                client.read_close()
            with Client(port, f"{path}?nick={text}%0a{text}") as client:
                client.read_close()
            assert status(port, path, Origin=f"http://{strange}") == 403
            assert status(port, path, Host=strange) == 403
            assert status(port, "/strange") == 404
        daemon.stop()
        log = daemon.log()
    assert text not in log
    assert log.count(nick) == log.count(f"'{nick}' in 'quoted'") > 0
    refused = [line for line in log.splitlines() if "strange" in line]
    assert len(refused) >= 4
    # as Python quotes it, so that no backslash of theirs is one of ours
    assert all(strange not in line.replace("\\\\", "") for line in refused)
    assert all(line.startswith(("20", "\t")) for line in log.splitlines() if line)


def test_unix_socket() -> None:
    """Both doors can be Unix sockets too; their files go away with the daemon."""
    own = {"Host": "localhost"}

    def at(path: Path) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(path))
        return connection

    with tempfile.TemporaryDirectory(prefix="chatd-") as name:
        ws, web = Path(name, "ws"), Path(name, "web")
        for _ in range(2):
            with running("--ws", f"unix:{ws}", "--web", f"unix:{web}") as daemon:
                assert request(at(web), "/", own).status == 200
                with Client(at(ws), "/", own) as one, Client(at(web), "/plain", own) as two:
                    assert one.read().payload == two.read().payload == GREETING
                    one.say("through the file system")
                    assert two.read_text() == one.read_text() == "through the file system"
                    with Client(daemon.ws) as three:
                        assert three.read().payload == GREETING
                        three.say("through the network")
                        assert two.read_text() == one.read_text() == "through the network"
                daemon.stop()
            assert not ws.exists()
            assert not web.exists()
