/* One run: the connections, the publishers among them, and what came of it. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "clock.h"
#include "ledger.h"
#include "options.h"

#define RECEIVED_AT_ONCE (256u << 10)
#define LONGEST_FRAME (16u << 20)
#define BEFORE_FRAME 64u /* more than a head; keeps what is received aligned */

enum stage { ABSENT, DIALED, SECURING, ASKED, ENTERING, JOINED, GONE };

struct tls;
struct inflater;
struct slow;

/* Bytes that wait: the beginning of a frame, or what the socket did not take. */
struct waiting {
    char *bytes;
    uint32_t from, length, room;
};

struct connection {
    int fd;
    uint8_t stage;
    bool has_heard;   /* one of our texts */
    bool deflates;
    bool wants_write;
    uint32_t index;
    uint32_t room;
    uint32_t publisher; /* UINT32_MAX: none */
    struct waiting in, out;
    uint64_t offset;  /* centrifuge: of the last push */
    uint32_t replies; /* centrifuge: of its publishes */
    struct tls *tls;
    struct inflater *inflater;
    int64_t dialed_ns;
    int receive_buffer; /* 0: the system's */
};

struct load;

/* How one speaks to a kind of server. */
struct dialect {
    const char *name;
    /* Ask for one's room in the request target, after its path: "?room=bench-3", or nothing. */
    void (*target)(const struct load *load, const struct connection *c, char *text, size_t room);
    /* The WebSocket is open. */
    void (*opened)(struct load *load, struct connection *c);
    /* A text frame came. */
    void (*heard)(struct load *load, struct connection *c, const char *text, size_t length, int64_t now);
    /* Write the payload of a publisher's next message, return its length. */
    size_t (*say)(struct load *load, uint32_t publisher, char *payload, int64_t now);
    /* How many messages of a publisher have come all the way. */
    uint32_t (*done)(const struct load *load, uint32_t publisher);
    /* Optional: an answer that scenarios want to see. */
    void (*answered)(struct load *load, struct connection *c, const char *line, size_t length, int64_t now);
};

extern const struct dialect raw, centrifuge, socketio;

struct load {
    const struct options *options;
    struct dialect dialect;
    struct connection *connections;
    uint32_t count, dialed, under_way, opened, joined, connected, deflating;
    struct ledger ledger;
    uint32_t *publishing; /* which connection a publisher is */
    struct errors errors;
    char why[256];
    uint64_t received;
    struct sockaddr_storage address;
    socklen_t address_length;
    int epoll, timer;
    char *buffer; /* what is received, with room before it for the beginning of a frame */
    char *outgoing, *payload;
    uint32_t mask; /* of the next frame we send, never 0 */
    /* publishing */
    bool is_publishing;
    double rate;
    int64_t rate_from_ns;
    uint32_t *paced; /* messages of each publisher since then */
    uint64_t said, most_said;
    struct slow *slow;        /* NULL: nobody */
    bool subscribes;
    /* resume: from where, and the last offset that publishers know of */
    bool recovers;
    uint64_t recover_from;
    char epoch[128];
    uint64_t head;
};

/* Something went wrong: remember the first reason. */
void load_fail(struct load *load, const char *words, ...) __attribute__((format(printf, 2, 3)));

#endif
