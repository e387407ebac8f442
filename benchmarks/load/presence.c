/* Many connections that say nothing: what they cost (idle), and how fast they come (storm). */
#include <stdio.h>

#include "crowd.h"
#include "report.h"
#include "scenarios.h"
#include "window.h"

static void begin(struct load *load)
{
    const struct options *o = load->options;
    crowd_open(load, o->connections);
    ledger_open(&load->ledger, o->publishers, o->rooms, load->count, o->size, &load->errors);
}

bool idle_run(struct load *load)
{
    const struct options *o = load->options;
    struct usage before = process_usage(o->pids, o->pid_count);
    begin(load);
    struct edge from = window_edge(load), to = from;
    if (crowd_join(load, load->count, JOIN_PATIENCE_S)) {
        crowd_settle(load, QUIET_S, QUIET_AT_MOST_S);
        fprintf(stderr, "load: %u joined\n", load->joined);
        from = window_edge(load);
        window_turn(load, o->seconds);
        to = window_edge(load);
    }
    report_begin(load, report_verdict(load));
    report_whole("connections", o->connections);
    report_number("seconds", (double)(to.at_ns - from.at_ns) / SECOND_NS);
    if (o->pid_count > 0) {
        report_number("server_cpu_s", to.server.cpu_s - from.server.cpu_s);
        report_whole("server_rss_kib", to.server.rss_kib);
        report_whole("server_rss_before_kib", before.rss_kib);
        report_number("kib_per_connection",
            ((double)to.server.rss_kib - (double)before.rss_kib) / o->connections);
    }
    report_errors(&load->errors);
    report_end();
    crowd_close(load);
    return load->why[0] == 0;
}

bool storm_run(struct load *load)
{
    const struct options *o = load->options;
    begin(load);
    struct edge from = window_edge(load);
    int64_t end = from.at_ns + (int64_t)JOIN_PATIENCE_S * SECOND_NS, opened_ns = from.at_ns;
    while (load->joined < load->count && load->why[0] == 0) {
        bool was_opening = load->opened < load->count;
        crowd_dial(load, load->count);
        crowd_turn(load, 100);
        if (was_opening)
            opened_ns = clock_ns();
        if (clock_ns() > end)
            load_fail(load, "only %u of %u connections had joined within %d s", load->joined,
                load->count, JOIN_PATIENCE_S);
    }
    struct edge to = window_edge(load);
    double seconds = (double)(to.at_ns - from.at_ns) / SECOND_NS;
    report_begin(load, report_verdict(load));
    report_whole("connections", o->connections);
    report_number("seconds", seconds);
    report_number("connections_per_s", load->opened / ((double)(opened_ns - from.at_ns) / SECOND_NS));
    report_number("joined_per_s", load->joined / seconds);
    if (o->pid_count > 0)
        report_number("server_cpu_s", to.server.cpu_s - from.server.cpu_s);
    report_number("load_busy", (double)(to.spent_ns - from.spent_ns) / SECOND_NS / seconds);
    report_errors(&load->errors);
    report_end();
    crowd_close(load);
    return load->why[0] == 0;
}
