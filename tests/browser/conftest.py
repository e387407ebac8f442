"""Everything here runs in one thread of its own.

Playwright's plain interface keeps an event loop in the thread that uses it, and pytest-twisted
has the reactor in pytest's: they would be in each other's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.windows import Windows
from tests.support.external import external

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

_thread = ThreadPoolExecutor(1, thread_name_prefix="browser")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run a test of this folder in the browser's thread."""
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    _thread.submit(pyfuncitem.obj, **arguments).result()
    return True


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    path = external("chromium")
    playwright = _thread.submit(lambda: sync_playwright().start()).result()
    try:
        launch = playwright.chromium.launch
        started = _thread.submit(launch, executable_path=path, args=list(ARGUMENTS)).result()
        try:
            yield started
        finally:
            _thread.submit(started.close).result()
    finally:
        _thread.submit(playwright.stop).result()


@pytest.fixture
def windows(browser: Browser, tmp_path: Path) -> Iterator[Windows]:
    """Opens windows that have nothing in common; any fault that one shows fails the test."""
    opened = Windows(browser, tmp_path)
    yield opened
    _thread.submit(opened.close).result()
    assert opened.faults == []
