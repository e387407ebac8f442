"""Signing in, as people see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.windows import Windows
from tests.support.daemon import ROOT, Daemon, environment, running

PASSWORD = "correct horse"
REFUSED = "status of 401"
"""What the browser says of an answer that is no."""


def chatd(daemon: Daemon, *words: str, typed: str = "") -> str:
    """What a command prints, in the folder of a daemon."""
    done = subprocess.run(
        [sys.executable, "-m", "chatd", *words],
        cwd=daemon.folder,
        env={
            **environment({"CHATD_AUTH_USERS": "yes"}),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        },
        input=typed,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def link(daemon: Daemon, *words: str) -> str:
    """A one-time link."""
    url = f"http://localhost:{daemon.web}"
    return chatd(daemon, "token", "--moderator", "--public-url", url, *words).strip()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with an account."""
    with running(env={"CHATD_AUTH_USERS": "yes"}) as daemon:
        chatd(daemon, "user", "add", "Ann", typed=f"{PASSWORD}\n")
        yield daemon


def site(daemon: Daemon) -> str:
    """The address of the page."""
    return f"http://localhost:{daemon.web}/login"


def fill(page: Page, password: str) -> None:
    """Fill in the form and send it."""
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def kept(page: Page) -> object:
    """What the browser keeps."""
    return json.loads(page.evaluate("localStorage.getItem('chatd.token')") or "null")


def test_password(windows: Windows, daemon: Daemon) -> None:
    """A wrong password is said and the name kept; the right one is kept, as a token."""
    windows.allowed = REFUSED
    page = windows.open(site(daemon))
    windows.picture(page, "login")
    fill(page, "wrong horse")
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    expect(page.get_by_label("Name")).to_have_value("ann")
    expect(page.get_by_label("Password")).to_be_focused()
    windows.picture(page, "login-wrong")
    assert kept(page) is None
    fill(page, PASSWORD)
    heading = page.get_by_role("heading", name="Signed in as Ann")
    expect(heading).to_be_focused()
    expect(page.get_by_role("alert")).to_have_text("")
    expect(page.get_by_role("button", name="Sign in")).to_be_hidden()
    windows.picture(page, "login-done")
    found = kept(page)
    assert isinstance(found, dict) and set(found) == {"token", "expires"}
    assert page.get_by_label("Token").input_value() == found["token"]
    month_ms = 30 * 86_400_000
    assert abs(page.evaluate("Date.now()") + month_ms - found["expires"]) < 60_000
    expect(page.get_by_role("link", name="Go to the chat")).to_have_attribute("href", "./")


def test_without_script(windows: Windows, daemon: Daemon) -> None:
    """Without script the form does the same, with pages; and a code can be typed."""
    windows.allowed = REFUSED
    page = windows.open(site(daemon), java_script_enabled=False)
    fill(page, "wrong horse")
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    expect(page.get_by_label("Name")).to_have_value("ann")
    windows.picture(page, "login-plain")
    fill(page, PASSWORD)
    expect(page.get_by_role("heading", name="Signed in as Ann")).to_be_visible()
    assert page.get_by_label("Token").input_value().count(".") == 2
    page.goto(site(daemon))
    page.get_by_label("One-time code").fill(link(daemon, "--nick", "Mo").partition("#")[2])
    page.get_by_role("button", name="Use the code").click()
    expect(page.get_by_role("heading", name="Signed in as Mo")).to_be_visible()


def test_link(windows: Windows, daemon: Daemon) -> None:
    """A link is used up by a click and not by being opened; the address shows no code."""
    windows.allowed = REFUSED
    url = link(daemon, "--nick", "Mo.x")
    windows.open(url)
    page, late = windows.open(url), windows.open(url)
    expect(page).to_have_url(site(daemon))
    button = page.get_by_role("button", name="Sign in as moderator Mo.x")
    windows.picture(page, "login-link")
    button.click()
    expect(page.get_by_role("heading", name="Signed in as Mo.x")).to_be_focused()
    assert kept(page) is not None
    late.get_by_role("button", name="Sign in as moderator Mo.x").click()
    expect(late.get_by_role("alert")).to_contain_text("was used already")
    assert kept(late) is None


def test_somebody_s_page(windows: Windows, daemon: Daemon) -> None:
    """Where the site's page is somebody else's, ours signs people in all the same."""
    theirs = daemon.folder / "theirs"
    theirs.mkdir()
    (theirs / "index.html").write_text("<!doctype html><link rel=icon href=data:,>")
    with running("--page", str(theirs)) as other:
        page = windows.open(site(other))
        expect(page.get_by_text("This server has no accounts.")).to_be_visible()
        page.goto(f"http://localhost:{other.web}/")
        page.goto(link(other, "--nick", "Mo"))
        page.get_by_role("button", name="Sign in as moderator Mo").click()
        expect(page.get_by_role("heading", name="Signed in as Mo")).to_be_focused()
