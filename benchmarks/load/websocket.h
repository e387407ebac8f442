/* RFC 6455, as far as a client needs it here: the opening handshake and frames. */
#ifndef LOAD_WEBSOCKET_H
#define LOAD_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opcode { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

#define FRAME_FIN 0x80
#define FRAME_DEFLATED 0x40
#define LONGEST_HEAD 14

struct frame {
    uint8_t first; /* FIN, RSV and opcode */
    const char *payload;
    size_t length;
};

enum cut { CUT_FRAME, CUT_PARTIAL, CUT_BROKEN };

/* Find the next frame of a server; `at` moves behind it. A masked one, or one beyond `longest`, is broken. */
static inline enum cut websocket_cut(const char **at, const char *end, size_t longest, struct frame *frame)
{
    const uint8_t *p = (const uint8_t *)*at;
    size_t there = (size_t)(end - *at), head = 2;
    if (there < 2)
        return CUT_PARTIAL;
    uint64_t length = p[1];
    if (length == 126) {
        head = 4;
        if (there < head)
            return CUT_PARTIAL;
        length = (uint64_t)p[2] << 8 | p[3];
    } else if (length == 127) {
        head = 10;
        if (there < head)
            return CUT_PARTIAL;
        length = 0;
        for (int i = 2; i < 10; i++)
            length = length << 8 | p[i];
    } else if (length > 127)
        return CUT_BROKEN;
    if (length > longest)
        return CUT_BROKEN;
    if (there - head < length)
        return CUT_PARTIAL;
    frame->first = p[0];
    frame->payload = *at + head;
    frame->length = length;
    *at += head + length;
    return CUT_FRAME;
}

/* Write a whole masked frame, at most `length` + LONGEST_HEAD bytes. `mask` is used and moved on.
 * Returns how long it is. */
size_t websocket_frame(char *to, enum opcode opcode, const char *payload, size_t length, uint32_t *mask);

/* Write the request of an opening handshake; returns its length, at most `room`. */
size_t websocket_request(char *to, size_t room, const char *host, unsigned port, const char *target,
    bool deflate);

enum answer { ANSWER_PARTIAL, ANSWER_OPEN, ANSWER_REFUSED };

struct opening {
    size_t length; /* of the answer, its empty line included */
    bool deflates;
    bool keeps_no_context; /* the server begins each message's compression anew */
    int status;
};

/* Look at what a server answered so far. */
enum answer websocket_answer(const char *text, size_t length, struct opening *opening);

#endif
