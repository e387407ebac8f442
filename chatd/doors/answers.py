"""What a refused request is told, on either port: by status, the phrase and a sentence."""

from __future__ import annotations

__all__ = ["ANSWERS", "MORE_HEADERS"]

ANSWERS = {
    400: ("Bad Request", "this is no request that chatd understands"),
    403: ("Forbidden", "this page, name, door or address is not allowed; chatd's log says why"),
    404: ("Not Found", "there is nothing here"),
    405: ("Method Not Allowed", "this can only be got"),
    413: ("Content Too Large", "the body is too large"),
    426: ("Upgrade Required", "this is a WebSocket; connect to it with ws://"),
    431: ("Request Header Fields Too Large", "the headers are too large"),
    500: ("Internal Server Error", "internal error"),
    503: ("Service Unavailable", "too many connections, try again later"),
    505: ("HTTP Version Not Supported", "HTTP/1.1, please"),
}

MORE_HEADERS = {
    405: [("Allow", "GET")],
    426: [("Upgrade", "websocket")],
    503: [("Retry-After", "10")],
}
"""What HTTP wants said along with some of them."""
