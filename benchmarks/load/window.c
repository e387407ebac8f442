#include "window.h"

#include "crowd.h"
#include "publishing.h"
#include "slow.h"

#define AFTERWARDS_S 0.1

struct edge window_edge(const struct load *load)
{
    const struct options *o = load->options;
    return (struct edge){clock_ns(), spent_ns(), load->said, load->ledger.deliveries, load->received,
        process_usage(o->pids, o->pid_count)};
}

void window_turn(struct load *load, double seconds)
{
    int64_t end = clock_ns() + (int64_t)(seconds * SECOND_NS);
    for (int64_t left = end - clock_ns(); left > 0 && load->why[0] == 0; left = end - clock_ns()) {
        int most = load->slow != NULL ? SLOW_TURN_MS : 100;
        crowd_turn(load, left / 1000000 < most ? (int)(left / 1000000) + 1 : most);
        if (load->slow != NULL)
            slow_read(load, load->slow);
    }
}

static uint64_t unanswered(const struct load *load)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < load->ledger.publisher_count; i++)
        count += load->ledger.publishers[i].sent - load->dialect.done(load, i);
    return count;
}

void window_drain(struct load *load, uint32_t members)
{
    int64_t end = clock_ns() + (int64_t)(load->options->patience_s * SECOND_NS);
    uint32_t complete = 0;
    while (load->why[0] == 0 && clock_ns() < end) {
        while (complete < members
            && ledger_is_complete(&load->ledger, complete, load->connections[complete].room))
            complete++;
        if (complete == members && unanswered(load) == 0)
            break;
        window_turn(load, 0.01);
    }
    window_turn(load, AFTERWARDS_S);
    for (uint32_t i = 0; i < members; i++)
        ledger_close(&load->ledger, i, load->connections[i].room);
    if (load->errors.missing == 0 && unanswered(load) > 0)
        load_fail(load, "%llu messages were not answered", (unsigned long long)unanswered(load));
}
