/* What the command line asks for. */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "process.h"

#define MOST_CONNECTIONS 1000000
#define MOST_PUBLISHERS 65536
#define LEAST_SIZE 40
#define LARGEST_SIZE (1 << 20)

struct options {
    const char *scenario;
    char host[256];
    uint16_t port;
    char path[1024];
    bool tls;
    const char *dialect;
    uint32_t connections;
    uint32_t publishers;
    uint32_t in_flight;
    uint32_t size;
    uint32_t rooms;
    const char *room; /* NULL: "bench", and nothing is said of it to a server with one room */
    double seconds;
    double warmup;
    double rate;
    double patience_s;
    int pids[MOST_PIDS];
    int pid_count;
    bool deflate;
    bool subscribe;
    uint32_t slow_bytes;
    uint32_t missed;
    uint32_t requests;
    uint32_t limit;
};

/* Read the command line; a usage error is told on stderr and ends the process with status 2. */
void options_read(struct options *options, int argc, char **argv);

#endif
