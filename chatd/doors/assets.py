"""The browser client, read once, served from memory.

Contract: `load` reads a whole folder; after it no file is touched. A request is one dictionary
lookup, so no spelling of a path reaches what was not read, and none fails other than with 404.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import importlib.resources
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from twisted.web.http import NOT_ALLOWED, NOT_FOUND, NOT_MODIFIED
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from chatd.errors import ConfigError

MAX_FILES = 2_000
MAX_BYTES = 64 * 1024 * 1024

_INDEX = "index.html"
_OWN_PAGES = {_INDEX: b"/", "login.html": b"/login"}
_DIGEST_MARK = b"{{v}}"
_COMPRESS_FROM_BYTES = 512
# Brotli's best effort takes seconds for a few megabytes; what is bigger gets a quick one.
_BROTLI_BEST_UP_TO_BYTES = 256 * 1024

_IMMUTABLE = b"public, max-age=31536000, immutable"
_NO_CACHE = b"no-cache"
_NO_STORE = b"no-store"

# A table of our own: what the system says differs; a Windows registry may call `.js` plain text.
_TYPES = {
    f".{ending}": mime
    for mime, endings in {
        "application/json": "json map",
        "application/manifest+json": "webmanifest",
        "application/pdf": "pdf",
        "application/wasm": "wasm",
        "application/xhtml+xml": "xhtml",
        "application/xml": "xml",
        "audio/mpeg": "mp3",
        "audio/ogg": "ogg",
        "audio/wav": "wav",
        "font/otf": "otf",
        "font/ttf": "ttf",
        "font/woff": "woff",
        "font/woff2": "woff2",
        "image/gif": "gif",
        "image/jpeg": "jpg jpeg",
        "image/png": "png",
        "image/svg+xml": "svg",
        "image/webp": "webp",
        "image/x-icon": "ico",
        "text/css": "css",
        "text/csv": "csv",
        "text/html": "html htm",
        "text/javascript": "js mjs",
        "text/markdown": "md",
        "text/plain": "txt",
        "video/mp4": "mp4",
        "video/webm": "webm",
    }.items()
    for ending in endings.split()
}
_UNKNOWN_TYPE = "application/octet-stream"
# Formats that are text, or squeeze like text, without being called so.
_COMPRESSIBLE = re.compile(r"text/|font/[ot]tf|.*(?:json|xml|wasm|x-icon)$")

# Every escape is two digits, and none is a slash in disguise.
_SOUND_PATH = re.compile(rb"(?:[^%]|%(?!2[Ff])[0-9A-Fa-f]{2})*", re.DOTALL)
# Weak comparison (RFC 9110 section 8.8.3.2): a W/ before the quote makes no difference.
_ENTITY_TAG = re.compile(rb'"([^"]*)"')
_QUALITY = re.compile(rb"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent.

    Args:
        mime: the Content-Type.
        raw: the file's bytes.
        gzip: the same compressed; None when that gains nothing.
        br: the same in Brotli; None when that gains nothing or the `brotli` module is missing.
        etag: the opaque part of the entity tag, without quotes.
    """

    mime: bytes
    raw: bytes
    gzip: bytes | None
    br: bytes | None
    etag: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A folder as it was when it was read.

    Args:
        own: whether it is chatd's own page, which the strict content security policy is made for.
        digest: names this state of the folder; short hex.
        assets: decoded request path -> what is there.
    """

    own: bool
    digest: str
    assets: Mapping[bytes, Asset]

    def find(self, path: bytes) -> Asset | None:
        """Look up what a request asks for.

        Args:
            path: as it came, not decoded, without the query.

        Returns:
            The asset, or None when there is nothing of that name.
        """
        if _SOUND_PATH.fullmatch(path) is None:
            return None
        return self.assets.get(unquote_to_bytes(path))


def web_root(package: Path | None = None) -> Path:
    """Say where our own page is.

    Args:
        package: the folder of the `chatd` package; the imported one's when None.

    Returns:
        `chatd/web` of an installed package, else `web` beside the package of a checkout.

    Raises:
        ConfigError: neither holds an index.html.
    """
    if package is None:
        package = Path(str(importlib.resources.files("chatd")))
    installed = package / "web"
    for folder in (installed, package.parent / "web"):
        if (folder / _INDEX).is_file():
            return folder
    raise ConfigError(
        f"the page is missing: no {_INDEX} in {installed}; "
        "install chatd again, or name a folder with --page"
    )


def load(folder: Path, *, own: bool) -> Page:
    """Read a folder into memory.

    Left out are names that begin with a dot, links to folders, files whose real path lies outside,
    and what is not a file at all.

    Args:
        folder: with an index.html in it.
        own: True for our page, served below `/v/<digest>/`; False for somebody's, served as it is.

    Raises:
        ConfigError: it cannot be read, holds no index.html, or is too big.
    """
    contents = dict(_read(folder))
    if _INDEX not in contents:
        raise ConfigError(
            f"the page folder {folder} has no {_INDEX}; "
            "put one there, or name another folder with --page"
        )
    digest = _digest(contents)
    assets: dict[bytes, Asset] = {}
    for name, raw in contents.items():
        path = b"/" + os.fsencode(name)
        if own and name in _OWN_PAGES:
            assets[_OWN_PAGES[name]] = _asset(
                name, raw.replace(_DIGEST_MARK, digest.encode("ascii"))
            )
        elif own:
            assets[b"/v/" + digest.encode("ascii") + path] = _asset(name, raw)
        else:
            asset = assets[path] = _asset(name, raw)
            if path.endswith(b"/index.html"):
                assets[path.removesuffix(b"index.html")] = asset
    return Page(own=own, digest=digest, assets=assets)


class PageResource(Resource):
    """A page on the web, GET and HEAD only.

    Says what a browser may keep and in which coding; security headers are the site's.
    """

    isLeaf = True

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def render(self, request: Request) -> bytes | int:
        """Answer one request; the path is taken from `request.path`, undecoded."""
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return _refuse(request, NOT_ALLOWED, b"Only GET and HEAD are possible here.\n")
        asset = self._page.find(request.path)
        if asset is None:
            return _refuse(request, NOT_FOUND, b"There is nothing here.\n")

        is_file = self._page.own and request.path not in _OWN_PAGES.values()
        keep = _IMMUTABLE if is_file else _NO_CACHE
        request.setHeader(b"cache-control", keep)
        # Weak, as it names the file in every coding.
        request.setHeader(b"etag", b'W/"%s"' % asset.etag)
        coded = {b"br": asset.br, b"gzip": asset.gzip}
        choices = {coding: body for coding, body in coded.items() if body is not None}
        if choices:
            request.setHeader(b"vary", b"Accept-Encoding")
        if _knows(_listed(request, b"if-none-match"), asset.etag):
            request.setResponseCode(NOT_MODIFIED)
            # Not by returning b"": that would add a Content-Length of 0, which is not the asset's.
            request.finish()
            return NOT_DONE_YET

        request.setHeader(b"content-type", asset.mime)
        coding = _choose(_listed(request, b"accept-encoding"), tuple(choices))
        body = asset.raw
        if coding is not None:
            request.setHeader(b"content-encoding", coding)
            body = choices[coding]
        return _body(request, body)


def _read(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Give name and content of every file that may be served; names are relative, with slashes."""
    count = total = 0
    for name, path in _walk(folder):
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                # A pipe or a device would block or never end.
                continue
            # Counted first, so that no giant is read only to be refused.
            count, total = count + 1, total + status.st_size
            if count > MAX_FILES or total > MAX_BYTES:
                raise ConfigError(
                    f"the page folder {folder} holds more than {MAX_FILES} files "
                    f"or {MAX_BYTES // 1024**2} MiB, and all of it is kept in memory; "
                    "name the folder of the page alone, and serve big files from elsewhere"
                )
            yield name, path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot read {path} for the page: {error.strerror}; make it readable or remove it"
            ) from None


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give relative name and path of all that is not hidden and really lies inside."""

    def fail(error: OSError) -> None:
        raise ConfigError(
            f"cannot read the page folder {error.filename}: {error.strerror}; "
            "name a readable folder with --page"
        ) from None

    root = Path(os.path.realpath(folder))
    for where, folders, files in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            path = Path(where, file)
            # realpath and not resolve: that one raises on links that go in a circle.
            inside = Path(os.path.realpath(path)).is_relative_to(root)
            if inside and not file.startswith("."):
                yield path.relative_to(root).as_posix(), path


def _digest(contents: Mapping[str, bytes]) -> str:
    """Name this state of a folder: the same for the same names and contents, whatever the order."""
    total = hashlib.sha256()
    for name in sorted(contents):
        # Lengths first, so that no shift of bytes between name and content gives the same sum.
        encoded, raw = os.fsencode(name), contents[name]
        total.update(b"%d %d " % (len(encoded), len(raw)) + encoded + raw)
    return total.hexdigest()[:12]


def _asset(name: str, raw: bytes) -> Asset:
    mime = _TYPES.get(Path(name).suffix.lower(), _UNKNOWN_TYPE)
    small = coded = None
    if len(raw) >= _COMPRESS_FROM_BYTES and _COMPRESSIBLE.match(mime):
        # Without the time, the same file gives the same bytes on every node.
        small = _if_smaller(gzip.compress(raw, mtime=0), raw)
        coded = _brotli(raw)
    if mime.startswith("text/"):
        mime += "; charset=utf-8"
    etag = hashlib.sha256(raw).hexdigest()[:16]
    return Asset(
        mime=mime.encode("ascii"), raw=raw, gzip=small, br=coded, etag=etag.encode("ascii")
    )


def _brotli(raw: bytes) -> bytes | None:
    try:
        brotli = importlib.import_module("brotli")
    except ImportError:
        return None
    quality = 11 if len(raw) <= _BROTLI_BEST_UP_TO_BYTES else 5
    return _if_smaller(brotli.compress(raw, quality=quality), raw)


def _if_smaller(packed: bytes, raw: bytes) -> bytes | None:
    return packed if len(packed) < len(raw) else None


def _listed(request: Request, name: bytes) -> bytes:
    """Give a header that is a list as one line, however many lines it came in."""
    return b",".join(request.requestHeaders.getRawHeaders(name, []))


def _knows(if_none_match: bytes, etag: bytes) -> bool:
    """Whether the sender of this If-None-Match has the asset already."""
    return if_none_match.strip() == b"*" or etag in _ENTITY_TAG.findall(if_none_match)


def _choose(accept_encoding: bytes, offered: tuple[bytes, ...]) -> bytes | None:
    """Pick the coding a client likes best.

    Args:
        accept_encoding: the header; what cannot be read in it is left out.
        offered: what there is, the smallest first; it wins among equals.

    Returns:
        One of `offered`, or None for the bytes as they are, sent even to one who refuses them.
    """
    wanted: dict[bytes, float] = {}
    for part in accept_encoding.split(b","):
        coding, *parameters = (piece.strip().lower() for piece in part.split(b";"))
        quality = b"1"
        for parameter in parameters:
            key, _, value = parameter.partition(b"=")
            if key.strip() == b"q":
                quality = value.strip()
        if _QUALITY.fullmatch(quality):
            wanted[coding] = float(quality)
    anything = wanted.get(b"*", 0.0)
    liking = {coding: wanted.get(coding, anything) for coding in offered}
    best = max(offered, key=liking.__getitem__, default=None)
    # The bytes as they are win only by name: whoever accepts a coding at all gets it.
    if best is None or liking[best] == 0 or liking[best] < wanted.get(b"identity", 0.0):
        return None
    return best


def _refuse(request: Request, code: int, words: bytes) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    request.setHeader(b"cache-control", _NO_STORE)
    return _body(request, words)


def _body(request: Request, body: bytes) -> bytes:
    """Give what `render` returns: nothing for HEAD, but with the length GET would have."""
    if request.method == b"HEAD":
        request.setHeader(b"content-length", b"%d" % len(body))
        return b""
    return body
