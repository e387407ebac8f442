/* The Centrifuge JSON protocol: connect, subscribe, publish; pushes with gap-free offsets.
 *
 * Nothing is parsed as JSON: a field is looked for where the last push of the same publisher had it, and
 * searched for only when it is not there. */
#include <stdio.h>
#include <stdlib.h>

#include "crowd.h"
#include "memory.h"

#define CONNECT_ID 1
#define SUBSCRIBE_ID 2
#define FIRST_PUBLISH_ID 3

#define TEXT "\"text\":\""
#define OFFSET "\"offset\":"
#define SAID_BY 12 /* letters of a text that tell publisher and sequence: they make its id */

static size_t text_at;       /* in the last push */
static uint32_t *offset_at;  /* behind the text, in the last push of each publisher */
static uint32_t run;         /* makes ids unique over runs */

static uint64_t read_number(const char *at, const char *end)
{
    uint64_t value = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

static const char *find(const char *at, const char *end, const char *words)
{
    return at < end ? memmem(at, (size_t)(end - at), words, strlen(words)) : NULL;
}

static void opened(struct load *load, struct connection *c)
{
    static const char connect[] = "{\"id\":1,\"connect\":{}}";
    if (offset_at == NULL) {
        offset_at = need(load->ledger.publisher_count * sizeof *offset_at);
        run = (uint32_t)clock_ns() & 0xffff;
    }
    crowd_send_text(load, c, connect, sizeof connect - 1);
}

static void subscribe(struct load *load, struct connection *c)
{
    char room[128], line[512];
    room_name(load, c->room, room, sizeof room);
    int length;
    if (load->recovers)
        length = snprintf(line, sizeof line,
            "{\"id\":2,\"subscribe\":{\"channel\":\"%s\",\"recover\":true,\"epoch\":\"%s\",\"offset\":%llu}}",
            room, load->epoch, (unsigned long long)load->recover_from);
    else
        length = snprintf(line, sizeof line, "{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}", room);
    crowd_send_text(load, c, line, (size_t)length);
}

/* Where the offset of a publication is, behind its text; NULL when it has none. */
static const char *find_offset(const struct load *load, const char *text, const char *text_end, const char *end)
{
    const struct ledger *l = &load->ledger;
    uint32_t publisher = (size_t)(text_end - text) == l->size ? ledger_publisher(l, text) : UINT32_MAX;
    if (publisher >= l->publisher_count)
        return find(text_end, end, OFFSET);
    const char *at = text_end + offset_at[publisher];
    if (at + strlen(OFFSET) > end || memcmp(at, OFFSET, strlen(OFFSET)) != 0) {
        at = find(text_end, end, OFFSET);
        if (at != NULL)
            offset_at[publisher] = (uint32_t)(at - text_end);
    }
    return at;
}

/* One publication, from its text on. Returns what follows its offset. */
static const char *take_publication(struct load *load, struct connection *c, const char *text,
    const char *end, int64_t now)
{
    const char *text_end = text + load->ledger.size;
    if (text_end >= end || *text_end != '"') {
        text_end = memchr(text, '"', (size_t)(end - text)); /* another length: the ledger says so */
        if (text_end == NULL)
            text_end = end;
    }
    const char *rest = text_end, *offset = find_offset(load, text, text_end, end);
    uint64_t value = 0;
    if (offset != NULL) {
        rest = offset + strlen(OFFSET);
        value = read_number(rest, end);
    }
    if (value != c->offset + 1)
        load->errors.offsets++;
    if (value > c->offset)
        c->offset = value;
    if (value > load->head && c->publisher != UINT32_MAX)
        load->head = value;
    ledger_take(&load->ledger, c->index, c->room, text, (size_t)(text_end - text), now);
    return rest;
}

static void take_push(struct load *load, struct connection *c, const char *line, const char *end, int64_t now)
{
    size_t label = strlen(TEXT);
    const char *text = line + text_at;
    if (text + label > end || memcmp(text, TEXT, label) != 0) {
        text = find(line, end, TEXT);
        if (text == NULL)
            return; /* a join or a leave, or what others said */
        text_at = (size_t)(text - line);
    }
    c->has_heard = true;
    take_publication(load, c, text + label, end, now);
}

/* The place in the room, and what was missed, which some servers send in the reply. */
static void take_subscribed(struct load *load, struct connection *c, const char *line, const char *end,
    int64_t now)
{
    const char *missed = find(line, end, "\"publications\":[");
    c->offset = load->recover_from;
    if (load->recovers && find(line, end, "\"recovered\":true") == NULL) {
        load->errors.refused++;
        load_fail(load, "not recovered: %.*s", (int)(end - line < 160 ? end - line : 160), line);
        return;
    }
    if (missed != NULL) {
        for (const char *text = find(missed, end, TEXT); text != NULL; text = find(text, end, TEXT))
            text = take_publication(load, c, text + strlen(TEXT), end, now);
    } else if (!load->recovers) {
        const char *offset = find(line, end, OFFSET);
        c->offset = offset != NULL ? read_number(offset + strlen(OFFSET), end) : 0;
    }
    const char *epoch = find(line, end, "\"epoch\":\"");
    if (epoch != NULL && !load->recovers)
        snprintf(load->epoch, sizeof load->epoch, "%.*s", (int)strcspn(epoch + 9, "\""), epoch + 9);
    crowd_joined(load, c);
}

static void take_reply(struct load *load, struct connection *c, const char *line, const char *end, int64_t now)
{
    uint64_t id = read_number(line + 6, end);
    if (find(line, end, "\"error\":") != NULL) {
        load->errors.refused++;
        load_fail(load, "connection %u was answered %.*s", c->index,
            (int)(end - line < 160 ? end - line : 160), line);
    } else if (load->dialect.answered != NULL && id >= FIRST_PUBLISH_ID)
        load->dialect.answered(load, c, line, (size_t)(end - line), now);
    else if (id == CONNECT_ID) {
        load->connected++;
        if (load->subscribes)
            subscribe(load, c);
        else
            crowd_joined(load, c);
    } else if (id == SUBSCRIBE_ID)
        take_subscribed(load, c, line, end, now);
    else if (id == FIRST_PUBLISH_ID + (uint64_t)c->replies)
        c->replies++;
    else {
        load->errors.refused++;
        load_fail(load, "connection %u was answered out of turn: %.*s", c->index,
            (int)(end - line < 160 ? end - line : 160), line);
    }
}

static void heard(struct load *load, struct connection *c, const char *text, size_t length, int64_t now)
{
    const char *end = text + length;
    while (text < end && c->stage != GONE) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (stop == NULL)
            stop = end;
        size_t letters = (size_t)(stop - text);
        if (letters > 8 && memcmp(text, "{\"push\":", 8) == 0)
            take_push(load, c, text, stop, now);
        else if (letters > 6 && memcmp(text, "{\"id\":", 6) == 0)
            take_reply(load, c, text, stop, now);
        else if (letters == 2 && memcmp(text, "{}", 2) == 0)
            crowd_send_text(load, c, "{}", 2);
        else if (letters > 0)
            load->errors.garbled++;
        text = stop + 1;
    }
}

static size_t say(struct load *load, uint32_t publisher, char *payload, int64_t now)
{
    struct ledger *l = &load->ledger;
    char room[128];
    uint32_t sequence = l->publishers[publisher].sent;
    room_name(load, l->publishers[publisher].room, room, sizeof room);
    size_t length = (size_t)sprintf(payload,
        "{\"id\":%llu,\"publish\":{\"channel\":\"%s\",\"data\":{\"type\":\"message\",\"id\":\"%04x",
        FIRST_PUBLISH_ID + (unsigned long long)sequence, room, run);
    char *id = payload + length;
    memcpy(id + SAID_BY, "\"," TEXT, 2 + strlen(TEXT));
    char *text = id + SAID_BY + 2 + strlen(TEXT);
    ledger_say(l, publisher, text, now);
    memcpy(id, text, SAID_BY);
    memcpy(text + l->size, "\"}}}", 4);
    return (size_t)(text + l->size + 4 - payload);
}

/* Here and answered for: the answer says that it is stored. */
static uint32_t done(const struct load *load, uint32_t publisher)
{
    uint32_t heard_back = own_heard(load, publisher);
    uint32_t replies = load->connections[load->publishing[publisher]].replies;
    return heard_back < replies ? heard_back : replies;
}

static void no_query(const struct load *load, const struct connection *c, char *text, size_t room)
{
    (void)load;
    (void)c;
    (void)room;
    text[0] = 0;
}

const struct dialect centrifuge = {"centrifuge", no_query, opened, heard, say, done, NULL};
