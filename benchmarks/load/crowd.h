/* Many connections in one thread: dialing, reading, writing, and one turn of epoll after another. */
#ifndef LOAD_CROWD_H
#define LOAD_CROWD_H

#include "load.h"

/* Make `count` connections, none dialed yet; ends the process when it cannot be. */
void crowd_open(struct load *load, uint32_t count);

/* Dial the next connections, up to `until` of them, while fewer than 128 handshakes are under way. */
void crowd_dial(struct load *load, uint32_t until);

/* Wait for something, at most some milliseconds, and have each connection take what came. */
void crowd_turn(struct load *load, int timeout_ms);

/* Dial up to `until` and turn until all of them have joined. False: it went wrong. */
bool crowd_join(struct load *load, uint32_t until, double patience_s);

/* Turn until nothing was received for a while, at most some seconds: whoever joins has joined. */
void crowd_settle(struct load *load, double quiet_s, double most_s);

/* Drop all connections. */
void crowd_close(struct load *load);

/* For dialects: this one is in its room now. */
void crowd_joined(struct load *load, struct connection *c);

/* Send a text frame. */
void crowd_send_text(struct load *load, struct connection *c, const char *text, size_t length);

/* Send bytes that are frames already; what the socket does not take waits. */
void crowd_send(struct load *load, struct connection *c, const char *bytes, size_t length);

/* What a room is called: "bench", or "bench-3" where there is more than one. */
void room_name(const struct load *load, uint32_t room, char *name, size_t space);

/* The query that asks for a room of that name, or nothing. */
void room_in_query(const struct load *load, const struct connection *c, char *text, size_t room);

/* How many of its own messages a publisher has heard. */
uint32_t own_heard(const struct load *load, uint32_t publisher);

#endif
