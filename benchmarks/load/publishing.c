#include "publishing.h"

#include <sys/timerfd.h>

#include "connection.h"
#include "crowd.h"
#include "memory.h"
#include "websocket.h"

#define WRITTEN_AT_ONCE (4u << 20)
#define AROUND_TEXT 512u

void publishing_open(struct load *load, uint32_t members)
{
    const struct ledger *l = &load->ledger;
    uint32_t rooms = l->rooms;
    load->outgoing = need(WRITTEN_AT_ONCE);
    load->payload = need(l->size + AROUND_TEXT);
    load->publishing = need(l->publisher_count * sizeof *load->publishing);
    load->paced = need(l->publisher_count * sizeof *load->paced);
    for (uint32_t i = 0; i < l->publisher_count; i++) {
        uint32_t room = l->publishers[i].room;
        uint32_t there = (members - room + rooms - 1) / rooms;
        uint32_t speaking = (l->publisher_count - room + rooms - 1) / rooms;
        uint32_t nth = (uint32_t)((uint64_t)l->publishers[i].place * there / speaking);
        load->publishing[i] = room + nth * rooms;
        load->connections[load->publishing[i]].publisher = i;
    }
}

void publishing_start(struct load *load, double rate, uint64_t most)
{
    load->is_publishing = true;
    load->rate = rate;
    load->most_said = most > 0 ? load->said + most : UINT64_MAX;
    load->rate_from_ns = clock_ns();
    memset(load->paced, 0, load->ledger.publisher_count * sizeof *load->paced);
    publishing_turn(load);
}

void publishing_stop(struct load *load)
{
    struct itimerspec never = {0};
    load->is_publishing = false;
    timerfd_settime(load->timer, 0, &never, NULL);
}

static int64_t due_ns(const struct load *load, uint64_t number)
{
    return load->rate_from_ns + (int64_t)((double)number * SECOND_NS / load->rate);
}

uint32_t publishing_quota(const struct options *options)
{
    uint32_t share = options->in_flight / options->publishers;
    return share > 0 ? share : 1;
}

/* How many messages a publisher may say now. */
static uint32_t allowance(const struct load *load, uint32_t publisher, uint64_t due)
{
    uint32_t count = load->ledger.publisher_count;
    if (load->rate > 0) {
        uint64_t own = due > publisher ? (due - publisher + count - 1) / count : 0;
        return own > load->paced[publisher] ? (uint32_t)(own - load->paced[publisher]) : 0;
    }
    uint32_t quota = publishing_quota(load->options);
    uint32_t under_way = load->ledger.publishers[publisher].sent - load->dialect.done(load, publisher);
    return under_way < quota ? quota - under_way : 0;
}

void publishing_turn(struct load *load)
{
    const struct ledger *l = &load->ledger;
    int64_t now = clock_ns();
    uint64_t due = 0;
    if (load->rate > 0)
        due = (uint64_t)((double)(now - load->rate_from_ns) * load->rate / SECOND_NS) + 1;
    size_t most = l->size + AROUND_TEXT + LONGEST_HEAD;
    for (uint32_t i = 0; i < l->publisher_count; i++) {
        struct connection *c = &load->connections[load->publishing[i]];
        if (c->stage != JOINED || !connection_is_drained(c))
            continue;
        size_t length = 0;
        for (uint32_t left = allowance(load, i, due); left > 0 && load->said < load->most_said; left--) {
            if (length + most > WRITTEN_AT_ONCE)
                break; /* the rest in the next turn */
            int64_t at = load->rate > 0
                ? due_ns(load, (uint64_t)load->paced[i] * l->publisher_count + i)
                : now;
            size_t said = load->dialect.say(load, i, load->payload, at);
            length += websocket_frame(load->outgoing + length, OP_TEXT, load->payload, said, &load->mask);
            load->paced[i]++;
            load->said++;
        }
        if (length > 0)
            crowd_send(load, c, load->outgoing, length);
    }
    if (load->rate > 0) {
        int64_t next = due_ns(load, due);
        struct itimerspec then = {.it_value = {next / SECOND_NS, next % SECOND_NS}};
        timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &then, NULL);
    }
}
