#include "crowd.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "connection.h"
#include "memory.h"
#include "publishing.h"

#define MOST_UNDER_WAY 128
#define EVENTS 1024
#define TIMER UINT32_MAX
#define OTHER_DESCRIPTORS 32

static void raise_descriptors(uint32_t count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < (rlim_t)count + OTHER_DESCRIPTORS) {
        fprintf(stderr, "load: %u connections need more descriptors than the %llu of `ulimit -Hn`\n", count,
            (unsigned long long)limit.rlim_cur);
        exit(2);
    }
}

static void find_address(struct load *load)
{
    char port[8];
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found;
    snprintf(port, sizeof port, "%u", load->options->port);
    int error = getaddrinfo(load->options->host, port, &wanted, &found);
    if (error != 0) {
        fprintf(stderr, "load: %s: %s\n", load->options->host, gai_strerror(error));
        exit(2);
    }
    memcpy(&load->address, found->ai_addr, found->ai_addrlen);
    load->address_length = found->ai_addrlen;
    freeaddrinfo(found);
}

void crowd_open(struct load *load, uint32_t count)
{
    raise_descriptors(count);
    find_address(load);
    load->count = count;
    load->connections = need(count * sizeof *load->connections);
    for (uint32_t i = 0; i < count; i++) {
        load->connections[i].index = i;
        load->connections[i].room = i % load->options->rooms;
        load->connections[i].publisher = UINT32_MAX;
    }
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = TIMER};
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event);
    /* Mostly never touched, so that it takes no memory. */
    load->buffer = mmap(NULL, LONGEST_FRAME + RECEIVED_AT_ONCE + 4096, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (load->epoll < 0 || load->timer < 0 || load->buffer == MAP_FAILED) {
        perror("load");
        exit(1);
    }
    load->mask = 0x9e3779b9u ^ (uint32_t)clock_ns();
    if (load->mask == 0)
        load->mask = 1;
}

void crowd_dial(struct load *load, uint32_t until)
{
    while (load->dialed < until && load->under_way < MOST_UNDER_WAY) {
        load->under_way++;
        if (!connection_dial(load, &load->connections[load->dialed++]))
            return;
    }
}

void crowd_turn(struct load *load, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(load->epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 != TIMER)
            connection_ready(load, &load->connections[events[i].data.u32], events[i].events);
        else {
            uint64_t times;
            if (read(load->timer, &times, sizeof times) < 0)
                continue;
        }
    }
    if (load->is_publishing)
        publishing_turn(load);
}

bool crowd_join(struct load *load, uint32_t until, double patience_s)
{
    int64_t end = clock_ns() + (int64_t)(patience_s * SECOND_NS);
    while (load->joined < until) {
        crowd_dial(load, until);
        crowd_turn(load, 100);
        if (load->why[0] != 0)
            return false;
        if (clock_ns() > end) {
            load_fail(load, "only %u of %u connections had joined within %g s", load->joined, until, patience_s);
            return false;
        }
    }
    return true;
}

void crowd_settle(struct load *load, double quiet_s, double most_s)
{
    int64_t last = clock_ns(), end = last + (int64_t)(most_s * SECOND_NS);
    uint64_t received = load->received;
    for (int64_t now = last; now < end && now - last < (int64_t)(quiet_s * SECOND_NS); now = clock_ns()) {
        crowd_turn(load, 10);
        if (load->received != received) {
            received = load->received;
            last = now;
        }
    }
}

void crowd_close(struct load *load)
{
    for (uint32_t i = 0; i < load->count; i++)
        connection_drop(load, &load->connections[i]);
}

void crowd_joined(struct load *load, struct connection *c)
{
    if (c->stage == JOINED)
        return;
    c->stage = JOINED;
    load->joined++;
}

void room_name(const struct load *load, uint32_t room, char *name, size_t space)
{
    const char *base = load->options->room != NULL ? load->options->room : "bench";
    if (load->options->rooms == 1)
        snprintf(name, space, "%s", base);
    else
        snprintf(name, space, "%s-%u", base, room);
}
