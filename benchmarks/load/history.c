/* One connection asks for page after page of a room's history, each from somewhere else. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "memory.h"
#include "report.h"
#include "scenarios.h"
#include "window.h"

#define FIRST_ID 3
#define OFFSET "\"offset\":"

static struct {
    uint32_t asked;
    uint64_t top, since, messages;
    int64_t asked_ns;
    struct histogram latencies;
    bool is_answered;
} pages;

static void ask(struct load *load, struct connection *c)
{
    const struct options *o = load->options;
    char line[1024], room[128];
    int length;
    room_name(load, 0, room, sizeof room);
    if (pages.asked == 0)
        length = snprintf(line, sizeof line, "{\"id\":%d,\"history\":{\"channel\":\"%s\",\"limit\":0}}",
            FIRST_ID, room);
    else {
        uint64_t places = pages.top > o->limit ? pages.top - o->limit + 1 : 1;
        pages.since = (uint64_t)(drand48() * (double)places);
        length = snprintf(line, sizeof line,
            "{\"id\":%" PRIu32 ",\"history\":{\"channel\":\"%s\",\"limit\":%" PRIu32
            ",\"since\":{\"epoch\":\"%s\",\"offset\":%" PRIu64 "}}}",
            FIRST_ID + pages.asked, room, o->limit, load->epoch, pages.since);
    }
    if (length >= (int)sizeof line) {
        load_fail(load, "the room's name or epoch is too long");
        return;
    }
    pages.asked++;
    pages.is_answered = false;
    pages.asked_ns = clock_ns();
    crowd_send_text(load, c, line, (size_t)length);
}

/* Offsets of a page follow upon each other from where it was asked for; the last is the room's own. */
static void check(struct load *load, const char *line, const char *end)
{
    uint64_t count = 0, expected = pages.since + 1;
    const char *at = memmem(line, (size_t)(end - line), OFFSET, strlen(OFFSET));
    while (at != NULL) {
        uint64_t offset = strtoull(at + strlen(OFFSET), NULL, 10);
        const char *next = memmem(at + 1, (size_t)(end - at) - 1, OFFSET, strlen(OFFSET));
        if (next != NULL) {
            load->errors.offsets += offset != expected;
            expected = offset + 1;
            count++;
        } else
            pages.top = offset;
        at = next;
    }
    if (count == 0 && pages.asked > 1)
        load->errors.missing++;
    pages.messages += count;
}

static void answered(struct load *load, struct connection *c, const char *line, size_t length, int64_t now)
{
    (void)c;
    if (pages.asked > 1)
        histogram_add(&pages.latencies, now - pages.asked_ns);
    else {
        const char *epoch = memmem(line, length, "\"epoch\":\"", 9);
        if (epoch != NULL)
            snprintf(load->epoch, sizeof load->epoch, "%.*s", (int)strcspn(epoch + 9, "\""), epoch + 9);
    }
    check(load, line, line + length);
    pages.is_answered = true;
}

bool history_run(struct load *load)
{
    const struct options *o = load->options;
    load->subscribes = false;
    load->dialect.answered = answered;
    crowd_open(load, 1);
    ledger_open(&load->ledger, 1, 1, 1, o->size, &load->errors);
    struct edge from = window_edge(load), to = from;
    if (crowd_join(load, 1, JOIN_PATIENCE_S)) {
        pages.is_answered = true;
        from = window_edge(load);
        srand48(1);
        while (load->why[0] == 0 && (pages.asked <= o->requests || !pages.is_answered)) {
            if (pages.is_answered)
                ask(load, &load->connections[0]);
            crowd_turn(load, 100);
            if (clock_ns() - pages.asked_ns > (int64_t)(o->patience_s * SECOND_NS))
                load_fail(load, "request %u was not answered", pages.asked);
            if (pages.is_answered && pages.top == 0)
                load_fail(load, "there is nothing in the room");
        }
        to = window_edge(load);
    }
    report_begin(load, report_verdict(load));
    report_whole("requests", o->requests);
    report_whole("limit", o->limit);
    report_whole("top", pages.top);
    report_whole("messages", pages.messages);
    report_number("seconds", (double)(to.at_ns - from.at_ns) / SECOND_NS);
    report_latencies(&pages.latencies);
    if (o->pid_count > 0)
        report_number("server_cpu_s", to.server.cpu_s - from.server.cpu_s);
    report_errors(&load->errors);
    report_end();
    crowd_close(load);
    return load->why[0] == 0;
}
