"""What chatd was told: settings from flags, environment and file, put together and checked once.

A flag wins over the environment, which wins over the file, which wins over the default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatd.errors import ConfigError
from chatd.settings import TABLE, Config, Setting

__all__ = ["TABLE", "Config", "Setting", "load"]


def load(
    flags: Mapping[str, object], environment: Mapping[str, str], file: str | None = None
) -> Config:
    """Put together what was said in three places.

    Args:
        flags: field name to what the command line said, only for what it did say.
        environment: of the process.
        file: path of a TOML file; None: `CHATD_CONFIG`, or no file.

    Raises:
        ConfigError: an unreadable file, an unknown key or a value out of its rule; it names
            the file or variable and the key.
    """
    file = file if file is not None else environment.get("CHATD_CONFIG") or None
    said: dict[str, tuple[str, object]] = {}
    if file is not None:
        said.update(_from_file(Path(file)))
    said.update(_from_environment(environment))
    for row in TABLE:
        if row.name in flags:
            said[row.name] = (f"--{row.flag}", flags[row.name])
    chosen: dict[str, Any] = {}
    for row in TABLE:
        if row.name in said:
            where, value = said[row.name]
            try:
                chosen[row.name] = row.rule(value)
            except ValueError as error:
                shown = " ".join(value) if isinstance(value, tuple) else value
                raise ConfigError(f"{where}: must be {error}, not {shown!r}") from None
    config = Config(**chosen, said={name: where for name, (where, _) in said.items()})
    if not config.ws and not config.web:
        raise ConfigError("nothing to listen on: give --ws or --web an endpoint")
    for name in ("pong_timeout_s", "sdk_pong_timeout_s"):
        if getattr(config, name) >= config.ping_interval_s:
            least, most = _figure(config, name), _figure(config, "ping_interval_s")
            raise ConfigError(f"{least} must be less than {most}")
    return config


def _figure(config: Config, name: str) -> str:
    default = "" if name in config.said else ", the default"
    return f"{config.where(name)} ({getattr(config, name)}{default})"


def _from_file(path: Path) -> dict[str, tuple[str, object]]:
    try:
        with path.open("rb") as file:
            sections = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # also not UTF-8, endless numbers, deep lists
        raise ConfigError(f"{str(path)!r} is not TOML: {error}") from None
    rows = {(row.section, row.key): row for row in TABLE}
    said: dict[str, tuple[str, object]] = {}
    for section, keys in sections.items():
        if not isinstance(keys, dict):
            raise ConfigError(f"{str(path)!r}: unknown key {section!r} outside a section")
        if section not in {row.section for row in TABLE}:
            raise ConfigError(f"{str(path)!r}: unknown section {section!r}")
        for key, value in keys.items():
            row = rows.get((section, key))
            if row is None:
                raise ConfigError(f"{str(path)!r}: unknown key {f'{section}.{key}'!r}")
            said[row.name] = (f"{str(path)!r}: {section}.{key}", value)
    return said


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, object]]:
    rows = {row.variable: row for row in TABLE}
    ours = tuple({f"CHATD_{row.section}_".upper() for row in TABLE})
    said: dict[str, tuple[str, object]] = {}
    for variable, value in environment.items():
        if variable in rows:
            said[rows[variable].name] = (variable, value)
        # Other CHATD_ names belong to somebody else: Kubernetes makes CHATD_SERVICE_HOST.
        elif variable.startswith(ours):
            raise ConfigError(f"unknown variable {variable!r}")
    return said
