"""The browser client, as a browser gets it: through a real `twisted.web` channel."""

from __future__ import annotations

import gzip
import importlib
import os
import sys
import tempfile
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

import chatd
from chatd.doors.assets import (
    MAX_BYTES,
    MAX_FILES,
    Page,
    PageResource,
    _digest,
    load,
    web_root,
)
from chatd.errors import ConfigError

# Not imported as usual: it brings no types.
brotli = importlib.import_module("brotli")

# Long and dull enough to be worth compressing.
SCRIPT = b"export const answer = 42; // and so on\n" * 40
INDEX = b'<!doctype html><script type="module" src="v/{{v}}/js/main.js"></script>\n'
FILES = {"index.html": INDEX, "js/main.js": SCRIPT, "img/tiny.svg": b"<svg/>"}


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


def ask(page: Page, path: bytes, *headers: bytes, method: bytes = b"GET") -> Answer:
    """Send one request to a site that serves a page, over a connection of its own."""
    site = Site(PageResource(page), timeout=None, reactor=Clock())
    channel = site.buildProtocol(None)
    transport = StringTransport()
    channel.makeConnection(transport)
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: here", b"Connection: close", *headers]
    channel.dataReceived(b"\r\n".join(lines) + b"\r\n\r\n")
    head, _, body = transport.value().partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    pairs = (field.split(b": ", 1) for field in fields)
    return Answer(int(status.split()[1]), {name.lower(): value for name, value in pairs}, body)


class FolderCase(SynchronousTestCase):
    """A test with a folder to put a page into."""

    def setUp(self) -> None:
        # One level down, so that a test may put something outside of the folder.
        outside = tempfile.TemporaryDirectory()
        self.addCleanup(outside.cleanup)
        self.folder = Path(outside.name, "page")
        self.folder.mkdir()

    def put(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def own(self) -> Page:
        self.put(FILES)
        return load(self.folder, own=True)

    def theirs(self) -> Page:
        self.put(FILES)
        return load(self.folder, own=False)

    def refused(self) -> str:
        """Load the folder, which must fail, and give the words."""
        with self.assertRaises(ConfigError) as caught:
            load(self.folder, own=False)
        words = str(caught.exception)
        self.assertNotIn("\n", words)
        return words


class OwnPageTests(FolderCase):
    """Our page: one fresh index, and all else for ever under the digest."""

    def test_root_is_the_index_with_the_digest(self) -> None:
        """`/` is index.html, and every mark in it names the digest."""
        page = self.own()
        answer = ask(page, b"/")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, INDEX.replace(b"{{v}}", page.digest.encode()))
        self.assertEqual(answer.headers[b"content-type"], b"text/html; charset=utf-8")
        self.assertTrue(page.own)

    def test_page_to_sign_in(self) -> None:
        """login.html is a page like the index, at /login; for somebody's page it is a file."""
        self.put({"login.html": INDEX})
        page = self.own()
        answer = ask(page, b"/login")
        self.assertEqual(answer.body, INDEX.replace(b"{{v}}", page.digest.encode()))
        self.assertEqual(answer.headers[b"cache-control"], b"no-cache")
        self.assertEqual(ask(page, f"/v/{page.digest}/login.html".encode()).status, 404)
        self.assertEqual(ask(self.theirs(), b"/login").status, 404)
        self.assertEqual(ask(self.theirs(), b"/login.html").body, INDEX)

    def test_root_is_asked_for_again_each_time(self) -> None:
        """The index may be kept, but not used without asking."""
        answer = ask(self.own(), b"/")
        self.assertEqual(answer.headers[b"cache-control"], b"no-cache")
        self.assertIn(b"etag", answer.headers)

    def test_files_below_the_digest_are_kept_for_ever(self) -> None:
        """A file below `/v/<digest>/` is immutable."""
        page = self.own()
        answer = ask(page, b"/v/%s/js/main.js" % page.digest.encode())
        self.assertEqual((answer.status, answer.body), (200, SCRIPT))
        self.assertEqual(answer.headers[b"content-type"], b"text/javascript; charset=utf-8")
        self.assertEqual(answer.headers[b"cache-control"], b"public, max-age=31536000, immutable")

    def test_nothing_is_found_outside_the_digest(self) -> None:
        """A bare name, another digest or another name is 404, and that is not kept."""
        page = self.own()
        digest = page.digest.encode()
        for path in (
            b"/js/main.js",
            b"/index.html",
            b"/v/" + digest,
            b"/v/%s/" % digest,
            b"/v/%s/index.html" % digest,
            b"/v/%s/js/none.js" % digest,
            b"/v/000000000000/js/main.js",
        ):
            answer = ask(page, path)
            self.assertEqual(answer.status, 404, path)
            self.assertEqual(answer.headers[b"cache-control"], b"no-store")
            self.assertEqual(answer.headers[b"content-type"], b"text/plain; charset=utf-8")

    def test_digest_follows_names_and_contents(self) -> None:
        """The digest is the same for the same folder and another after any change."""
        first = self.own().digest
        self.assertRegex(first, "^[0-9a-f]{8,}$")
        self.assertEqual(load(self.folder, own=True).digest, first)
        (self.folder / "js/main.js").rename(self.folder / "js/other.js")
        renamed = load(self.folder, own=True).digest
        (self.folder / "js/other.js").write_bytes(SCRIPT + b"\n")
        self.assertEqual(len({first, renamed, load(self.folder, own=True).digest}), 3)

    def test_digest_does_not_follow_the_order_of_the_disk(self) -> None:
        """Two copies have the same digest, in whatever order a disk lists their files."""
        self.assertEqual(_digest(FILES), _digest(dict(reversed(FILES.items()))))

    def test_query_is_of_no_interest(self) -> None:
        """What follows a question mark changes nothing."""
        self.assertEqual(ask(self.own(), b"/?room=%2e%2e/..").status, 200)

    def test_real_page_loads(self) -> None:
        """The page in this repository is found and served."""
        self.assertEqual(ask(load(web_root(), own=True), b"/").status, 200)


class TheirPageTests(FolderCase):
    """Somebody's folder: served as it lies there."""

    def test_files_are_served_by_their_names(self) -> None:
        """A file is at its own name, unchanged, and asked for again each time."""
        page = self.theirs()
        self.assertFalse(page.own)
        for path, content in ((b"/", INDEX), (b"/index.html", INDEX), (b"/js/main.js", SCRIPT)):
            answer = ask(page, path)
            self.assertEqual((answer.status, answer.body), (200, content))
            self.assertEqual(answer.headers[b"cache-control"], b"no-cache")
            self.assertIn(b"etag", answer.headers)

    def test_folder_shows_its_index(self) -> None:
        """`/dir/` is dir/index.html; a folder without one is 404, as is `/dir`."""
        self.put({"help/index.html": b"help", "help/myindex.html": b"mine"})
        page = self.theirs()
        self.assertEqual(ask(page, b"/help/").body, b"help")
        for path in (b"/help", b"/js/", b"/help/my"):
            self.assertEqual(ask(page, path).status, 404)

    def test_escapes_in_names_are_understood(self) -> None:
        """A name with spaces or letters beyond ASCII is found by its escapes."""
        self.put({"two words é.txt": b"found"})
        self.assertEqual(ask(self.theirs(), b"/two%20words%20%C3%A9.txt").body, b"found")

    def test_types_are_ours(self) -> None:
        """The type follows the ending in any case, and an unknown one is plain bytes."""
        self.put({"A.JPG": b"", "b.woff2": b"", "c.webmanifest": b"{}", "d.what": b"", "e": b""})
        page = self.theirs()
        for path, mime in (
            (b"/A.JPG", b"image/jpeg"),
            (b"/b.woff2", b"font/woff2"),
            (b"/c.webmanifest", b"application/manifest+json"),
            (b"/img/tiny.svg", b"image/svg+xml"),
            (b"/d.what", b"application/octet-stream"),
            (b"/e", b"application/octet-stream"),
        ):
            self.assertEqual(ask(page, path).headers[b"content-type"], mime)

    def test_dotfiles_are_left_out(self) -> None:
        """Nothing whose name begins with a dot is served, nor anything below it."""
        self.put({".env": b"secret", ".git/config": b"secret", "js/.hidden.js": b"secret"})
        page = self.theirs()
        for path in (b"/.env", b"/.git/config", b"/js/.hidden.js"):
            self.assertEqual(ask(page, path).status, 404)

    def test_links_out_of_the_folder_are_left_out(self) -> None:
        """A link to a file or folder outside is not followed."""
        outside = self.folder.parent / "page-outside"
        outside.mkdir()
        (outside / "secret.txt").write_bytes(b"secret")
        (self.folder / "link.txt").symlink_to(outside.resolve() / "secret.txt")
        (self.folder / "links").symlink_to(outside.resolve())
        page = self.theirs()
        for path in (b"/link.txt", b"/links/secret.txt"):
            self.assertEqual(ask(page, path).status, 404)

    def test_links_within_the_folder_are_followed(self) -> None:
        """A link to a file inside shows that file."""
        (self.folder / "copy.js").symlink_to("js/main.js")
        self.assertEqual(ask(self.theirs(), b"/copy.js").body, SCRIPT)

    def test_pipes_are_left_out(self) -> None:
        """What is not a file is passed over, so loading never waits for a writer."""
        os.mkfifo(self.folder / "pipe.txt")
        self.assertEqual(ask(self.theirs(), b"/pipe.txt").status, 404)

    def test_page_is_read_once(self) -> None:
        """A change after loading is not seen, not even the loss of the folder."""
        page = self.theirs()
        (self.folder / "index.html").unlink()
        self.assertEqual(ask(page, b"/").body, INDEX)

    def test_page_cannot_be_changed(self) -> None:
        """Page and assets are values."""
        page = self.theirs()
        with self.assertRaises(FrozenInstanceError):
            page.own = True  # type: ignore[misc]
        with self.assertRaises(FrozenInstanceError):
            page.assets[b"/"].raw = b""  # type: ignore[misc]


class SpellingTests(FolderCase):
    """No spelling of a path finds what was not read, or breaks anything."""

    def test_ways_out_are_not_found(self) -> None:
        """Every known way to spell a step upwards is 404."""
        (self.folder.parent / "secret.txt").write_bytes(b"secret")
        page = self.theirs()
        for path in (
            b"/../secret.txt",
            b"/js/../../secret.txt",
            b"/js/../index.html",
            b"/%2e%2e/secret.txt",
            b"/.%2E/secret.txt",
            b"/..%2fsecret.txt",
            b"/%2e%2e%2fsecret.txt",
            b"/%252e%252e/secret.txt",
            b"/..%5csecret.txt",
            b"/..\\secret.txt",
            b"/%c0%ae%c0%ae/secret.txt",
            b"//secret.txt",
            b"/js//main.js",
            b"/./index.html",
            b"//etc/passwd",
            b"/" + os.fsencode(self.folder.resolve()) + b"/index.html",
        ):
            self.assertEqual(ask(page, path).status, 404, path)

    def test_bad_escapes_are_not_found(self) -> None:
        """An escape that is none, a NUL or a slash in disguise is 404, never 500."""
        self.put({"50%.txt": b"half", "a%zz": b"odd"})
        page = self.theirs()
        paths = (b"/50%.txt", b"/a%zz", b"/%", b"/%4", b"/%00", b"/index.html%00", b"/js%2Fmain.js")
        for path in paths:
            self.assertEqual(ask(page, path).status, 404, path)
        self.assertEqual(ask(page, b"/50%25.txt").body, b"half")

    # The channel itself refuses what is not printable ASCII; escapes bring in the rest.
    @given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)).map(str.encode))
    @example(b"%")
    @example(b"%00")
    @example(b"%ff%FE")
    @example(b"%2e%2e%2f" * 50)
    def test_any_path_gets_an_answer(self, path: bytes) -> None:
        """Whatever bytes are asked for, the answer is 200 or 404."""
        answer = ask(SMALL, b"/" + path)
        self.assertIn(answer.status, (200, 404))
        if answer.status == 200:
            self.assertIn(answer.body, [asset.raw for asset in SMALL.assets.values()])

    @given(st.binary())
    def test_any_bytes_can_be_looked_up(self, path: bytes) -> None:
        """Even what no channel would let through is found or not, without an error."""
        asset = SMALL.find(path)
        self.assertTrue(asset is None or asset in SMALL.assets.values())


class MethodTests(FolderCase):
    """GET, HEAD and no other."""

    def test_head_is_get_without_a_body(self) -> None:
        """HEAD gives the headers of GET, the length too, and no body."""
        page = self.theirs()
        for path in (b"/js/main.js", b"/none"):
            get, head = ask(page, path), ask(page, path, method=b"HEAD")
            self.assertEqual(head.body, b"")
            self.assertEqual(head.status, get.status)
            for answer in (get, head):
                answer.headers.pop(b"date")
            self.assertEqual(head.headers, get.headers)
            self.assertEqual(head.headers[b"content-length"], b"%d" % len(get.body))

    def test_head_is_answered_without_complaint(self) -> None:
        """Twisted, which warns of a HEAD that is given a body, has nothing to say."""
        page = self.theirs()
        with capturedLogs() as events:
            ask(page, b"/js/main.js", method=b"HEAD")
        self.assertEqual([event for event in events if "HEAD" in str(event["log_format"])], [])

    def test_other_methods_are_refused(self) -> None:
        """Any other method is 405 and told what is possible."""
        page = self.theirs()
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"BREW"):
            answer = ask(page, b"/", b"Content-Length: 0", method=method)
            self.assertEqual(answer.status, 405)
            self.assertEqual(answer.headers[b"allow"], b"GET, HEAD")
            self.assertEqual(answer.headers[b"cache-control"], b"no-store")

    def test_range_is_ignored(self) -> None:
        """Whoever asks for a part gets the whole."""
        answer = ask(self.theirs(), b"/js/main.js", b"Range: bytes=0-3")
        self.assertEqual((answer.status, answer.body), (200, SCRIPT))


class CodingTests(FolderCase):
    """What is compressed, and for whom."""

    def coding(self, accept: bytes, page: Page | None = None) -> bytes | None:
        """Ask for the script with this Accept-Encoding, check the bytes, and name the coding."""
        page = self.theirs() if page is None else page
        answer = ask(page, b"/js/main.js", b"Accept-Encoding: " + accept)
        self.assertEqual(answer.headers[b"vary"], b"Accept-Encoding")
        coding = answer.headers.get(b"content-encoding")
        undo = {None: bytes, b"gzip": gzip.decompress, b"br": brotli.decompress}[coding]
        self.assertEqual(undo(answer.body), SCRIPT)
        self.assertEqual(answer.headers[b"content-length"], b"%d" % len(answer.body))
        return coding

    def test_best_accepted_coding_is_chosen(self) -> None:
        """The client's qualities decide, then size; what cannot be read is left out."""
        page = self.theirs()
        for accept, coding in (
            (b"gzip", b"gzip"),
            (b"br", b"br"),
            (b"gzip, deflate, br, zstd", b"br"),
            (b"GZIP", b"gzip"),
            (b"br;q=0.5, gzip;q=0.8", b"gzip"),
            (b"br;q=0.5, gzip;q=0.500", b"br"),
            (b"gzip;q=0", None),
            (b"gzip;q=0.000, br;q=0", None),
            (b"gzip ; x=y ; q=0.1", b"gzip"),
            (b"*", b"br"),
            (b"*, br;q=0", b"gzip"),
            (b"*;q=0", None),
            (b"*;q=0, gzip", b"gzip"),
            (b"identity", None),
            (b"identity;q=0", None),
            (b"identity, gzip;q=0.5", None),
            (b"identity;q=0.5, gzip;q=0.5", b"gzip"),
            (b"deflate", None),
            (b"", None),
            (b",,;;", None),
            (b"gzip;q=much", None),
            (b"gzip;q=2", None),
            (b"gzip;q=-1", None),
            (b"gzip;q=nan", None),
            (b"gzip;q=", None),
        ):
            self.assertEqual(self.coding(accept, page), coding, accept)

    def test_header_may_come_in_several_lines(self) -> None:
        """Two Accept-Encoding lines count as one list."""
        lines = (b"Accept-Encoding: gzip;q=0.5", b"Accept-Encoding: br;q=0.4")
        answer = ask(self.theirs(), b"/js/main.js", *lines)
        self.assertEqual(answer.headers[b"content-encoding"], b"gzip")

    def test_without_the_header_nothing_is_compressed(self) -> None:
        """A client that says nothing gets the bytes as they are, and caches are told."""
        answer = ask(self.theirs(), b"/js/main.js")
        self.assertNotIn(b"content-encoding", answer.headers)
        self.assertEqual(answer.headers[b"vary"], b"Accept-Encoding")

    def test_small_files_and_pictures_stay_as_they_are(self) -> None:
        """Below 512 bytes, or in a format that is packed already, nothing varies."""
        self.put({"small.txt": b"a" * 511, "big.txt": b"a" * 512, "photo.png": b"a" * 5000})
        page = self.theirs()
        for path in (b"/small.txt", b"/photo.png"):
            answer = ask(page, path, b"Accept-Encoding: gzip, br")
            self.assertNotIn(b"content-encoding", answer.headers)
            self.assertNotIn(b"vary", answer.headers)
        answer = ask(page, b"/big.txt", b"Accept-Encoding: gzip")
        self.assertEqual(gzip.decompress(answer.body), b"a" * 512)

    def test_text_like_formats_are_compressed(self) -> None:
        """JSON, XML, SVG and WebAssembly shrink like text."""
        self.put(
            {f"file.{kind}": b"a" * 600 for kind in ("json", "xml", "svg", "wasm", "webmanifest")}
        )
        for name, asset in self.theirs().assets.items():
            if name.startswith(b"/file."):
                self.assertIsNotNone(asset.gzip, name)

    def test_compression_that_gains_nothing_is_dropped(self) -> None:
        """Bytes that do not shrink are sent as they are."""
        noise = os.urandom(2000)
        self.put({"noise.txt": noise})
        answer = ask(self.theirs(), b"/noise.txt", b"Accept-Encoding: gzip, br")
        self.assertEqual(answer.body, noise)
        self.assertNotIn(b"vary", answer.headers)

    def test_same_file_gives_the_same_compressed_bytes(self) -> None:
        """No time stamp gets in, so all nodes agree."""
        packed = self.theirs().assets[b"/js/main.js"].gzip
        assert packed is not None
        self.assertEqual(packed[4:8], bytes(4))

    def test_brotli_is_optional(self) -> None:
        """Without the module the page is served all the same, with gzip at best."""
        present = sys.modules["brotli"]
        self.addCleanup(sys.modules.__setitem__, "brotli", present)
        # The import system takes None for "there is no such module".
        sys.modules["brotli"] = None  # type: ignore[assignment]
        self.assertEqual(self.coding(b"br, gzip"), b"gzip")


class ConditionalTests(FolderCase):
    """Asking whether what one has is still good."""

    def test_known_tag_is_not_sent_again(self) -> None:
        """The tag of an answer, in any list or form, is met with 304."""
        page = self.theirs()
        tag = ask(page, b"/js/main.js").headers[b"etag"]
        strong = tag.removeprefix(b"W/")
        for known in (tag, strong, b'"other", ' + tag, b'"a,b",W/"c",' + strong, b"*", b" * "):
            answer = ask(page, b"/js/main.js", b"If-None-Match: " + known)
            self.assertEqual((answer.status, answer.body), (304, b""), known)
            self.assertEqual(answer.headers[b"etag"], tag)
            self.assertEqual(answer.headers[b"cache-control"], b"no-cache")
            self.assertEqual(answer.headers[b"vary"], b"Accept-Encoding")
            for name in (b"content-length", b"content-type", b"transfer-encoding"):
                self.assertNotIn(name, answer.headers)

    def test_tag_in_one_of_several_lines_is_seen(self) -> None:
        """Two If-None-Match lines count as one list."""
        page = self.theirs()
        tag = ask(page, b"/").headers[b"etag"]
        answer = ask(page, b"/", b'If-None-Match: "old"', b"If-None-Match: " + tag)
        self.assertEqual(answer.status, 304)

    def test_unknown_tag_is_answered_in_full(self) -> None:
        """Another tag, one without quotes, or nonsense gets the whole file."""
        page = self.theirs()
        bare = ask(page, b"/").headers[b"etag"].removeprefix(b"W/").strip(b'"')
        for unknown in (b'"other"', b'W/"other"', bare, b'"', b"", b'"*"', b'"' + bare + b'x"'):
            answer = ask(page, b"/", b"If-None-Match: " + unknown)
            self.assertEqual((answer.status, answer.body), (200, INDEX), unknown)

    def test_head_may_be_conditional(self) -> None:
        """HEAD is met with 304 as well."""
        answer = ask(self.theirs(), b"/", b"If-None-Match: *", method=b"HEAD")
        self.assertEqual(answer.status, 304)

    def test_tags_follow_the_content(self) -> None:
        """Different contents have different tags."""
        page = self.theirs()
        tags = {ask(page, path).headers[b"etag"] for path in (b"/", b"/js/main.js")}
        self.assertEqual(len(tags), 2)

    def test_nothing_is_not_conditional(self) -> None:
        """What is not there is 404, whatever the client has."""
        self.assertEqual(ask(self.theirs(), b"/none", b"If-None-Match: *").status, 404)


class LimitTests(FolderCase):
    """A folder that cannot be served is refused at the start, in words."""

    def test_index_is_needed(self) -> None:
        """Without an index.html nothing is served."""
        self.put({"js/index.html": b""})
        self.assertIn("has no index.html", self.refused())

    def test_missing_folder_is_named(self) -> None:
        """A folder that is not there is told by its name."""
        self.folder = self.folder / "nowhere"
        self.assertIn("nowhere", self.refused())

    def test_file_is_no_folder(self) -> None:
        """A file in place of the folder is told as such."""
        self.put(FILES)
        self.folder = self.folder / "index.html"
        self.assertIn("Not a directory", self.refused())

    def test_unreadable_file_is_named(self) -> None:
        """A link that leads nowhere, or in a circle, is told by its name."""
        self.put(FILES)
        for target in ("nowhere", "broken.js"):
            link = self.folder / "broken.js"
            link.symlink_to(target)
            self.assertIn("broken.js", self.refused())
            link.unlink()

    def test_too_many_files_are_refused(self) -> None:
        """2 000 files are served and one more is not."""
        self.put({f"{number}.txt": b"" for number in range(MAX_FILES - 1)})
        self.put({"index.html": INDEX})
        self.assertEqual(len(load(self.folder, own=True).assets), MAX_FILES)
        self.put({"more.txt": b""})
        self.assertIn(f"more than {MAX_FILES} files", self.refused())

    def test_too_many_bytes_are_refused(self) -> None:
        """64 MiB are the most, and a file beyond that is not even read."""
        self.put({"index.html": INDEX})
        with open(self.folder / "film.bin", "wb") as film:
            # A hole: big, and takes no room.
            film.truncate(MAX_BYTES - len(INDEX) + 1)
        self.assertIn("64 MiB", self.refused())
        os.truncate(self.folder / "film.bin", MAX_BYTES - len(INDEX))
        self.assertEqual(
            len(load(self.folder, own=False).assets[b"/film.bin"].raw), MAX_BYTES - len(INDEX)
        )


class WebRootTests(FolderCase):
    """Where our own page lies."""

    def test_checkout_has_it_beside_the_package(self) -> None:
        """In a checkout the folder is `web` beside `chatd`, and an installed one goes first."""
        package = self.folder / "chatd"
        self.put({"web/index.html": b"checkout", "chatd/__init__.py": b""})
        self.assertEqual(web_root(package), self.folder / "web")
        self.put({"chatd/web/index.html": b"installed"})
        self.assertEqual(web_root(package), package / "web")

    def test_package_is_ours_unless_said(self) -> None:
        """Without an argument the imported package is asked."""
        package = Path(chatd.__file__).parent
        self.assertIn(web_root(), (package / "web", package.parent / "web"))

    def test_missing_page_is_told(self) -> None:
        """Without the page the operator reads which folder lacks it."""
        with self.assertRaises(ConfigError) as caught:
            web_root(self.folder / "chatd")
        self.assertIn(str(self.folder / "chatd" / "web"), str(caught.exception))


def _small() -> Page:
    """Give a page for the property tests, which may not make a folder for every example."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "index.html").write_bytes(INDEX)
        (folder / "a").write_bytes(b"a")
        return load(folder, own=False)


SMALL = _small()
