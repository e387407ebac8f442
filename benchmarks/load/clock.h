/* The one clock of the load generator: monotonic nanoseconds. */
#ifndef LOAD_CLOCK_H
#define LOAD_CLOCK_H

#include <stdint.h>
#include <time.h>

#define SECOND_NS 1000000000LL

static inline int64_t clock_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * SECOND_NS + at.tv_nsec;
}

/* What this process has spent, user and system. */
static inline int64_t spent_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return at.tv_sec * SECOND_NS + at.tv_nsec;
}

#endif
