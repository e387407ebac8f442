/* One connection: its handshakes, what it receives, what it sends. */
#ifndef LOAD_CONNECTION_H
#define LOAD_CONNECTION_H

#include "load.h"

/* Begin to connect. False: the system would not, and the reason was told. */
bool connection_dial(struct load *load, struct connection *c);

/* The socket is readable, writable or broken, as epoll says. */
void connection_ready(struct load *load, struct connection *c, uint32_t events);

/* Drop it without a word. */
void connection_drop(struct load *load, struct connection *c);

/* Whether everything that it was to send is with the kernel. */
static inline bool connection_is_drained(const struct connection *c)
{
    return c->out.length == 0;
}

#endif
