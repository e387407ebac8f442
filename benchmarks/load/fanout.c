/* Everybody in a room gets what its publishers say: how fast, how late, and whether all of it. */
#include <stdio.h>
#include <string.h>

#include "crowd.h"
#include "publishing.h"
#include "report.h"
#include "scenarios.h"
#include "slow.h"
#include "window.h"

static void report(struct load *load, const struct edge *from, const struct edge *to, struct usage before)
{
    const struct options *o = load->options;
    double seconds = (double)(to->at_ns - from->at_ns) / SECOND_NS;
    double deliveries = (double)(to->deliveries - from->deliveries);
    if (deliveries == 0)
        load_fail(load, "nothing was delivered while it was measured");
    report_begin(load, report_verdict(load));
    report_whole("connections", o->connections);
    report_whole("publishers", o->publishers);
    if (o->rate > 0)
        report_number("rate", o->rate);
    else
        report_whole("in_flight", (uint64_t)publishing_quota(o) * o->publishers);
    report_whole("size", o->size);
    report_whole("rooms", o->rooms);
    report_number("seconds", seconds);
    report_whole("messages", to->said - from->said);
    report_whole("deliveries", to->deliveries - from->deliveries);
    report_number("deliveries_per_s", deliveries / seconds);
    report_number("messages_per_s", (double)(to->said - from->said) / seconds);
    report_whole("bytes", to->received - from->received);
    report_whole("messages_in_all", load->said);
    report_whole("deliveries_in_all", load->ledger.deliveries);
    if (o->deflate)
        report_whole("deflating", load->deflating);
    if (load->slow != NULL) {
        report_whole("slow_bytes", load->slow->taken);
        report_truth("slow_closed", load->slow->is_closed);
    }
    report_latencies(load->ledger.latencies);
    if (o->pid_count > 0) {
        double cpu = to->server.cpu_s - from->server.cpu_s;
        report_number("server_cpu_s", cpu);
        if (deliveries > 0)
            report_number("server_cpu_us_per_delivery", cpu * 1e6 / deliveries);
        report_whole("server_rss_kib", to->server.rss_kib);
        report_whole("server_rss_before_kib", before.rss_kib);
    }
    double load_cpu = (double)(to->spent_ns - from->spent_ns) / SECOND_NS;
    report_number("load_cpu_s", load_cpu);
    report_number("load_busy", load_cpu / seconds);
    report_errors(&load->errors);
    report_end();
}

bool fanout_run(struct load *load)
{
    const struct options *o = load->options;
    struct usage before = process_usage(o->pids, o->pid_count);
    struct slow slow = {0};
    uint32_t slow_ones = strcmp(o->scenario, "slow") == 0 ? 1 : 0;
    crowd_open(load, o->connections + slow_ones);
    ledger_open(&load->ledger, o->publishers, o->rooms, load->count, o->size, &load->errors);
    publishing_open(load, o->connections);
    if (slow_ones > 0)
        load->connections[o->connections].receive_buffer = SLOW_BUFFER;
    struct edge from = window_edge(load), to = from;
    if (crowd_join(load, load->count, JOIN_PATIENCE_S)) {
        crowd_settle(load, QUIET_S, QUIET_AT_MOST_S);
        fprintf(stderr, "load: %u joined\n", load->joined);
        if (slow_ones > 0)
            slow_begin(load, &slow, &load->connections[o->connections]);
        publishing_start(load, o->rate, 0);
        window_turn(load, o->warmup);
        from = window_edge(load);
        load->ledger.measuring = true;
        window_turn(load, o->seconds);
        load->ledger.measuring = false;
        to = window_edge(load);
        publishing_stop(load);
        window_drain(load, o->connections);
    }
    report(load, &from, &to, before);
    crowd_close(load);
    return load->why[0] == 0;
}
