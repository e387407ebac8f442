"""Bans: who may not come in."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from chatd.core.bans import MOST_BANS, RETRY_S, SUBJECT, Bans, by_address, by_user, is_within
from chatd.core.wheel import TICK_S, Wheel
from chatd.errors import BAD_REQUEST, FULL, LIMIT_EXCEEDED, UNAVAILABLE, ChatError, Refusal
from tests.support import strategies  # noqa: F401  # loads the profile
from tests.support.logs import LogCase
from tests.support.memory import MemoryRecords

DAY_MS = 24 * 3600 * 1000
NOW = 1_800_000_000_000


class BansCase(LogCase):
    """Bans over records in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.wheel = Wheel(self.clock.seconds)
        self.records = MemoryRecords()
        self.outcomes: list[Refusal | None] = []
        self.bans = self.begin()

    def begin(self, *exempt: str) -> Bans:
        """Those that the records have."""
        bans = Bans(self.records, self.wheel, exempt=exempt)
        bans.load()
        return bans

    def ban(self, name: str, until_ms: int = NOW + 1000, now_ms: int = NOW) -> None:
        """Make a ban."""
        self.bans.ban(name, until_ms, now_ms, self.outcomes.append)

    def unban(self, name: str) -> None:
        """End a ban."""
        self.bans.unban(name, self.outcomes.append)

    def covers(self, address: str, now_ms: int = NOW) -> bool:
        """Whether somebody new from an address is refused, which both ways of asking agree on."""
        refused = self.bans.refused("somebody", address, now_ms)
        self.assertEqual(self.bans.covers(address, now_ms), refused)
        return refused


class NamesTests(BansCase):
    """What is banned."""

    def test_forms(self) -> None:
        """An IPv6 address is its /64, a mapped one the IPv4 one; all others are themselves."""
        for text, name in {
            "203.0.113.7": "203.0.113.7/32",
            "203.0.113.7/24": "203.0.113.0/24",
            "2001:db8::7": "2001:db8::/64",
            "2001:db8::7/128": "2001:db8::7/128",
            "2001:DB8:0:1:2:3:4:5": "2001:db8:0:1::/64",
            "::ffff:203.0.113.7": "203.0.113.7/32",
            "::ffff:cb00:7107": "203.0.113.7/32",
            "::ffff:203.0.113.7/120": "203.0.113.0/24",
            "::ffff:0:0/96": "0.0.0.0/0",
        }.items():
            with self.subTest(text):
                self.assertEqual(by_address(text), f"address:{name}")

    def test_not_addresses(self) -> None:
        """Anything else is a bad request."""
        for text in (
            *("", "ann", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4/33", "::1/129", "1.2.3.4/"),
            *("1.2.3.4 ", "::/", "fe80::1%eth0", "fe80::1%eth0/64", "1" * 60, "1.2.3.4/24/24"),
        ):
            with self.subTest(text):
                error = self.assertRaises(ChatError, by_address, text)
                self.assertIs(error.refusal, BAD_REQUEST)

    def test_user(self) -> None:
        """A ban of a user has their id."""
        self.assertEqual(by_user("a:b"), "user:a:b")

    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(st.ip_addresses())
    def test_of_itself(self, address: object) -> None:
        """Every address is within a ban of it, and a stranger's word is within none."""
        ban = by_address(str(address))
        self.assertTrue(is_within(str(address), ban))
        self.assertFalse(is_within("", ban))
        self.assertFalse(is_within("unix", ban))

    def test_other_version(self) -> None:
        """An IPv4 address is not within an IPv6 network of the same number."""
        self.assertFalse(is_within("0.0.0.1", by_address("::1/128")))
        self.assertTrue(is_within("::ffff:1.2.3.4", by_address("1.2.3.4")))


class HoldTests(BansCase):
    """Whom they keep out."""

    def test_user(self) -> None:
        """A banned user is refused from anywhere, until the time is up, and nobody else is."""
        self.ban(by_user("ann"))
        for address in ("", "127.0.0.1", "203.0.113.7"):
            self.assertTrue(self.bans.refused("ann", address, NOW))
            self.assertFalse(self.bans.refused("Ann", address, NOW))
        self.assertTrue(self.bans.refused("ann", "", NOW + 999))
        self.assertFalse(self.bans.refused("ann", "", NOW + 1000))

    def test_address(self) -> None:
        """An address is refused in every spelling, and its neighbour is not."""
        self.ban(by_address("203.0.113.7"))
        for address in ("203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107"):
            self.assertTrue(self.covers(address), address)
        for address in ("203.0.113.8", "", "unix", "::1", "2001:db8::cb00:7107"):
            self.assertFalse(self.covers(address), address)
        self.assertFalse(self.covers("203.0.113.7", NOW + 1000))

    def test_mapped(self) -> None:
        """A ban of a mapped address is one of the IPv4 address."""
        self.ban(by_address("::ffff:203.0.113.7"))
        self.assertTrue(self.covers("203.0.113.7"))

    def test_site(self) -> None:
        """An IPv6 address stands for its /64, with a zone too."""
        self.ban(by_address("2001:db8:1:2::1"))
        self.assertTrue(self.covers("2001:db8:1:2:ffff::9"))
        self.assertTrue(self.covers("2001:db8:1:2::9%eth0"))
        self.assertFalse(self.covers("2001:db8:1:3::1"))
        self.assertFalse(self.covers("203.0.113.7"))

    def test_networks(self) -> None:
        """Networks of several sizes hold side by side; to end one leaves the others."""
        for text in ("198.51.100.0/24", "198.51.0.0/16", "203.0.113.0/24"):
            self.ban(by_address(text))
        self.assertTrue(self.covers("198.51.7.7"))
        self.unban(by_address("198.51.0.0/16"))
        self.assertFalse(self.covers("198.51.7.7"))
        self.assertTrue(self.covers("198.51.100.7"))
        self.unban(by_address("198.51.100.0/24"))
        self.assertFalse(self.covers("198.51.100.7"))
        self.assertTrue(self.covers("203.0.113.7"))
        self.assertEqual(len(self.bans), 1)
        self.assertEqual(set(self.outcomes), {None})

    def test_exempt(self) -> None:
        """Loopback and trusted proxies, and networks that have them in it, cannot be banned."""
        self.bans = self.begin("198.51.100.0/24", "2001:db8:5::/48")
        for text in (
            *("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "0.0.0.0/0", "::/0", "::/64"),
            *("198.51.100.7", "198.51.0.0/16", "2001:db8:5::1", "2001:db8::/32"),
        ):
            with self.subTest(text):
                error = self.assertRaises(ChatError, self.bans.check, by_address(text))
                self.assertIs(error.refusal, BAD_REQUEST)
        for text in ("203.0.113.7", "2001:db8:6::1"):
            self.bans.check(by_address(text))

    def test_exempt_later(self) -> None:
        """A ban of what has become a trusted proxy since keeps nobody out."""
        self.ban(by_address("198.51.100.0/24"))
        self.bans = self.begin("198.51.100.7")
        self.assertFalse(self.covers("198.51.100.7"))
        self.assertTrue(self.covers("198.51.100.8"))

    def test_longer(self) -> None:
        """A second ban takes the place of the first, shorter or longer."""
        for name in (by_user("ann"), by_address("203.0.113.7")):
            for until in (NOW + 9000, NOW + 500):
                self.ban(name, until)
                self.assertTrue(self.bans.refused("ann", "203.0.113.7", until - 1))
        self.assertFalse(self.bans.refused("ann", "203.0.113.7", NOW + 500))
        self.assertEqual(len(self.bans), 2)


class KeepingTests(BansCase):
    """Record and memory."""

    def test_restart(self) -> None:
        """Bans survive a start anew."""
        self.ban(by_user("ann"))
        self.ban(by_address("2001:db8::1"))
        self.bans = self.begin()
        self.assertTrue(self.bans.refused("ann", "", NOW))
        self.assertTrue(self.covers("2001:db8::2"))

    def test_refused(self) -> None:
        """A ban that is not stored does not hold, and one that is not taken back does."""
        self.ban(by_user("ann"))
        self.records.refusal = FULL
        self.ban(by_user("bob"))
        self.unban(by_user("ann"))
        self.assertEqual(self.outcomes, [None, FULL, FULL])
        self.assertTrue(self.bans.refused("ann", "", NOW))
        self.assertFalse(self.bans.refused("bob", "", NOW))

    def test_unban_nobody(self) -> None:
        """To end a ban that is none is done at once, and nothing is written."""
        self.records.refusal = FULL
        self.unban(by_user("ann"))
        self.assertEqual(self.outcomes, [None])

    def test_unknown(self) -> None:
        """Until they are read nobody may come in; reading them is tried again and again."""
        self.ban(by_user("ann"))
        self.records.refusal = UNAVAILABLE
        known: list[bool] = []
        self.bans = Bans(self.records, self.wheel)
        self.bans.load(lambda: known.append(self.bans.is_known))
        self.assertEqual(known, [False])
        error = self.assertRaises(ChatError, self.bans.refused, "bob", "", NOW)
        self.assertIs(error.refusal, UNAVAILABLE)
        self.assertFalse(self.bans.covers("203.0.113.7", NOW))
        for _ in range(round(3 * RETRY_S / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()
        self.assertGreaterEqual(len(self.lines), 2)
        self.records.refusal = None
        for _ in range(round(2 * RETRY_S / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()
        self.assertTrue(self.bans.is_known)
        self.assertTrue(self.bans.refused("ann", "", NOW))
        self.assertFalse(self.bans.refused("bob", "", NOW))
        self.assertEqual(len(self.wheel), 0)

    def test_clock_steps(self) -> None:
        """A clock that was wrong for a while at the start takes no ban away."""
        self.ban(by_user("ann"))
        self.bans = self.begin()
        self.assertFalse(self.bans.refused("ann", "", NOW + 9 * DAY_MS))
        self.assertTrue(self.bans.refused("ann", "", NOW))

    def test_lapsed(self) -> None:
        """A ban that lapsed a day ago is forgotten, in the record too, with the next one."""
        self.ban(by_user("old"), NOW + 1)
        self.ban(by_address("203.0.113.7"), NOW + 1)
        self.ban(by_user("ann"), NOW + 2 * DAY_MS, NOW + DAY_MS)
        self.assertEqual(len(self.bans), 3)
        self.ban(by_user("bob"), NOW + 3 * DAY_MS, NOW + DAY_MS + 1)
        self.assertEqual(set(self.records.stored[SUBJECT]), {"user:ann", "user:bob"})
        self.assertEqual(len(self.bans), 2)

    def test_limit(self) -> None:
        """When there are too many, one that has lapsed makes room, or there is none."""
        self.records.stored[SUBJECT] = {f"user:{each}": str(NOW + 5) for each in range(MOST_BANS)}
        self.bans = self.begin()
        self.ban(by_user("ann"))
        self.assertEqual(self.outcomes, [LIMIT_EXCEEDED])
        self.ban(by_user("0"), NOW + 9)
        self.ban(by_user("ann"), NOW + 1000, NOW + 5)
        self.assertEqual(self.outcomes[1:], [None, None])
        self.assertTrue(self.bans.refused("ann", "", NOW + 5))
        self.assertTrue(self.bans.refused("0", "", NOW + 5))
        self.assertLess(len(self.bans), MOST_BANS)
