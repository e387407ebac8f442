"""`chatd.doors.login`: what is asked at /login, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from chatd.core.accounts import Accounts
from chatd.core.attempts import Attempts
from chatd.core.codes import Codes
from chatd.core.signing_in import SigningIn
from chatd.doors.assets import load, web_root
from chatd.doors.login import Login
from chatd.tokens import Signer
from tests.support.doors import Client, World
from tests.support.held_records import HeldRecords
from tests.support.http import HOST, body, request
from tests.support.logs import LogCase

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
ANN = {"user": "Ann", "password": "right one"}


class LoginCase(LogCase):
    """A site with /login, where passwords are kept as they are."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self, *, has_accounts: bool = True, strict: bool = True) -> None:
        """Make the site, with one account."""
        self.world = World(strict=strict)
        self.signer = Signer(bytes(32))
        self.records = HeldRecords()
        self.ids = iter(range(100))
        self.waiting: list[Callable[[], None]] | None = None
        accounts = Accounts(
            self.records, new_id=lambda: f"{next(self.ids):016x}", changed=lambda *_: None
        )
        accounts.add("Ann", "right one", is_moderator=False, done=lambda outcome: None)
        seconds = self.world.clock.seconds
        signing_in = SigningIn(
            accounts,
            Codes(self.records, lambda: 0),
            issuer=self.signer,
            passwords=self.compare,
            by_address=Attempts(5, 60, most=100, seconds=seconds),
            by_user=Attempts(10, 60, most=100, seconds=seconds),
            ttl_s=100,
            now_s=seconds,
            new_id=lambda: f"{next(self.ids):016x}",
            redeemed=lambda user, nick: None,
        )
        page = load(web_root(), own=True)
        self.login = Login(
            page.assets[b"/login"].raw.decode(),
            signing_in,
            has_accounts=has_accounts,
            public_url="https://chat.example",
            origin=self.world.admission.origin,
        )
        self.world.site._routes[b"/login"] = self.login  # type: ignore[index]

    def compare(
        self, password: str, kept: str | None, done: Callable[[bool | Exception], None]
    ) -> None:
        """Compare at once, or when `waiting` is called."""
        if self.waiting is None:
            done(password == kept)
        else:
            self.waiting.append(lambda: done(password == kept))

    def get(self, method: str = "GET", path: str = "/login") -> Client:
        """Ask for the page."""
        client = self.world.browse()
        client.send(request(path, method=method))
        return client

    def post(self, said: object, *lines: str, host: str = "127.0.0.1") -> Client:
        """Post JSON, or text as it is; the kind is JSON unless the lines say it."""
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        kind = () if any(line.lower().startswith("content-type") for line in lines) else (JSON,)
        client = self.world.browse(host)
        length = f"Content-Length: {len(content)}"
        client.send(request("/login", HOST, length, *kind, *lines, method="POST") + content)
        return client

    def form(self, *lines: str, **fields: str) -> Client:
        """Post a form."""
        return self.post(urlencode(fields).encode(), FORM, *lines)

    def answer(self, client: Client, status: int = 200) -> Any:
        """The JSON that was answered with this status."""
        self.assertEqual(client.status, status, client.head)
        self.assertIn("Content-Type: application/json", client.head)
        self.assertIn("Cache-Control: no-store", client.head)
        return json.loads(body(client))

    def page(self, client: Client, status: int = 200) -> str:
        """The page that was answered with this status."""
        self.assertEqual(client.status, status, client.head)
        self.assertIn("Content-Type: text/html; charset=utf-8", client.head)
        self.assertIn("Cache-Control: no-store", client.head)
        return body(client).decode()


class PageTests(LoginCase):
    def test_page(self) -> None:
        """The page has the form, no error and nobody's token; every mark is filled in."""
        page = self.page(self.get())
        self.assertNotIn("{{", page)
        self.assertIn('<form id="form" method="post" action="login" >', page)
        self.assertIn('<p id="error" class="error" hidden></p>', page)
        self.assertRegex(page, r'<section id="done"[^>]* hidden>')
        self.assertRegex(page, r'<p id="none"[^>]* hidden>')

    def test_policy(self) -> None:
        """It has the strict policy, also where the site's page is somebody else's."""
        for strict in (True, False):
            self.begin(strict=strict)
            for client in (self.get(), self.form(**ANN)):
                self.assertIn("require-trusted-types-for 'script'", client.head)
            self.assertEqual("trusted-types" in self.get(path="/").head, strict)

    def test_no_accounts(self) -> None:
        """Without accounts there is no form, and no signing in by name, but by code."""
        self.begin(has_accounts=False)
        page = self.page(self.get())
        self.assertIn('<form id="form" method="post" action="login" hidden>', page)
        self.assertNotRegex(page, r'<p id="none"[^>]* hidden>')
        self.assertIn("no accounts", self.answer(self.post(ANN), 404)["error"])
        code = self.signer.code("Mo", nonce="n", now_s=0, ttl_s=60)
        self.assertEqual(self.answer(self.post({"code": code}))["nick"], "Mo")

    def test_methods(self) -> None:
        """HEAD has no body, and other methods are refused."""
        client = self.get("HEAD")
        self.assertEqual((client.status, body(client)), (200, b""))
        client = self.get("DELETE")
        self.assertEqual(client.status, 405)
        self.assertIn("Allow: GET, HEAD, POST", client.head)


class JsonTests(LoginCase):
    def test_signed_in(self) -> None:
        """A name and its password are worth a token, how long it is good, and who it is."""
        told = self.answer(self.post(ANN))
        self.assertEqual(set(told), {"token", "expires_in", "user", "nick"})
        self.assertEqual((told["expires_in"], told["user"], told["nick"]), (100, "ann", "Ann"))
        self.assertEqual(told["token"].count("."), 2)

    def test_wrong(self) -> None:
        """A wrong password and a name that is none get the same answer, which is logged."""
        answers = [
            self.post({"user": user, "password": "wrong one"}) for user in ("ann", "nobody", "a b")
        ]
        self.assertEqual(len({each.transport.taken for each in answers}), 1)
        self.assertEqual(self.answer(answers[0], 401), {"error": "Name or password is wrong."})
        self.assertIn("401 '/login'", self.lines[-1])
        self.assertNotIn("wrong one", "".join(self.lines))

    def test_codes(self) -> None:
        """A code is good once; what is wrong with another is said."""
        code = self.signer.code("Mo", nonce="n", now_s=0, ttl_s=60)
        self.assertEqual(self.answer(self.post({"code": code}))["nick"], "Mo")
        self.assertIn("already", self.answer(self.post({"code": code}), 401)["error"])
        self.assertIn("no link", self.answer(self.post({"code": code + "x"}), 401)["error"])
        old = self.signer.code("", nonce="m", now_s=-60, ttl_s=60)
        self.assertIn("too old", self.answer(self.post({"code": old}), 401)["error"])

    def test_no_sense(self) -> None:
        """What is no JSON object with the two texts is refused."""
        for said in (b"", b"{", b"[]", b'"x"', {}, {"user": "ann"}, {**ANN, "password": 1}):
            self.assertIn("Send user", self.answer(self.post(said), 400)["error"])
        self.answer(self.post(b'{"user":"a","user":"b","password":"c"}'), 400)
        self.answer(self.post(b"[" * 5000), 400)

    def test_other_kinds(self) -> None:
        """Another type of content is refused, whatever is in it."""
        for kind in ("text/plain", "multipart/form-data; boundary=x", ""):
            client = self.post(ANN, f"Content-Type: {kind}")
            self.answer(client, 415)
        self.answer(self.post(ANN, "Content-Type: Application/JSON; charset=utf-8"))

    def test_large(self) -> None:
        """What is too large is refused, whatever is in it."""
        self.answer(self.post({**ANN, "more": "x" * 8192}), 413)
        self.assertEqual(self.post({**ANN, "more": "x" * 70_000}).status, 413)

    def test_too_often(self) -> None:
        """The sixth wrong one of an address is told when to come again; an IPv6 /64 is one."""
        for number in range(1, 6):
            self.answer(self.post({"user": "b", "password": "x"}, host=f"2001:db8::{number}"), 401)
        client = self.post(ANN, host="2001:db8::6")
        self.assertIn("Try again in 12 seconds", self.answer(client, 429)["error"])
        self.assertIn("HTTP/1.1 429 Too Many Requests", client.head)
        self.assertIn("Retry-After: 12", client.head)
        self.answer(self.post(ANN, host="2001:db8:0:1::6"))
        self.answer(self.post(ANN))

    def test_busy(self) -> None:
        """When too many wait, the next one is told so; those who waited are answered."""
        self.waiting = []
        clients = [self.post({"user": f"u{n}", "password": "x"}) for n in range(32)]
        client = self.post(ANN)
        self.answer(client, 503)
        self.assertIn("Retry-After: 2", client.head)
        for call in self.waiting:
            call()
        for client in clients:
            self.answer(client, 401)

    def test_gone(self) -> None:
        """Whoever hangs up while they wait is forgotten."""
        self.waiting = []
        for said in (ANN, {**ANN, "password": "x"}):
            self.post(said).transport.abortConnection()
        for call in self.waiting:
            call()
        self.assertEqual(self.flushLoggedErrors(), [])


class OriginTests(LoginCase):
    def test_same(self) -> None:
        """Our own page and programs may sign in; another page may not, whatever it may else."""
        for lines in (
            (),
            ("Origin: http://localhost:1920",),
            ("Origin: http://localhost:1920", "Sec-Fetch-Site: same-origin"),
            ("Sec-Fetch-Site: none",),
        ):
            self.assertEqual(self.form(*lines, **ANN).status, 200, lines)
        for lines in (
            ("Origin: http://localhost:1919",),
            ("Origin: http://localhost:1920", "Sec-Fetch-Site: same-site"),
            ("Sec-Fetch-Site: cross-site",),
        ):
            self.assertEqual(self.form(*lines, **ANN).status, 403, lines)
            self.assertEqual(self.post(ANN, *lines).status, 403, lines)


class FormTests(LoginCase):
    def test_signed_in(self) -> None:
        """The page shows who is signed in and the token, and no form."""
        page = self.page(self.form(**ANN))
        self.assertRegex(page, r"readonly[^>]*>[\w-]+\.[\w-]+\.[\w-]+</textarea>")
        self.assertIn('<span id="nick">Ann</span>', page)
        self.assertIn('<form id="form" method="post" action="login" hidden>', page)
        self.assertNotRegex(page, r'<section id="done"[^>]* hidden>')

    def test_wrong(self) -> None:
        """The page says what is wrong and keeps the name, not the password."""
        page = self.page(self.form(user="Ann", password="wrong one"), 401)
        self.assertIn('<p id="error" class="error" >Name or password is wrong.</p>', page)
        self.assertIn('value="Ann"', page)
        self.assertNotIn("wrong one", page)

    def test_hostile(self) -> None:
        """A name is shown as it is typed, and neither obeyed nor taken for a mark."""
        for name in ('"><script>alert(1)</script>', "{{token}} {{error}}", "<b>&amp;"):
            page = self.page(self.form(user=name, password="x"), 401)
            self.assertNotIn("<script>alert", page)
            self.assertNotIn("<b>", page)
        self.assertIn(
            "{{token}} {{error}}",
            self.page(self.form(user="{{token}} {{error}}", password="x"), 401),
        )
        self.assertLess(len(self.page(self.form(user="x" * 5000, password="x"), 401)), 6000)

    def test_code(self) -> None:
        """Without script a code can be typed, with spaces around it."""
        code = self.signer.code("Mo", nonce="n", now_s=0, ttl_s=60)
        self.assertIn('<span id="nick">Mo</span>', self.page(self.form(code=f" {code}\n")))
        self.assertIn("already", self.page(self.form(code=code), 401))

    def test_no_sense(self) -> None:
        """What is no form is refused with the page."""
        for content in (b"", b"user=ann", b"\xff=1", b"&".join([b"a=b"] * 20), b"user=%ff&x="):
            self.assertIn("Send user", self.page(self.post(content, FORM), 400))
