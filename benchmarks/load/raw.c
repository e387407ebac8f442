/* A message is a text frame, and everybody in the room gets it as it is. */
#include <stdio.h>

#include "crowd.h"

/* Ask for a room only where there is more than one, or one was named: other servers know none. */
void room_in_query(const struct load *load, const struct connection *c, char *text, size_t room)
{
    const struct options *o = load->options;
    char name[128];
    text[0] = 0;
    if (o->rooms == 1 && o->room == NULL)
        return;
    room_name(load, c->room, name, sizeof name);
    snprintf(text, room, "%croom=%s", strchr(o->path, '?') != NULL ? '&' : '?', name);
}

static void opened(struct load *load, struct connection *c)
{
    crowd_joined(load, c);
}

static void heard(struct load *load, struct connection *c, const char *text, size_t length, int64_t now)
{
    if (!c->has_heard) {
        if (!ledger_is_ours(&load->ledger, text, length))
            return; /* a greeting */
        c->has_heard = true;
    }
    ledger_take(&load->ledger, c->index, c->room, text, length, now);
}

static size_t say(struct load *load, uint32_t publisher, char *payload, int64_t now)
{
    ledger_say(&load->ledger, publisher, payload, now);
    return load->ledger.size;
}

uint32_t own_heard(const struct load *load, uint32_t publisher)
{
    const struct ledger *l = &load->ledger;
    return l->next[(size_t)load->publishing[publisher] * l->stride + l->publishers[publisher].place];
}

const struct dialect raw = {"raw", room_in_query, opened, heard, say, own_heard, NULL};
