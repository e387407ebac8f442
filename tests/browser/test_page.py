"""The page, as people see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Response, Route, expect

from tests.browser.windows import NO_CONNECTION, TIMEOUT_MS, Windows
from tests.support.client import Client
from tests.support.daemon import Daemon, free_ports, running
from tests.support.rfc6455 import BINARY

GREETING = "connected to WebSocket server"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    '"><svg onload=alert(3)>',
    "javascript:alert(4)",
    "&lt;b&gt; &amp; {{7*7}} ${7*7}",
    "<iframe srcdoc='<script>parent.alert(5)</script>'></iframe>",
)
RETURN_MS = 30_000
"""The longest that the page may take to come back to a server that is back."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon."""
    with running() as daemon:
        yield daemon


def site(daemon: Daemon) -> str:
    """The address of the page."""
    return f"http://localhost:{daemon.web}/"


def rows(page: Page) -> Locator:
    """The texts of all rows."""
    return page.locator("#messages .text")


def field_of(page: Page) -> Locator:
    """Where messages are typed."""
    return page.get_by_label("Message", exact=True)


def joined(windows: Windows, daemon: Daemon, **options: object) -> Page:
    """A window with the page, connected and greeted."""
    page = windows.open(site(daemon), **options)
    expect(page.locator("#bar")).to_have_attribute("data-state", "open", timeout=TIMEOUT_MS)
    expect(page.get_by_role("status")).to_have_text("WebSocket is open")
    expect(rows(page).first).to_have_text(GREETING)
    return page


def say(page: Page, text: str) -> None:
    """Type a message and send it with the Enter key."""
    field = field_of(page)
    field.fill(text)
    field.press("Enter")


def test_two_windows(windows: Windows, daemon: Daemon) -> None:
    """What is said in one window is read in both, either way, once and in order."""
    one, two = joined(windows, daemon), joined(windows, daemon)
    say(one, "hello from one")
    expect(rows(two).last).to_have_text("hello from one")
    field_of(two).fill("hello from two")
    two.get_by_role("button", name="Send").click()
    expect(rows(one).last).to_have_text("hello from two")
    expect(rows(one)).to_have_text([GREETING, "hello from one", "hello from two"])
    expect(rows(two)).to_have_text([GREETING, "hello from one", "hello from two"])
    for page in (one, two):
        expect(field_of(page)).to_have_value("")
        expect(page.locator("#error")).to_be_hidden()


def test_compressed(windows: Windows) -> None:
    """With compression, which browsers always offer, a long text is read as it was said."""
    with running(env={"CHATD_LISTEN_COMPRESSION": "yes"}) as daemon:
        one, two = joined(windows, daemon), joined(windows, daemon)
        long = "It was the best of times, zażółć 🎈. " * 80
        for words in (long.strip(), "short"):
            say(one, words)
            expect(rows(one).last).to_have_text(words)
            expect(rows(two).last).to_have_text(words)


def test_other_programs(windows: Windows, daemon: Daemon) -> None:
    """A program on the WebSocket port and the page are in the same room; bytes are named."""
    page = joined(windows, daemon)
    with Client(daemon.ws) as client:
        assert client.read_text() == GREETING
        say(page, "to the program")
        assert client.read_text() == "to the program"
        client.say("to the page")
        client.send(BINARY, b"\x00\x01")
        client.say("two\nlines")
        expect(rows(page)).to_have_text(
            [GREETING, "to the program", "to the page", "binary message, 2 bytes", "two lines"]
        )


def test_text_is_text(windows: Windows, daemon: Daemon) -> None:
    """Whatever a message looks like, it is shown and not obeyed, by sender and receiver."""
    sender, receiver = joined(windows, daemon), joined(windows, daemon)
    for text in HOSTILE:
        say(sender, text)
        for page in (sender, receiver):
            expect(rows(page).last).to_have_text(text)
    for page in (sender, receiver):
        assert page.locator("#messages .text *").count() == 0
        assert page.locator("img, svg, iframe").count() == 0
    # whatever was to run would have by now
    say(receiver, "after it")
    expect(rows(sender).last).to_have_text("after it")


def test_server_comes_back(windows: Windows) -> None:
    """While the server is away the page says so and keeps the text; it comes back by itself."""
    with ExitStack() as servers:
        first = servers.enter_context(running())
        page = joined(windows, first)
        field, send = (
            field_of(page),
            page.get_by_role("button", name="Send"),
        )
        page.evaluate(
            """() => {
              window.disabled = 0;
              new MutationObserver(() => { window.disabled += 1; }).observe(document.body, {
                subtree: true, attributes: true,
                attributeFilter: ["disabled", "readonly", "inert", "aria-disabled"],
              });
            }"""
        )
        field.fill("typed before")

        windows.allowed = NO_CONNECTION
        first.stop()
        expect(page.get_by_role("status")).to_contain_text("WebSocket is closed.")
        expect(page.get_by_role("button", name="Retry now")).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("Cannot reach the server")
        expect(field).to_be_enabled()
        expect(send).to_be_enabled()
        field.fill("typed while away")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Not sent")
        expect(field).to_have_value("typed while away")

        again = servers.enter_context(running(ports=(first.ws, first.web)))
        expect(page.get_by_role("status")).to_have_text("WebSocket is open", timeout=RETURN_MS)
        windows.allowed = ""
        expect(rows(page).filter(has_text="Not connected")).to_have_count(1)
        expect(field).to_have_value("typed while away")
        expect(page.get_by_role("alert")).to_contain_text("The connection is back")
        with Client(again.ws) as client:
            client.read()
            field.press("Enter")
            assert client.read_text() == "typed while away"
        expect(field).to_have_value("")
        expect(rows(page).last).to_have_text("typed while away")
        expect(page.locator("#error")).to_be_hidden()
        expect(page.get_by_role("button", name="Retry now")).to_be_hidden()
        assert page.evaluate("window.disabled") == 0
        page.close()


def test_retry_now(windows: Windows) -> None:
    """The button brings the page back at once, and without it nothing does."""
    with ExitStack() as servers:
        first = servers.enter_context(running())
        page = joined(windows, first)
        # The page's time stands still, so that it does not try again by itself.
        page.clock.install()
        page.clock.pause_at(datetime.now() + timedelta(minutes=1))
        windows.allowed = NO_CONNECTION
        first.stop()
        retry = page.get_by_role("button", name="Retry now")
        expect(retry).to_be_visible()
        with running(ports=(first.ws, first.web)) as again, Client(again.ws) as other:
            assert other.read_text() == GREETING
            expect(retry).to_be_visible()
            retry.click()
            expect(page.locator('#bar[data-state="open"]')).to_be_visible(timeout=TIMEOUT_MS)
            windows.allowed = ""
            page.close()


def test_too_long(windows: Windows, daemon: Daemon) -> None:
    """A text that the server would refuse stays in the field, with the reason."""
    page = joined(windows, daemon)
    say(page, "ż" * 32769)
    expect(page.get_by_role("alert")).to_contain_text("Not sent")
    expect(field_of(page)).to_have_value("ż" * 32769)
    say(page, "ż" * 32768)
    expect(rows(page).last).to_have_text("ż" * 32768)
    expect(page.locator("#error")).to_be_hidden()


def test_too_fast(windows: Windows) -> None:
    """Refused for saying too much, the page says why and comes back."""
    with running(env={"CHATD_LIMITS_PUBLISH_PER_S": "1", "CHATD_LIMITS_PUBLISH_BURST": "2"}) as one:
        page = joined(windows, one)
        page.evaluate(
            """() => {
              for (let number = 0; number < 4; number += 1) {
                document.querySelector("#text").value = `${number}`;
                document.querySelector("#composer").requestSubmit();
              }
            }"""
        )
        expect(page.get_by_role("alert")).to_contain_text("too many messages, slow down")
        expect(page.get_by_role("status")).to_have_text("WebSocket is open", timeout=RETURN_MS)
        page.close()


def probe(windows: Windows, daemon: Daemon, *, policy: bool) -> Page:
    """A window for the page with a script put into it, with or without the server's policy."""
    page = windows.open("")

    def meddle(route: Route) -> None:
        answer = route.fetch()
        headers = dict(answer.headers)
        assert "content-security-policy" in headers
        if not policy:
            del headers["content-security-policy"]
        body = answer.text().replace("</head>", "<script>window.ran = true</script></head>")
        route.fulfill(response=answer, headers=headers, body=body)

    page.route(site(daemon), meddle)
    return page


def test_policy(windows: Windows, daemon: Daemon) -> None:
    """A script that somebody got into the page does not run; without our policy it would."""
    # The browser holds a page that was meddled with for one from elsewhere, and lets it connect
    # to nothing here.
    windows.allowed = f"{NO_CONNECTION}|[Pp]olicy"
    page = probe(windows, daemon, policy=True)
    with page.expect_console_message(lambda said: "policy violated: script-src" in said.text):
        page.goto(site(daemon))
    assert page.evaluate("window.ran") is None

    windows.allowed = NO_CONNECTION
    page = probe(windows, daemon, policy=False)
    page.goto(site(daemon))
    assert page.evaluate("window.ran") is True


def test_policy_of_every_answer(windows: Windows, daemon: Daemon) -> None:
    """Every file of the page comes from our host, with the policy; sinks refuse plain text."""
    page = windows.open("")
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(site(daemon))
    expect(page.get_by_role("status")).to_have_text("WebSocket is open")
    assert len(answers) > 10
    for answer in answers:
        assert answer.status == 200, answer.url
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    windows.allowed = "[Tt]rusted"
    refused = page.evaluate(
        """() => {
          try { document.createElement("p").innerHTML = "<b>"; return ""; }
          catch (error) { return error.name; }
        }"""
    )
    assert refused == "TypeError"


@pytest.mark.parametrize("touch", [True, False])
def test_phone(windows: Windows, daemon: Daemon, touch: bool) -> None:
    """On a small phone nothing is wider than the screen, and all that is needed is in sight."""
    size = {"width": 360, "height": 740}
    page = joined(windows, daemon, viewport=size, is_mobile=touch, has_touch=touch)
    field, send = field_of(page), page.get_by_role("button", name="Send")
    for text in ("word", "w" * 500, "https://example.invalid/" + "x" * 300, "several words " * 60):
        field.fill(text)
        send.click()
        expect(rows(page).last).to_have_text(text.strip())
    for _ in range(10):
        field.fill("one more row")
        send.click()
        expect(field).to_have_value("")
    expect(rows(page).last).to_have_text("one more row")
    expect(rows(page)).to_have_count(15)
    wide, tall = page.evaluate(
        "[document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight]"
    )
    assert wide <= size["width"]
    assert tall <= size["height"]
    for each in (field, send, page.get_by_role("status"), rows(page).last):
        expect(each).to_be_in_viewport()
    picture = windows.picture(page, f"phone-{touch}")
    assert picture.stat().st_size > 1000


PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>Somebody's own page</title>
<link rel="icon" href="data:,">
<p id="status">not connected</p>
<ul id="messages"></ul>
<form><input id="message"><button>Send</button></form>
<script>
  const socket = new WebSocket("ws://localhost:PORT");
  const status = document.querySelector("#status");
  socket.onopen = () => { status.textContent = "connected"; };
  socket.onclose = ({ code, wasClean }) => { status.textContent = `closed ${code} ${wasClean}`; };
  socket.onmessage = (event) => {
    const item = document.createElement("li");
    item.textContent = event.data;
    document.querySelector("#messages").append(item);
  };
  document.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    socket.send(document.querySelector("#message").value);
  });
</script>
"""


def test_own_page(windows: Windows, tmp_path: Path) -> None:
    """Somebody's own page, with its script inside, talks to the WebSocket port as the demo did."""
    folder = tmp_path / "page"
    folder.mkdir()
    ws, web = free_ports()
    (folder / "index.html").write_text(PAGE.replace("PORT", str(ws)))
    with running("--page", str(folder), ports=(ws, web)) as daemon:
        one, two = windows.open(site(daemon)), windows.open(site(daemon))
        for page in (one, two):
            expect(page.locator("#status")).to_have_text("connected")
            expect(page.locator("li")).to_have_text([GREETING])
        for number, page in enumerate((one, two)):
            page.locator("#message").fill(f"from {number}")
            page.get_by_role("button").click()
            expect(two.locator("li")).to_have_count(2 + number)
        for page in (one, two):
            expect(page.locator("li")).to_have_text([GREETING, "from 0", "from 1"])
        daemon.stop()
        for page in (one, two):
            expect(page.locator("#status")).to_have_text("closed 1001 true")
