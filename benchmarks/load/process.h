/* What the server under test has used, read from /proc. */
#ifndef LOAD_PROCESS_H
#define LOAD_PROCESS_H

#include <stdint.h>

#define MOST_PIDS 64

struct usage {
    double cpu_s;
    uint64_t rss_kib;
};

/* Sum over some processes; one that is gone counts nothing. */
struct usage process_usage(const int *pids, int count);

#endif
