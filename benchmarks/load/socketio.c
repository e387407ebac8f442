/* Socket.IO 4 over Engine.IO 4, WebSocket only: a message is 42["message","..."]. */
#include <stdio.h>

#include "crowd.h"

#define BEFORE "42[\"message\",\""
#define AFTER "\"]"

static void target(const struct load *load, const struct connection *c, char *text, size_t room)
{
    const char *path = load->options->path;
    char name[160];
    room_in_query(load, c, name, sizeof name);
    bool is_asked = strchr(path, '?') != NULL;
    snprintf(text, room, "%s%s%s", is_asked ? "" : strlen(path) > 1 ? "" : "socket.io/",
        is_asked ? "&EIO=4&transport=websocket" : "?EIO=4&transport=websocket",
        name[0] != 0 ? "&" : "");
    strncat(text, name[0] != 0 ? name + 1 : "", room - strlen(text) - 1);
}

static void opened(struct load *load, struct connection *c)
{
    (void)load;
    (void)c; /* the server speaks first */
}

static void heard(struct load *load, struct connection *c, const char *text, size_t length, int64_t now)
{
    size_t before = strlen(BEFORE), after = strlen(AFTER);
    if (length > before + after && memcmp(text, BEFORE, before) == 0
        && memcmp(text + length - after, AFTER, after) == 0) {
        c->has_heard = true;
        ledger_take(&load->ledger, c->index, c->room, text + before, length - before - after, now);
    } else if (length >= 1 && text[0] == '0')
        crowd_send_text(load, c, "40", 2);
    else if (length == 1 && text[0] == '2')
        crowd_send_text(load, c, "3", 1);
    else if (length >= 2 && text[0] == '4' && text[1] == '0')
        crowd_joined(load, c);
    else if (length >= 2 && text[0] == '4' && text[1] == '4') {
        load->errors.refused++;
        load_fail(load, "a connection to the namespace was refused: %.*s", (int)(length < 99 ? length : 99), text);
    } else if (c->has_heard)
        load->errors.garbled++; /* other events before the first of ours are greetings */
}

static size_t say(struct load *load, uint32_t publisher, char *payload, int64_t now)
{
    size_t before = strlen(BEFORE), size = load->ledger.size;
    memcpy(payload, BEFORE, before);
    ledger_say(&load->ledger, publisher, payload + before, now);
    memcpy(payload + before + size, AFTER, strlen(AFTER));
    return before + size + strlen(AFTER);
}

const struct dialect socketio = {"socketio", target, opened, heard, say, own_heard, NULL};
