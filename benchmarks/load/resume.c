/* Many come back at once and want what they missed, while others go on talking. */
#include <stdio.h>
#include <stdlib.h>

#include "crowd.h"
#include "memory.h"
#include "publishing.h"
#include "report.h"
#include "scenarios.h"
#include "window.h"

#define RESUME_PATIENCE_S 120

/* The publishers come first; then those who missed it all. */
static bool say_what_is_missed(struct load *load)
{
    const struct options *o = load->options;
    if (!crowd_join(load, o->publishers, JOIN_PATIENCE_S))
        return false;
    crowd_settle(load, QUIET_S, QUIET_AT_MOST_S);
    load->recover_from = load->head = load->connections[0].offset;
    publishing_start(load, 0, o->missed);
    while (load->why[0] == 0 && load->said < o->missed)
        window_turn(load, 0.01);
    publishing_stop(load);
    window_drain(load, o->publishers);
    fprintf(stderr, "load: %llu said from offset %llu\n", (unsigned long long)load->said,
        (unsigned long long)load->recover_from);
    return report_verdict(load);
}

/* Dial all and turn until each has had every offset up to the head as it was then. */
static uint32_t come_back(struct load *load, struct histogram *times)
{
    uint32_t first = load->options->publishers, left = load->count - first;
    uint32_t *behind = need(left * sizeof *behind);
    int64_t end = clock_ns() + (int64_t)RESUME_PATIENCE_S * SECOND_NS;
    for (uint32_t i = 0; i < left; i++)
        behind[i] = first + i;
    load->recovers = true;
    while (left > 0 && load->why[0] == 0) {
        crowd_dial(load, load->count);
        crowd_turn(load, 100);
        int64_t now = clock_ns();
        for (uint32_t i = 0; i < left;) {
            const struct connection *c = &load->connections[behind[i]];
            if (c->stage == JOINED && c->offset >= load->head) {
                histogram_add(times, now - c->dialed_ns);
                behind[i] = behind[--left];
            } else
                i++;
        }
        if (now > end)
            load_fail(load, "%u connections were still behind after %d s", left, RESUME_PATIENCE_S);
    }
    free(behind);
    return left;
}

bool resume_run(struct load *load)
{
    const struct options *o = load->options;
    struct histogram *times = need(sizeof *times);
    crowd_open(load, o->publishers + o->connections);
    ledger_open(&load->ledger, o->publishers, 1, load->count, o->size, &load->errors);
    publishing_open(load, o->publishers);
    struct edge from = window_edge(load), to = from;
    if (say_what_is_missed(load)) {
        if (o->rate > 0)
            publishing_start(load, o->rate, 0);
        from = window_edge(load);
        come_back(load, times);
        to = window_edge(load);
        publishing_stop(load);
        window_drain(load, load->count);
    }
    double seconds = (double)(to.at_ns - from.at_ns) / SECOND_NS;
    report_begin(load, report_verdict(load));
    report_whole("connections", o->connections);
    report_whole("missed", o->missed);
    report_number("rate", o->rate);
    report_number("seconds", seconds);
    report_number("p50_s", histogram_ns(times, 0.5) / SECOND_NS);
    report_number("max_s", (double)times->largest / SECOND_NS);
    report_whole("deliveries", to.deliveries - from.deliveries);
    report_whole("bytes", to.received - from.received);
    if (o->pid_count > 0) {
        report_number("server_cpu_s", to.server.cpu_s - from.server.cpu_s);
        report_whole("server_rss_kib", to.server.rss_kib);
    }
    report_number("load_busy",
        seconds > 0 ? (double)(to.spent_ns - from.spent_ns) / SECOND_NS / seconds : 0);
    report_errors(&load->errors);
    report_end();
    crowd_close(load);
    return load->why[0] == 0;
}
