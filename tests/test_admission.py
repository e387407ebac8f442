"""`chatd.doors.admission`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd.config import Config
from chatd.doors.admission import RESERVE, Admission, most_connections
from chatd.errors import ConfigError


def admission(most: int = 10, per_address: int = 3, trusted: tuple[str, ...] = ()) -> Admission:
    """An admission with small limits."""
    return Admission(most=most, most_per_address=per_address, trusted_proxies=trusted)


class OpenTests(SynchronousTestCase):
    """Open connections."""

    def test_in_all(self) -> None:
        """Only so many are open at once; who leaves makes room."""
        door = admission()
        self.assertEqual([door.enter("127.0.0.1") for _ in range(11)], [True] * 10 + [False])
        self.assertEqual(len(door), 10)
        door.leave("127.0.0.1")
        self.assertTrue(door.enter("10.0.0.1"))

    def test_from_one_address(self) -> None:
        """Only so many are open from one address; others come in."""
        door = admission()
        self.assertEqual([door.enter("10.0.0.1") for _ in range(4)], [True] * 3 + [False])
        self.assertTrue(door.enter("10.0.0.2"))
        door.leave("10.0.0.1")
        self.assertTrue(door.enter("10.0.0.1"))

    def test_ipv6_network(self) -> None:
        """Addresses of one IPv6 /64 count as one."""
        door = admission()
        for last in range(3):
            self.assertTrue(door.enter(f"2001:db8::{last}"))
        self.assertFalse(door.enter("2001:db8::9"))
        self.assertTrue(door.enter("2001:db8:0:1::9"))

    def test_mapped(self) -> None:
        """An IPv4 address that came mapped into IPv6 is the same address."""
        door = admission()
        for host in ("::ffff:10.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"):
            self.assertTrue(door.enter(host))
        self.assertFalse(door.enter("10.0.0.1"))
        self.assertTrue(door.enter("::ffff:10.0.0.2"))

    def test_exempt(self) -> None:
        """Loopback, Unix sockets and trusted proxies bring any number."""
        door = admission(most=100, trusted=("192.0.2.0/24", "2001:db8::1"))
        for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "", "192.0.2.7", "2001:db8::1"):
            self.assertEqual([door.enter(host) for _ in range(9)], [True] * 9, host)


class SocketTests(SynchronousTestCase):
    """Sockets, which may be mute."""

    def test_in_all(self) -> None:
        """Somewhat more sockets than connections are let in, so that many can be told 503."""
        door = admission()
        arrived = [door.arrive("127.0.0.1") for _ in range(200)]
        self.assertEqual(arrived.count(True), 10 + RESERVE // 2)
        door.depart("127.0.0.1")
        self.assertTrue(door.arrive("127.0.0.1"))

    def test_from_one_address(self) -> None:
        """Mute sockets of one address do not keep others out."""
        door = admission(most=1000)
        arrived = [door.arrive("10.0.0.1") for _ in range(200)]
        self.assertEqual(arrived.count(True), 3 + RESERVE // 2)
        self.assertTrue(door.arrive("10.0.0.2"))

    def test_mute_ones_use_no_place(self) -> None:
        """Sockets that have not shaken hands take no connection's place."""
        door = admission()
        for _ in range(100):
            door.arrive("127.0.0.1")
        self.assertTrue(door.enter("127.0.0.1"))

    def test_nothing_is_kept(self) -> None:
        """Addresses that are gone are forgotten."""
        door = admission()
        for last in range(50):
            host = f"10.0.0.{last}"
            door.arrive(host)
            door.enter(host)
            door.leave(host)
            door.depart(host)
        self.assertEqual((len(door._sockets), len(door._open), len(door)), (0, 0, 0))

    def test_is_counted_anew(self) -> None:
        """An address is looked at once; how many are there from it is not remembered."""
        door = admission()
        for _ in range(3):
            self.assertEqual([door.enter("10.0.0.1") for _ in range(4)], [True] * 3 + [False])
            for _ in range(3):
                door.leave("10.0.0.1")
        self.assertLess(door._key.cache_info().misses, 2)
        for last in range(5000):
            door._key(f"10.1.{last // 250}.{last % 250}")
        self.assertLess(door._key.cache_info().currsize, 1025)


class OriginTests(SynchronousTestCase):
    """Who shares what."""

    def test_origin(self) -> None:
        """An IPv6 /64 is one origin; loopback, proxies and Unix sockets are none."""
        door = admission(trusted=("10.0.0.0/8",))
        self.assertEqual(door.origin("192.0.2.1"), "192.0.2.1")
        self.assertEqual(door.origin("2001:db8::1"), door.origin("2001:db8::ffff"))
        for host in ("127.0.0.1", "::1", "10.1.2.3", ""):
            self.assertEqual(door.origin(host), "")


class MostTests(SynchronousTestCase):
    """How many fit into a process."""

    def test_most(self) -> None:
        """As many as there are descriptors, less some, or as many as wanted if they fit."""
        self.assertEqual(most_connections(Config(), RESERVE + 5), 5)
        self.assertEqual(most_connections(Config(connections=3), RESERVE + 5), 3)
        for wanted in (0, 6):
            config = Config(connections=wanted)
            self.assertRaises(ConfigError, most_connections, config, RESERVE + 5 * bool(wanted))
