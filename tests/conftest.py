"""What pytest needs and trial does not; trial never loads this file.

Trial's asynchronous `TestCase` starts and crashes the reactor for every Deferred it waits for.
pytest-twisted starts it once and lets it run for good, so after its first test each such case
would fail. Here trial's cases wait on pytest-twisted's running reactor instead, and both styles
share one process in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from twisted.trial._asynctest import TestCase


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make trial's cases wait on the reactor that pytest-twisted runs."""
    if not config.pluginmanager.hasplugin("twisted"):
        return

    import pytest_twisted
    from twisted.internet import reactor, task
    from twisted.trial import _asynctest

    def turn(delay: float = 0) -> None:
        # for trial's janitor: a running reactor may not be iterated from within
        pytest_twisted.blockon(task.deferLater(reactor, delay, lambda: None))

    waiting = _asynctest._wait_is_running

    def wait(self: TestCase, waited: Deferred[Any], running: list[None] = waiting) -> None:
        if running:
            raise RuntimeError("_wait is not reentrant")
        fired: Deferred[None] = Deferred()
        running.append(None)
        try:
            waited.addBoth(lambda _: fired.callback(None))
            pytest_twisted.blockon(fired)
        finally:
            running.pop()

    reactor.iterate = turn  # type: ignore[method-assign]
    _asynctest.TestCase._wait = wait  # type: ignore[method-assign]
