"""`/login`: where people sign in, with a page whose form works without script, or by a program.

`POST` takes JSON or what a form sends, and answers in kind: JSON, or the page with words in it.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

import orjson
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from chatd.core.signing_in import SignedIn, SigningIn, Turned, Why
from chatd.doors.channel import ChatRequest
from chatd.doors.link import host_of, peer_name
from chatd.wire.strict import JsonError, parse

__all__ = ["Login"]

_BODY_BYTES = 8192
_DEPTH = 4
_FIELDS = 10
_NAME_CHARS = 100  # of a name that is shown again

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_MARK = re.compile(r"\{\{(\w+)\}\}")

_STATUS = {
    Why.WRONG: 401,
    Why.EXPIRED: 401,
    Why.USED: 401,
    Why.TOO_OFTEN: 429,
    Why.BUSY: 503,
    Why.UNAVAILABLE: 503,
}
_PHRASES = {413: b"Content Too Large", 429: b"Too Many Requests"}  # which Twisted has not
_RETRY_S = {Why.BUSY: 2, Why.UNAVAILABLE: 10}


class _Refused(NamedTuple):
    """An answer that is no."""

    status: int
    words: str
    retry_s: int = 0


class Login(Resource):
    """The resource at `/login`.

    Args:
        page: the HTML, with marks such as `{{error}}`.
        signing_in: judges.
        has_accounts: whether there are names and passwords; one-time codes are taken always.
        public_url: the origin people use, besides that of the request itself; empty: none.
        origin: by address, who shares attempts; see `Admission.origin`.
    """

    isLeaf = True

    def __init__(
        self,
        page: str,
        signing_in: SigningIn,
        *,
        has_accounts: bool,
        public_url: str,
        origin: Callable[[str], str],
    ) -> None:
        super().__init__()
        self._page = page
        self._signing_in = signing_in
        self._has_accounts = has_accounts
        self._public_url = public_url
        self._origin = origin

    def render(self, request: ChatRequest) -> bytes | int:
        """Twisted: answer a request."""
        request.is_ours = True
        request.setHeader(b"cache-control", b"no-store")
        if request.method in (b"GET", b"HEAD"):
            request.setHeader(b"content-type", b"text/html; charset=utf-8")
            return self._shown()
        if request.method != b"POST":
            raise UnsupportedMethod([b"GET", b"HEAD", b"POST"])
        self._post(request)
        return NOT_DONE_YET

    def _post(self, request: ChatRequest) -> None:
        kind = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
        answer = _Answer(request, self._shown if kind == _FORM else None)
        if kind not in (_JSON, _FORM):
            answer.refuse(_Refused(415, "Send JSON, or a form."))
            return
        if not self._is_same_origin(request):
            answer.refuse(_Refused(403, "Sign in at this server's own page."))
            return
        body = request.content.read(_BODY_BYTES + 1)
        if len(body) > _BODY_BYTES:
            answer.refuse(_Refused(413, "This is too much."))
            return
        said = _from_json(body) if kind == _JSON else _from_form(body)
        origin = self._origin(host_of(request.channel.getPeer()))
        user, password, code = (said.get(name) for name in ("user", "password", "code"))
        if code is not None:
            self._signing_in.with_code(code, origin, answer.code_judged)
        elif user is None or password is None:
            answer.refuse(_Refused(400, "Send user and password, or code, as text."))
        elif not self._has_accounts:
            answer.refuse(_Refused(404, "This server has no accounts."))
        else:
            answer.user = user
            self._signing_in.with_password(user, password, origin, answer.judged)

    def _is_same_origin(self, request: ChatRequest) -> bool:
        """Whether no other page made the browser send it; programs say nothing of pages."""
        site = request.getHeader("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        origin, host = request.getHeader("origin"), request.getHeader("host")
        return origin is None or origin in (
            f"http://{host}",
            f"https://{host}",
            self._public_url or None,
        )

    def _shown(
        self, *, user: str = "", error: str = "", signed_in: SignedIn | None = None
    ) -> bytes:
        """The page."""
        token, nick = (signed_in.token, signed_in.nick) if signed_in else ("", "")
        is_asked = signed_in is None
        values = {
            "user": user[:_NAME_CHARS],
            "error": error,
            "error_hidden": _hidden(not error),
            "form_hidden": _hidden(not (is_asked and self._has_accounts)),
            "none_hidden": _hidden(not is_asked or self._has_accounts),
            "ask_hidden": _hidden(not is_asked),
            "done_hidden": _hidden(is_asked),
            "token": token,
            "nick": nick,
        }
        # In one go: what was put in is never looked through for marks.
        shown = _MARK.sub(lambda mark: html.escape(values[mark[1]]), self._page)
        return shown.encode(errors="replace")


def _hidden(is_hidden: bool) -> str:
    return "hidden" if is_hidden else ""


class _Answer:
    """The answer to one request, maybe later.

    Args:
        request: to be answered.
        page: makes the page of a form; None: the answer is JSON.
    """

    def __init__(self, request: ChatRequest, page: Callable[..., bytes] | None) -> None:
        self.user = ""
        self._request = request
        self._page = page
        self._is_gone = False
        request.notifyFinish().addErrback(self._gone)

    def judged(self, outcome: SignedIn | Turned) -> None:
        """A name and a password were judged."""
        self._tell(outcome, "Name or password is wrong.")

    def code_judged(self, outcome: SignedIn | Turned) -> None:
        """A one-time code was judged."""
        self._tell(outcome, "This is no link of this server.")

    def refuse(self, refused: _Refused) -> None:
        """Say no, and log it."""
        if self._is_gone:
            return
        request = self._request
        journal, who = request.channel.site.journal, peer_name(request.channel.getPeer())
        journal.refused(who, refused.status, "/login")
        if refused.retry_s:
            request.setHeader(b"retry-after", b"%d" % refused.retry_s)
        if refused.status == 401:
            request.setHeader(b"www-authenticate", b"Bearer")
        if self._page is None:
            self._send(refused.status, orjson.dumps({"error": refused.words}))
        else:
            self._send(refused.status, self._page(user=self.user, error=refused.words))

    def _tell(self, outcome: SignedIn | Turned, wrong: str) -> None:
        if isinstance(outcome, Turned):
            self.refuse(_refused(outcome, wrong))
        elif self._is_gone:
            pass
        elif self._page is None:
            told = {
                "token": outcome.token,
                "expires_in": outcome.expires_s,
                "user": outcome.user,
                "nick": outcome.nick,
            }
            self._send(200, orjson.dumps(told))
        else:
            self._send(200, self._page(signed_in=outcome))

    def _send(self, status: int, body: bytes) -> None:
        request = self._request
        kind = b"application/json" if self._page is None else b"text/html; charset=utf-8"
        request.setResponseCode(status, _PHRASES.get(status))
        request.setHeader(b"content-type", kind)
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        request.finish()

    def _gone(self, _failure: object) -> None:
        self._is_gone = True


def _refused(turned: Turned, wrong: str) -> _Refused:
    after_s = max(1, math.ceil(turned.after_s))
    words = {
        Why.WRONG: wrong,
        Why.EXPIRED: "This link is too old. Ask for another one.",
        Why.USED: "This link was used already; each is good once. Ask for another one.",
        Why.TOO_OFTEN: f"Too many tries. Try again in {after_s} second{'s' * (after_s > 1)}.",
        Why.BUSY: "Too many sign in at this moment. Try again in a few seconds.",
        Why.UNAVAILABLE: "This cannot be looked up now. Try again later.",
    }[turned.why]
    retry_s = after_s if turned.why is Why.TOO_OFTEN else _RETRY_S.get(turned.why, 0)
    return _Refused(_STATUS[turned.why], words, retry_s)


def _from_json(body: bytes) -> Mapping[str, str]:
    """The texts in a JSON object; none, when it is something else."""
    try:
        value = parse(body, _DEPTH)
    except JsonError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _from_form(body: bytes) -> Mapping[str, str]:
    """The fields of a form; none, when it is something else. An empty code is none."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return {}
    return {name: text.strip() if name == "code" else text for name, text in pairs}
