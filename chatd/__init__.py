"""chatd: a chat and broadcast daemon.

What is where:

- `core`     the rules: sessions, rooms, the hub, fan-out, outboxes. No I/O, no reactor.
- `wire`     bytes to commands and events, one module a dialect; RFC 6455 frames.
- `doors`    Twisted: the WebSocket listener, the web site, the browser client.
- `brokers`  what numbers and carries messages.
- `service`  puts them together; `tap`, `cli` and `chatd.tac` start it.

The path of a message:

    bytes -> doors.guards (dataReceived) -> doors.websocket (received) -> wire.plain (decode)
          -> core.session -> core.hub -> brokers.memory (numbered, once a turn)
          -> core.hub (deliver) -> core.fanout -> wire.plain (encode, once a dialect)
          -> core.outbox x N -> doors.link (write) -> bytes

On the web port bytes come in at doors.channel; a WebSocket is handed over (`hand_over`).
"""

__version__ = "0.1.0"
