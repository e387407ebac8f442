"""chatd as it is measured: which checkout, told what, with what stored."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.results import Plain
from benchmarks.servers import ServerError, environment

__all__ = ["ROOT", "Checkout", "certificate", "known_settings", "parse", "stored", "variables"]

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "benchmarks" / "chatd.toml"

_KEYS = """
import json
from chatd.settings import TABLE
print(json.dumps([f"{row.section}.{row.key}" for row in TABLE]))
"""
_FILL_S = 300


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with a chatd in it.

    Args:
        label: for people; no path.
        path: of the folder.
    """

    label: str
    path: Path

    @property
    def environment(self) -> dict[str, str]:
        """In which Python finds this chatd before any other."""
        return environment({"PYTHONPATH": str(self.path)})

    def version(self) -> str:
        """The version, the commit, and whether anything is changed since."""
        said = _python(self, ["-c", "import chatd; print(chatd.__version__)"])
        found = [said.strip()]
        for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "chatd"]):
            done = subprocess.run(
                ["git", "-C", str(self.path), *words], capture_output=True, text=True, timeout=20
            )
            found.append(done.stdout.strip() if done.returncode == 0 else "")
        version, commit, changed = found
        return " ".join(filter(None, (version, commit, "changed" if changed else "")))


def parse(words: Iterable[str]) -> list[Checkout]:
    """Read `--chatd PATH` and `--chatd LABEL=PATH`, each with a label of its own.

    Raises:
        ValueError: there is no chatd in the folder.
    """
    found: list[Checkout] = []
    for word in words:
        label, _, path = word.rpartition("=")
        folder = Path(path).resolve()
        if not (folder / "chatd" / "__init__.py").is_file():
            raise ValueError(f"there is no chatd in {path!r}")
        # It becomes a part of the names of files and entrants.
        label = re.sub(r"[^\w.-]+", "-", label or folder.name)
        taken = [each.label for each in found]
        number = 2
        unique = label
        while unique in taken:
            unique, number = f"{label}-{number}", number + 1
        found.append(Checkout(unique, folder))
    return found


@cache
def known_settings(checkout: Checkout) -> frozenset[str]:
    """The keys that a checkout's file of settings may have, as `section.key`."""
    return frozenset(json.loads(_python(checkout, ["-c", _KEYS])))


def variables(settings: Mapping[str, Plain]) -> dict[str, str]:
    """Settings as variables of the environment: `{"plain.echo": False}` as `CHATD_PLAIN_ECHO`."""
    return {
        f"CHATD_{key.replace('.', '_').upper()}": (
            str(value).lower() if isinstance(value, bool) else str(value)
        )
        for key, value in settings.items()
    }


def command(ports: Sequence[int], database: str, tls: str = "") -> list[str]:
    """How chatd is started.

    Args:
        ports: of the WebSocket server and of the web site.
        database: the path, or `:memory:`.
        tls: a PEM file with key and certificate; empty: no TLS.
    """
    here = "interface=127.0.0.1"
    kind, keys = ("ssl", f":privateKey={tls}:certKey={tls}") if tls else ("tcp", "")
    ws, web = ports
    endpoints = ["--ws", f"{kind}:{ws}{keys}:{here}", "--web", f"tcp:{web}:{here}"]
    words = [sys.executable, "-m", "chatd", "serve", "--config", str(CONFIG)]
    return [*words, *endpoints, "--database", database]


def stored(checkout: Checkout, folder: Path, messages: int, room: str) -> Path:
    """A database in which a room has some messages, made by the checkout's own code, once.

    Args:
        checkout: whose schema it has.
        folder: in which it is kept for the next call.
        messages: how many.
        room: its name.

    Raises:
        ServerError: it could not be made.
    """
    path = folder / f"stored-{checkout.label}-{messages}.sqlite3"
    if not path.exists():
        making = path.with_suffix(".making")
        script = str(ROOT / "benchmarks" / "fill.py")
        _python(checkout, ["-P", script, str(making), room, str(messages)])
        making.rename(path)
    return path


def copy(database: Path, to: Path) -> None:
    """Copy a database nobody uses."""
    shutil.copyfile(database, to)
    to.chmod(0o600)


def _python(checkout: Checkout, arguments: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=checkout.path.parent,
            env=checkout.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FILL_S,
        )
    except subprocess.TimeoutExpired:
        raise ServerError(f"{checkout.label}: {arguments[0]} was not done in time") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ServerError(f"{checkout.label}: {last}")
    return done.stdout


def certificate(folder: Path) -> Path:
    """A PEM file with a key and a certificate for 127.0.0.1 that nobody signed but itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    pem = folder / "tls.pem"
    if pem.exists():
        return pem
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(secret + signed.public_bytes(encoding))
    return pem
