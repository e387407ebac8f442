"""chatd: a chat and broadcast daemon.

What is where:

- `core`     the rules: sessions, rooms, the hub, fan-out, outboxes. No I/O, no reactor.
- `wire`     bytes to commands and events, one module a dialect; RFC 6455 frames.
- `doors`    Twisted: the WebSocket listener, the web site, the browser client.
- `brokers`  what numbers, stores and carries messages: SQLite, its file, its threads.
- `service`  puts them together, starts and stops them; `listeners` are its ports, `secret` its key.
- `tap`      from options to the service; `cli`, `__main__` and `chatd.tac` start it that way.
- `commands` what is done to a database beside the daemon: backup, verify.
- `settings` what can be told; `config` and `values` read it. `errors` are all that a peer can see.
- `process`  what is done to the process before it starts; `logs` is the log as JSON.

The path of a message:

    bytes -> doors.guards (dataReceived) -> doors.websocket (received) -> wire.* (decode)
          -> core.session (in order, within its limits) -> core.actions, core.chat (may it be said)
          -> brokers.sqlite (publish) -> brokers.commits (numbered) -> brokers.store (one commit)
          -> core.hub (deliver) -> core.fanout -> wire.* (encode, once a dialect)
          -> core.outbox x N -> doors.link (write) -> bytes

Who is behind is not written to: core.feed brings them to the head of their rooms from brokers.store
(page), at their own pace. On the web port bytes come in at doors.channel; a WebSocket is handed
over (`hand_over`).
"""

__version__ = "0.1.0"
