/* Messages that were compressed (RFC 7692), if zlib was there at build time. */
#ifndef LOAD_INFLATER_H
#define LOAD_INFLATER_H

#include <stdbool.h>
#include <stddef.h>

struct inflater;

bool inflater_is_here(void);

struct inflater *inflater_open(bool keeps_no_context);

/* Inflate one message. The result holds until the next one, of any connection; NULL: it is broken. */
const char *inflater_take(struct inflater *inflater, const char *from, size_t length, size_t *inflated);

void inflater_close(struct inflater *inflater);

#endif
