"""`chatd.probe`, over real sockets."""

from __future__ import annotations

import os
import socket
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from chatd.errors import ConfigError
from chatd.probe import check_endpoints


class ProbeTests(SynchronousTestCase):
    """Can it listen?"""

    def refuse(self, endpoint: str) -> str:
        """The words about an endpoint that is refused."""
        return str(self.assertRaises(ConfigError, check_endpoints, "ws", [endpoint]))

    def test_free(self) -> None:
        """A port that is free is, and is free again afterwards."""
        for _ in range(2):
            check_endpoints("ws", ["tcp:0:interface=127.0.0.1", "tcp:0"])

    def test_ipv6(self) -> None:
        """IPv6 endpoints are tried as such."""
        with socket.socket(socket.AF_INET6) as taken:
            taken.bind(("::1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assertIn("already in use", self.refuse(f"tcp6:{port}:interface=\\:\\:1"))

    def test_taken(self) -> None:
        """A port in use is named, with the flag."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            words = self.refuse(f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1")
        self.assertTrue(words.startswith("--ws: cannot listen on 'tcp:"))
        self.assertTrue(words.endswith("Address already in use"))

    def test_no_endpoint(self) -> None:
        """What is no endpoint is refused by name."""
        for endpoint in ("nonsense", "tcp:abc", "foo:1", "tcp", "ssl:1:privateKey=/no/file"):
            self.assertIn(f"{endpoint!r} is no endpoint", self.refuse(endpoint))

    def test_no_port(self) -> None:
        """A port beyond 65535 is none."""
        for endpoint in ("tcp:70000", "tcp:-1"):
            self.assertIn("a number from 0 to 65535", self.refuse(endpoint))

    def test_no_such_interface(self) -> None:
        """An address that is not ours cannot be listened on."""
        self.assertIn("cannot listen", self.refuse("tcp:0:interface=192.0.2.1"))

    def test_unix(self) -> None:
        """A Unix socket wants a folder that can be written to; nothing is made there."""
        folder = tempfile.mkdtemp()
        check_endpoints("ws", [f"unix:{folder}/chatd.sock"])
        self.assertEqual(os.listdir(folder), [])
        self.assertIn("/nonexistent", self.refuse("unix:/nonexistent/chatd.sock"))

    def test_systemd(self) -> None:
        """A socket that systemd opened listens already; without one it is an error."""
        self.assertIn("is no endpoint", self.refuse("systemd:domain=INET:index=0"))

    def test_tls(self) -> None:
        """A TLS endpoint's port is tried too."""
        from tests.support.tls import certificate

        pem = certificate(tempfile.mkdtemp())
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            words = self.refuse(f"ssl:{port}:privateKey={pem}:interface=127.0.0.1")
        self.assertIn("already in use", words)
