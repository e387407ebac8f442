"""Somebody who does not read hurts nobody, and loses only what is stored nowhere."""

from __future__ import annotations

import hashlib
import re
import selectors
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.client import Client
from tests.support.daemon import Daemon, running, until
from tests.support.rfc6455 import BINARY, TEXT, client_frame

READERS = 20
MESSAGES = 400
SIZE = 60_000
AHEAD = {TEXT: 8, BINARY: 1}
"""How many messages may be on their way. Those who read may lag for want of time, and then miss
what is not stored: two of these are above high water."""
DEADLINE_S = 60
MIB = 1 << 20

ENV = {
    "CHATD_LIMITS_PUBLISH_PER_S": "100000",
    "CHATD_LIMITS_RECEIVED_BYTES_PER_S": "1000000000",
    "CHATD_LIMITS_RECEIVED_BYTES_BURST": "1000000000",
    "CHATD_LIMITS_PUBLISH_BURST": "100000",
    "CHATD_LIMITS_CACHED_BYTES": str(8 << 20),
    "CHATD_LIMITS_CLOSE_TIMEOUT_S": "1",
    "CHATD_LIMITS_LINGER_TIMEOUT_S": "1",
}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon that takes what it is given."""
    with running(env=ENV) as daemon:
        yield daemon


def payload(number: int) -> bytes:
    """What the message of that number says."""
    return (b"%08d" % number).ljust(SIZE, b".")


class Reader:
    """Reads all it gets, in whatever pieces it comes."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.bytes = len(client.unread)
        self.digest = hashlib.sha256(client.unread)

    def read(self) -> None:
        """Take what there is."""
        got = self.client.socket.recv(1 << 20)
        assert got, "a reader was thrown out"
        self.bytes += len(got)
        self.digest.update(got)


def publish(speaker: Client, readers: list[Reader], opcode: int) -> None:
    """Have messages said, never more than so many that not all readers have.

    Args:
        speaker: who speaks; one of the readers.
        readers: all who read.
        opcode: of the messages.
    """
    length = len(client_frame(opcode, payload(0))) - 4  # what comes back is not masked
    begun = {reader: reader.bytes for reader in readers}
    end = time.monotonic() + DEADLINE_S
    said = heard = 0
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader.client.socket, selectors.EVENT_READ, reader)
        while heard < MESSAGES:
            while said < min(MESSAGES, heard + AHEAD[opcode]):
                speaker.send(opcode, payload(said))
                said += 1
            ready = selector.select(5)
            assert ready, f"silence after {heard} messages"
            assert time.monotonic() < end, f"only {heard} messages in {DEADLINE_S} s"
            for key, _ in ready:
                key.data.read()
            heard = min((each.bytes - begun[each]) // length for each in readers)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_slow_reader(daemon: Daemon, opcode: int) -> None:
    """Who does not read for a while costs little, and then gets every text, in order."""
    with ExitStack() as clients:

        def join(path: str = "/", port: int = daemon.ws) -> Client:
            client = clients.enter_context(Client(port, path))
            client.read()
            return client

        speaker = join()
        readers = [Reader(speaker)]
        readers += [Reader(join()) for _ in range(READERS // 2)]
        readers += [Reader(join("/plain", daemon.web)) for _ in range(READERS - READERS // 2)]
        slow = clients.enter_context(Client(daemon.ws, "/", receive_buffer=4096))
        slow.read()
        before = daemon.rss_bytes()

        publish(speaker, readers, opcode)
        grown = daemon.rss_bytes("VmHWM") - before
        assert grown < 48 * MIB, f"{grown / MIB:.1f} MiB"

        expected = hashlib.sha256()
        for number in range(MESSAGES):
            head = b"\x81" if opcode == TEXT else b"\x82"
            expected.update(head + b"\x7e" + SIZE.to_bytes(2, "big") + payload(number))
        assert {each.digest.digest() for each in readers} == {expected.digest()}

        speaker.say("it is over")
        for each in readers:
            assert each.client.read_text() == "it is over"
        heard = []
        while (frame := slow.read()).payload != b"it is over":
            assert frame.opcode == opcode
            heard.append(frame.payload)
        if opcode == TEXT:
            assert heard == [payload(number) for number in range(MESSAGES)]
        else:  # which is kept nowhere
            assert heard == [payload(number) for number in range(len(heard))]
            assert len(heard) < MESSAGES // 2
        assert " closed " not in daemon.log()


def test_mute_reader() -> None:
    """Who takes nothing at all is closed with 1013 when the stall timeout is over."""
    env = {**ENV, "CHATD_LIMITS_STALL_TIMEOUT_S": "2"}
    with running(env=env) as daemon, ExitStack() as clients:
        speaker = clients.enter_context(Client(daemon.ws))
        slow = clients.enter_context(Client(daemon.ws, "/", receive_buffer=4096))
        name = "{}:{}".format(*slow.socket.getsockname())
        speaker.read()
        for number in range(20):
            speaker.say(payload(number).decode())
            speaker.read()
        until(
            lambda: re.search(rf"closed {name} / .* 1013 ", daemon.log()), "the end of the slow one"
        )
        assert not slow.ends(), "was read to the end, so it was never slow"
        speaker.say("it is over")
        assert speaker.read_text() == "it is over"
        assert daemon.log().count(" 1013 ") == 1


def test_two_speakers_one_order(daemon: Daemon) -> None:
    """What several say at once comes to all in the same order, each speaker's in their own."""
    with ExitStack() as clients:
        everyone = [clients.enter_context(Client(daemon.ws)) for _ in range(READERS)]
        for each in everyone:
            each.read()
        speakers = everyone[:4]
        for number in range(50):
            for index, each in enumerate(speakers):
                each.say(f"{index} {number}")
        heard = [[each.read_text() for _ in range(50 * len(speakers))] for each in everyone]
        assert all(each == heard[0] for each in heard)
        for index in range(len(speakers)):
            own = [text for text in heard[0] if text.startswith(f"{index} ")]
            assert own == [f"{index} {number}" for number in range(50)]
