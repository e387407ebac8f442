"""Documents that are made from the code: `python -m tests.support.docs > docs/configuration.md`."""

from __future__ import annotations

import sys

from chatd.config import TABLE, Setting

_HEAD = """\
# Every setting

A setting is a key of the TOML file that `--config FILE` or `CHATD_CONFIG` names, a variable
`CHATD_SECTION_KEY`, and for some a flag. A flag wins over a variable, which wins over the file.

    # chatd.toml
    [listen]
    ws = ["tcp:1919"]
    web = ["tcp:1920"]

    [access]
    public_url = "https://chat.example"

    [limits]
    publish_per_s = 50

The same as variables, several values being separated by spaces:

    CHATD_LISTEN_WS="tcp:1919 unix:/run/chatd.sock" CHATD_LIMITS_PUBLISH_PER_S=50 twistd -n chatd

Two things are twistd's to choose, before the name: where the log goes (`twistd --logfile=FILE
chatd`; as a daemon `twistd.log`, in the foreground the terminal) and what it looks like. As JSON,
one object a line:

    twistd -n --logger=chatd.logs.json_lines chatd    (foreground: to the terminal)
    chatd serve --logger chatd.logs.json_lines        (the same)
    twistd --logger=chatd.logs.json_file chatd        (daemon: to chatd.log.json, 10 old ones kept)

An unknown key, or a value that makes no sense, ends the start with a line that names it. `_s` is in
seconds, `_bytes` in bytes.
"""


def configuration() -> str:
    """The text of docs/configuration.md."""
    lines = [_HEAD]
    for section in dict.fromkeys(row.section for row in TABLE):
        lines += [f"## [{section}]", "", "| key | default | flag | |", "|---|---|---|---|"]
        lines += [_line(row) for row in TABLE if row.section == section]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _line(row: Setting) -> str:
    default = row.default
    if isinstance(default, bool):
        shown = str(default).lower()
    elif isinstance(default, tuple):
        shown = "[" + ", ".join(f'"{each}"' for each in default) + "]"
    else:
        shown = str(default) if isinstance(default, int) else f'"{default}"'
    flag = f"`--{row.flag}{' ' + row.metavar if row.metavar else ''}`" if row.flag else ""
    return f"| `{row.key}` | `{shown}` | {flag} | {row.help} |"


if __name__ == "__main__":
    sys.stdout.write(configuration())
