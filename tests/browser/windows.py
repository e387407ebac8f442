"""Browser windows that notice what should not happen in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

__all__ = ["NO_CONNECTION", "TIMEOUT_MS", "Windows"]

TIMEOUT_MS = 15_000
_HERE = {"localhost", "127.0.0.1"}
NO_CONNECTION = r"WebSocket connection to '[^']*' failed"
"""What the browser says of a server that is away."""
_WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`));
"""


class Windows:
    """Opens windows and collects their faults.

    Args:
        browser: where.
        folder: for pictures.

    Attributes:
        faults: what went wrong in any of them, in words.
        allowed: a pattern of what may be said on the console, being none; empty: nothing.
    """

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self._contexts: list[BrowserContext] = []
        self.faults: list[str] = []
        self.allowed = ""

    def open(self, url: str, **options: Any) -> Page:
        """Open a page in a window of its own, with cookies and storage of its own.

        Args:
            url: of the page; empty: open none yet.
            options: of the browser's context.
        """
        context = self._browser.new_context(**options)
        self._contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(_WATCH)
        context.on("request", self._requested)
        page = context.new_page()
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on("dialog", self._asked)
        page.on("crash", lambda _: self.faults.append("the page crashed"))
        page.on("websocket", lambda socket: self._address(socket.url))
        if url:
            page.goto(url)
        return page

    def picture(self, page: Page, name: str) -> Path:
        """Take a picture of a page, into a temporary folder; says where it is."""
        path = self._folder / f"{name}.png"
        page.screenshot(path=path)
        return path

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if self.allowed and re.search(self.allowed, message.text):
            return
        self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        self._address(request.url)

    def _address(self, url: str) -> None:
        if urlsplit(url).hostname not in _HERE and not url.startswith(("data:", "blob:")):
            self.faults.append(f"a foreign host: {url}")
