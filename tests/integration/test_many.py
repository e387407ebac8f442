"""Many at once, and many leaving without a word."""

from __future__ import annotations

import resource
from contextlib import ExitStack

from tests.support.client import Client, dial
from tests.support.daemon import running, until
from tests.support.rfc6455 import TEXT, Frame

MANY = 200


def test_half_of_many_vanish() -> None:
    """When half are reset, a message reaches exactly the rest; at last all descriptors are free."""
    with running() as daemon, ExitStack() as clients:
        # Whoever is greeted can be sure that all who went before are gone.
        clients.enter_context(Client(daemon.ws, "/?room=elsewhere")).read()
        before = daemon.descriptors()
        everyone = []
        for number in range(MANY):
            port, path = ((daemon.ws, "/"), (daemon.web, "/plain"))[number % 2]
            client = clients.enter_context(Client(port, path))
            assert client.read() == Frame(TEXT, b"connected to WebSocket server")
            everyone.append(client)
        assert daemon.descriptors() == before + MANY

        for client in everyone[::2]:
            client.kill()
        rest = everyone[1::2]
        rest[0].say("who is left?")
        for client in rest:
            assert client.read() == Frame(TEXT, b"who is left?")
        until(lambda: daemon.descriptors() == before + len(rest), "the descriptors of half")

        for number, client in enumerate(rest):
            assert client.goodbye(1000) == (1000, ""), number
        until(lambda: daemon.descriptors() == before, "all descriptors")
        # a line is written after its descriptor is free
        until(lambda: daemon.log().count(" closed ") >= MANY, "a line for each who left")
        log = daemon.log()
        assert log.count(" opened ") == MANY + 1
        assert log.count(" closed ") == MANY


def test_crowd_is_refused_and_let_in_again() -> None:
    """Beyond the limit of connections 503 is the answer, and a place that is left is free."""
    with running(env={"CHATD_LIMITS_CONNECTIONS": "3"}) as daemon, ExitStack() as clients:
        for port, path in ((daemon.ws, "/"), (daemon.web, "/plain"), (daemon.ws, "/")):
            clients.enter_context(Client(port, path)).read()
        # sockets that say nothing take no place
        for _ in range(10):
            clients.enter_context(dial(daemon.ws))

        def refused(port: int, path: str) -> str:
            try:
                with Client(port, path):
                    return ""
            except AssertionError as error:
                return str(error)

        for port, path in ((daemon.ws, "/"), (daemon.web, "/plain")):
            words = refused(port, path)
            assert words.startswith("503 "), words
            assert "Retry-After" in words
        clients.close()
        until(lambda: not refused(daemon.ws, "/"), "a place")


def test_no_descriptors_left() -> None:
    """At its limit of descriptors it goes on for those who are there, and recovers."""
    crowd = 120
    with running() as daemon, ExitStack() as clients:
        friend = clients.enter_context(Client(daemon.ws))
        friend.read()
        before = daemon.descriptors()
        limit = before + crowd // 2
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with ExitStack() as others:
            for _ in range(crowd):
                others.enter_context(dial(daemon.ws))
            until(lambda: daemon.descriptors() >= limit - 2, "the limit")
            friend.say("still served")
            assert friend.read_text() == "still served"
        until(lambda: daemon.descriptors() <= before, "recovery")
        with Client(daemon.ws) as late:
            assert late.read_text() == "connected to WebSocket server"
