/* When publishers speak: so many messages under way (closed loop), or so many a second (open loop). */
#ifndef LOAD_PUBLISHING_H
#define LOAD_PUBLISHING_H

#include "load.h"

/* Choose who publishes, spread over the members of each room; `members` are the first connections. */
void publishing_open(struct load *load, uint32_t members);

/* How many messages of each publisher are under way in the closed loop: its share, at least 1. */
uint32_t publishing_quota(const struct options *options);

/* Begin; a rate of 0 is the closed loop. At most `most` messages, 0: until it is stopped. */
void publishing_start(struct load *load, double rate, uint64_t most);

/* Say no more. */
void publishing_stop(struct load *load);

/* Say what is due, each publisher all of it in one write. */
void publishing_turn(struct load *load);

#endif
