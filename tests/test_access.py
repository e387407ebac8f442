"""`chatd.doors.access`: a table of who may come in."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.doors.access import Access, own_names

NAMES = frozenset({"localhost", "box", "box.lan", "box.local"})

# Host, Origin, what is refused
TABLE: list[tuple[str | None, str | None, str | None]] = [
    # programs that are no browsers
    ("localhost:1919", None, None),
    ("localhost", None, None),
    ("LOCALHOST:1919", None, None),
    ("localhost.:1919", None, None),
    ("127.0.0.1:1919", None, None),
    ("10.1.2.3", None, None),
    ("[::1]:1919", None, None),
    ("[fe80::1]", None, None),
    ("box", None, None),
    ("box.lan:1919", None, None),
    ("box.local", None, None),
    ("chat.example", None, None),
    ("chat.example:443", None, None),
    # names of others, and none
    (None, None, "host"),
    ("", None, "host"),
    ("evil.example:1919", None, "host"),
    ("localhost.evil.example", None, "host"),
    ("evil.localhost", None, "host"),
    ("user@localhost", None, "host"),
    ("localhost:port", None, "host"),
    ("localhost:99999", None, "host"),
    ("localhost/path", None, "host"),
    ("localhost?x", None, "host"),
    ("local\thost", None, "host"),
    ("[::1", None, "host"),
    ("::1", None, "host"),
    ("1.2.3", None, "host"),
    # our own pages
    ("localhost:1919", "http://localhost:1920", None),
    ("localhost:1920", "http://localhost:1920", None),
    ("localhost:1919", "http://LOCALHOST:1919", None),
    ("localhost.:1919", "http://localhost.:1920", None),
    ("10.1.2.3:1919", "http://10.1.2.3:1920", None),
    ("[::1]:1919", "http://[::1]:1920", None),
    ("box:1919", "https://box:1920", None),
    # the public one
    ("chat.example", "https://chat.example", None),
    ("chat.example", "https://chat.example:443", None),
    ("localhost:1919", "https://chat.example", None),
    ("chat.example", "http://chat.example", "origin"),
    ("chat.example", "https://chat.example:8443", "origin"),
    # allowed ones
    ("localhost:1919", "http://friend.example:8080", None),
    ("localhost:1919", "null", None),
    ("localhost:1919", "file://", None),
    ("localhost:1919", "app://inside", None),
    # foreign ones
    ("localhost:1919", "http://friend.example", "origin"),
    ("localhost:1919", "https://friend.example:8080", "origin"),
    ("localhost:1919", "http://evil.example", "origin"),
    ("localhost:1919", "http://localhost", "origin"),
    ("localhost:1919", "http://localhost:8000", "origin"),
    ("localhost:1919", "ws://localhost:1919", "origin"),
    ("localhost:1919", "http://127.0.0.1:1920", "origin"),
    ("localhost:1919", "http://box:1920", "origin"),
    ("localhost:1919", "http://localhost:1920.evil.example", "origin"),
    ("localhost:1919", "http://localhost:1920@evil.example", "origin"),
    ("localhost:1919", "http://localhost:1920/path", "origin"),
    ("localhost:1919", "http://localhost:1920?x", "origin"),
    ("localhost:1919", "https://chat.example.evil.example", "origin"),
    ("localhost:1919", "https://evilchat.example", "origin"),
    ("localhost:1919", "NULL", "origin"),
    ("localhost:1919", "", "origin"),
    ("localhost:1919", "http://[", "origin"),
    ("localhost:1919", "http://localhost:1920, http://localhost:1920", "origin"),
    ("localhost:1919", "app://other", "origin"),
]


class AccessTests(SynchronousTestCase):
    """The rule."""

    def setUp(self) -> None:
        self.access = Access(
            NAMES,
            public_url="https://chat.example",
            allow_origin=("http://friend.example:8080", "null", "app://inside"),
        )
        self.access.ports |= {1919, 1920}

    def test_table(self) -> None:
        """Each pair of Host and Origin is judged as the table says."""
        for host, origin, expected in TABLE:
            refused = self.access.refuse(host, origin)
            self.assertEqual(refused and refused.what, expected, (host, origin))

    def test_null_is_refused_by_default(self) -> None:
        """A page from a file or a sandbox is not let in unless it is allowed by name."""
        refused = Access(NAMES).refuse("localhost", "null")
        assert refused is not None
        self.assertEqual(refused.flag, "--allow-origin null")

    def test_flags(self) -> None:
        """A refusal names what would allow it."""
        refused = self.access.refuse("evil.example:1919", None)
        assert refused is not None
        self.assertEqual(refused.flag, "--public-url http://evil.example:1919")
        refused = self.access.refuse("localhost", "http://evil.example")
        assert refused is not None
        self.assertEqual(refused.flag, "--allow-origin http://evil.example")
        refused = self.access.refuse(None, None)
        assert refused is not None
        self.assertEqual(refused.flag, "--public-url http://HOST")

    def test_ports_are_those_that_listen(self) -> None:
        """Before chatd listens no page is ours."""
        refused = Access(NAMES).refuse("localhost:1919", "http://localhost:1920")
        self.assertIsNotNone(refused)

    @given(st.text(max_size=50), st.text(max_size=50))
    def test_anything(self, host: str, origin: str) -> None:
        """No text of a stranger raises."""
        self.access.refuse(host, origin)
        self.access.refuse("localhost", f"http://{origin}")


class OwnNamesTests(SynchronousTestCase):
    """The names of this machine."""

    def test_names(self) -> None:
        """Its host name, alone and with .local, its FQDN, and localhost."""
        names = own_names()
        first = socket.gethostname().lower().split(".")[0]
        self.assertLessEqual(
            {"localhost", first, f"{first}.local", socket.getfqdn().lower()}, names
        )
