/* The measured window: its edges, turning through it, and waiting for what is still under way after it. */
#ifndef LOAD_WINDOW_H
#define LOAD_WINDOW_H

#include "load.h"

/* What had happened at one moment. */
struct edge {
    int64_t at_ns, spent_ns;
    uint64_t said, deliveries, received;
    struct usage server;
};

struct edge window_edge(const struct load *load);

/* Turn for some seconds, or until something fails. */
void window_turn(struct load *load, double seconds);

/* Wait until the first `members` connections have got everything and publishers all their answers, at most
 * --patience, and a moment more for what comes twice; then count what is missing. */
void window_drain(struct load *load, uint32_t members);

#endif
