"""HTTP requests as text, and answers."""

from __future__ import annotations

from tests.support.doors import Client

HOST = "Host: localhost:1920"


def request(path: str = "/", *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request with these header lines."""
    head = "\r\n".join((f"{method} {path} HTTP/{version}", *(lines or (HOST,))))
    return f"{head}\r\n\r\n".encode("latin-1")


def body(client: Client) -> bytes:
    """The body of the one answer."""
    return client.transport.taken.partition(b"\r\n\r\n")[2]
