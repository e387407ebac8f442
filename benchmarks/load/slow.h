/* A member that reads little: some bytes a second, into a small buffer, and looks at none of them. */
#ifndef LOAD_SLOW_H
#define LOAD_SLOW_H

#include "load.h"

#define SLOW_BUFFER 4096
#define SLOW_TURN_MS 10

struct slow {
    struct connection *connection;
    int64_t from_ns;
    uint64_t taken, allowed;
    bool is_closed;
};

/* From now on a member that has joined reads at its own pace. */
void slow_begin(struct load *load, struct slow *slow, struct connection *c);

/* Read as much as the time since allows. */
void slow_read(struct load *load, struct slow *slow);

#endif
