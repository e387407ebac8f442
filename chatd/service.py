"""The object graph, and the order in which it starts and stops; nothing else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from chatd import __version__, tokens
from chatd.brokers import database
from chatd.brokers.archive import SqliteArchive
from chatd.brokers.database import Lock
from chatd.brokers.indexer import Indexer
from chatd.brokers.records import SqliteRecords
from chatd.brokers.retention import Retention
from chatd.brokers.scrub import Scrub
from chatd.brokers.sqlite import SqliteBroker
from chatd.brokers.worker import ThreadWorker, Worker
from chatd.config import Config
from chatd.core.audit import Audit
from chatd.core.auth import Gate, Verifier
from chatd.core.bans import Bans
from chatd.core.feed import Feed
from chatd.core.guests import Guests
from chatd.core.hub import Hub
from chatd.core.invites import Invites
from chatd.core.nicks import Nicks
from chatd.core.node import Node
from chatd.core.profiles import Profiles
from chatd.core.throttle import Throttle
from chatd.core.wheel import TICK_S, Wheel
from chatd.doors import assets
from chatd.doors.access import Access, own_names
from chatd.doors.admission import Admission, most_connections
from chatd.doors.journal import Journal
from chatd.doors.paths import Paths
from chatd.doors.site import ChatSite, Greet, WebSocketPath
from chatd.doors.sockets import make_lean
from chatd.doors.websocket import ChatFactory
from chatd.listeners import Listeners, parse
from chatd.opening import opened
from chatd.process import most_descriptors
from chatd.signing import Signing

__all__ = ["STOP_TIMEOUT_S", "ChatService", "build"]

STOP_TIMEOUT_S = 9.0
"""The longest a stop may take, in seconds; what is not gone then is left to the kernel."""

_DRAIN_TIMEOUT_S = 3.0  # or those who are connected would not be told goodbye
_GOODBYE_TIMEOUT_S = 8.0  # since the stop began, or the database would not be closed

_REFUSAL_LINES = (5, 20)  # a second, at once
_CONNECTION_LINES = (50, 1000)

log = Logger()


def build(
    config: Config, reactor: Any, *, worker: Callable[[str], Worker] | None = None
) -> ChatService:
    """Put chatd together and listen, everywhere or nowhere; those who come wait for the reactor.

    To be called before twistd detaches: afterwards nobody would see what goes wrong. The database
    is locked, checked and, when there is none, made; nothing of it stays open. That comes last:
    what else is wrong, a port in use too, leaves no new files behind.

    Args:
        config: the settings.
        reactor: not yet running.
        worker: makes what works beside the reactor, by its name; None: threads.

    Raises:
        ConfigError: the page or a key cannot be used, an endpoint is none or cannot be listened
            at, a setting does not fit this machine, or the database or its secret cannot be used.
    """
    own = assets.load(assets.web_root(), own=True)
    page = assets.load(Path(config.page), own=False) if config.page else own
    others = tokens.trusted(config)
    admission = Admission(
        most=most_connections(config, most_descriptors()),
        most_per_address=config.connections_per_address,
        trusted_proxies=config.trusted_proxies,
    )
    listeners = Listeners(parse(config, reactor))
    listeners.open()
    for _, port in listeners.ports:
        make_lean(port)
    held = None
    try:
        held = database.lock(config.database)
        key = opened(config.database, config.durability)
        verifier = tokens.verifier(config, key, others)
        workers = worker or (lambda name: ThreadWorker(name, reactor.callFromThread))
        return _build(
            config, reactor, workers, key, verifier, held, own, page, admission, listeners
        )
    except BaseException:
        listeners.abandon()
        if held is not None:
            held.release()
        raise


def _build(
    config: Config,
    reactor: Any,
    worker: Callable[[str], Worker],
    key: bytes,
    verifier: Verifier,
    held: Lock | None,
    own: assets.Page,
    page: assets.Page,
    admission: Admission,
    listeners: Listeners,
) -> ChatService:
    seconds = reactor.seconds
    wheel = Wheel(seconds)

    def later(call: Callable[[], None]) -> object:
        return reactor.callLater(0, call)

    broker = SqliteBroker(
        path=config.database,
        reader=worker("reader"),
        writer=worker("writer"),
        later=later,
        now_ms=_now_ms,
        new_epoch=_new_id,
        most_pending=config.pending_messages,
        most_bytes=config.pending_bytes,
        free_bytes=config.free_bytes,
        flush_each=config.durability == "full",
    )
    records = SqliteRecords(
        broker.connections,
        later=later,
        most_pending=config.pending_messages,
        most_bytes=config.pending_bytes,
    )
    retention = Retention(
        broker.trim,
        broker.connections,
        later=reactor.callLater,
        now_ms=_now_ms,
        days=config.keep_days or None,
        messages=config.keep_messages or None,
    )
    scrub = Scrub(broker.connections, config.database, later=reactor.callLater)
    indexer = Indexer(
        broker.connections, later=reactor.callLater, seconds=time.monotonic, caught_up=scrub.wake
    )
    broker.follow(grew=indexer.grew, changed=scrub.wake)
    feed = Feed(broker, cached_bytes=config.cached_bytes)
    hub = Hub(broker, feed, records, wheel, grace_s=config.grace_s)
    access = Access(own_names(), public_url=config.public_url, allow_origin=config.allow_origin)
    journal = Journal(
        connections=Throttle(*_CONNECTION_LINES, seconds),
        refusals=Throttle(*_REFUSAL_LINES, seconds),
    )
    node = Node(
        config=config,
        hub=hub,
        broker=broker,
        feed=feed,
        guests=Guests(key, _new_id),
        nicks=Nicks(wheel, config.grace_s),
        records=records,
        archive=SqliteArchive(broker.connections, later=later, seconds=time.monotonic),
        profiles=Profiles(records),
        gate=Gate(verifier, config, now_ms=_now_ms, seconds=seconds),
        wheel=wheel,
        invites=Invites(key),
        bans=Bans(records, wheel, exempt=config.trusted_proxies),
        audit=Audit(hub, broker, _new_id),
        new_id=_new_id,
        seconds=seconds,
        now_ms=_now_ms,
    )
    paths = Paths(node, web=page.digest if page.own else "")

    sockets = ChatFactory(
        config,
        paths=paths,
        access=access,
        admission=admission,
        journal=journal,
        feeder=feed,
        wheel=wheel,
        reactor=reactor,
    )
    signing = Signing(
        node, key, worker("signing"), admission.origin, reindex=indexer.rebuild, reactor=reactor
    )
    routes = dict.fromkeys(map(str.encode, paths.on_both_ports()), WebSocketPath(sockets))
    site = ChatSite(
        config,
        routes={**routes, **signing.routes(own, page), b"/greet": Greet()},
        page=assets.PageResource(page),
        strict=page.own,
        access=access,
        admission=admission,
        is_banned=lambda address: node.bans.covers(address, _now_ms()),
        journal=journal,
        wheel=wheel,
        reactor=reactor,
    )
    access.ports.update(listeners.lead_to(sockets=sockets, site=site))
    return ChatService(
        reactor=reactor,
        wheel=wheel,
        node=node,
        broker=broker,
        records=records,
        retention=retention,
        signing=signing,
        indexer=indexer,
        scrub=scrub,
        held=held,
        sockets=sockets,
        site=site,
        listeners=listeners,
    )


def _new_id() -> str:
    return secrets.token_hex(8)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _connections(count: int) -> str:
    return "1 connection" if count == 1 else f"{count} connections"


class ChatService(Service):
    """All of chatd, as Twisted starts and stops it: once.

    Args:
        reactor: for the wheel's timer.
        wheel: turned while it runs.
        node: its hub, bans and audit log are started with it.
        broker: drained and stopped at the stop.
        records: drained at the stop.
        retention: trims while it runs.
        signing: takes commands already; stopped at the stop.
        indexer: takes in words while it runs.
        scrub: overwrites what was erased while it runs.
        held: keeps others away from the database, until it is stopped.
        sockets: the WebSocket door.
        site: the web site.
        listeners: where it listens already.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        wheel: Wheel,
        node: Node,
        broker: SqliteBroker,
        records: SqliteRecords,
        retention: Retention,
        signing: Signing,
        indexer: Indexer,
        scrub: Scrub,
        held: Lock | None,
        sockets: ChatFactory,
        site: ChatSite,
        listeners: Listeners,
    ) -> None:
        self._reactor = reactor
        self._node = node
        self._broker = broker
        self._records = records
        self._retention = retention
        self._signing = signing
        self._indexer = indexer
        self._scrub = scrub
        self._held = held
        self._sockets = sockets
        self._site = site
        self._listeners = listeners
        self._turning = LoopingCall(wheel.tick)
        self._turning.clock = reactor  # or it would run on the global one
        self._is_over = False
        self._waiting: list[Deferred[None]] | None = None

    @property
    def ports(self) -> list[tuple[str, IListeningPort]]:
        """Scheme and port of each place where it listens now."""
        return self._listeners.ports

    def startService(self) -> None:
        """Twisted: begin; nothing when it has begun.

        Raises:
            RuntimeError: it was stopped.
        """
        if self.running:
            return
        if self._is_over:
            raise RuntimeError("build another one")
        super().startService()
        self._node.hub.start()
        self._node.audit.start()
        self._listeners.hold(True)
        self._node.bans.load(lambda: self._listeners.hold(False))
        self._retention.start()
        self._indexer.start()
        self._scrub.start()
        self._turning.start(TICK_S, now=False)
        log.info("chatd {version} started", version=__version__)
        self._listeners.announce()

    def stopService(self) -> Deferred[None]:
        """Twisted: end, within `STOP_TIMEOUT_S`; started or not, and again.

        In this order: nobody comes in, what was accepted is stored and delivered, everybody is
        told goodbye and is gone, the database is closed, the wheel stands still.
        """
        if self._is_over:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        if self._waiting is not None:
            self._waiting.append(stopped)
            return stopped
        self._waiting = [stopped]
        log.info("stopping: {count}", count=_connections(len(self._sockets.connections)))
        if self.running:
            super().stopService()
        closed = [*self._listeners.close(), *self._signing.close()]
        self._site.goodbye()
        self._retention.stop()
        self._indexer.stop()
        self._scrub.stop()
        done = Deferred.fromCoroutine(self._stop(closed, self._reactor.seconds()))
        done.addErrback(lambda failure: log.failure("stopping", failure))
        done.addCallback(self._stopped)
        return stopped

    async def _stop(self, closed: list[Deferred[Any]], begun: float) -> None:
        drained = [self._told(each) for each in (self._broker.drain, self._records.drain)]
        in_time = [await self._came(each, begun + _DRAIN_TIMEOUT_S) for each in drained]
        if not all(in_time):
            log.critical("what was accepted last could not be stored in time")
        for each in [*closed, self._sockets.goodbye(), self._told(self._signing.stop)]:
            await self._came(each, begun + _GOODBYE_TIMEOUT_S)
        if self._sockets.connections:
            count = _connections(len(self._sockets.connections))
            log.warn("{count} did not end", count=count)
        if not await self._came(self._told(self._broker.stop), begun + STOP_TIMEOUT_S):
            self._held = None  # it is still in use, and ours until the process ends
            log.critical("the database could not be closed in time")
            return
        self._scrub.close()

    def _told(self, ask: Callable[[Callable[[], None]], None]) -> Deferred[None]:
        """What fires when something that was asked for is done, at whatever time."""
        told: Deferred[None] = Deferred()
        ask(lambda: told.callback(None))
        return told

    async def _came(self, awaited: Deferred[Any], until: float) -> bool:
        """Wait for something, but not for ever; whether it came. What it fails with is logged."""
        awaited.addTimeout(max(0.0, until - self._reactor.seconds()), self._reactor)
        try:
            await awaited
        except TimeoutError:
            return False
        except Exception:
            log.failure("stopping")
        return True

    def _stopped(self, _: object) -> None:
        if self._turning.running:  # not when it listened and was never started
            self._turning.stop()
        self._end()
        log.info("stopped")
        waiting, self._waiting = self._waiting, None
        for each in waiting or ():
            each.callback(None)

    def _end(self) -> None:
        self._is_over = True
        held, self._held = self._held, None
        if held is not None:
            held.release()
