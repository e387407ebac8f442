"""chatd: a chat and broadcast daemon.

What is where:

- `core`     the rules: sessions, rooms, the hub, fan-out, outboxes. No I/O, no reactor.
- `wire`     bytes to commands and events, one module a dialect; RFC 6455 frames.
- `doors`    Twisted: the WebSocket listener, the web site, `/login`, the operator's socket.
- `brokers`  what numbers, stores, finds and carries messages: SQLite, its file, its threads.
- `service`  puts them together, starts and stops them; `listeners` are its ports, `opening` its
             database at the start, `secret` the key beside that.
- `signing`  the part of it for signing in: `passwords` as they are kept, `tokens` and one-time
             codes, and the `keys` of others that tokens are checked by.
- `tap`      from options to the service; `cli`, `__main__` and `chatd.tac` start it that way.
- `commands` what is done to a database beside the daemon: backup, verify; what commands share.
- `operator` the other commands: user, token, audit, reindex; `asking` has the daemon do them, or
             this process when none runs.
- `settings` what can be told, by `rows`; `config` and `values` read it.
- `errors`   every refusal and close that a peer can see.
- `process`  what is done to the process before it starts; `logs` is the log as JSON.

The path of a message:

    bytes -> doors.guards (dataReceived) -> doors.websocket (received) -> wire.* (decode)
          -> core.session (in order, within its limits) -> core.actions, core.chat (may it be said)
          -> brokers.sqlite (publish) -> brokers.commits (numbered) -> brokers.store (one commit)
          -> core.hub (deliver) -> core.fanout -> wire.* (encode, once a dialect)
          -> core.outbox x N -> doors.link (write) -> bytes

An edit, deletion or reaction goes on from core.speech to core.changes, which looks at what it
changes. A call by name (a kick, an invite) goes to its row in core.calls, and a token to core.auth,
which asks `tokens`.

Who is behind is not written to: core.feed brings them to the head of their rooms from brokers.store
(page), at their own pace. On the web port bytes come in at doors.channel; a WebSocket is handed
over (`hand_over`).
"""

__version__ = "0.1.0"
