#include "websocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The key of the RFC's own example, so that the right answer is known without a SHA-1 of our own. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define LONGEST_ANSWER 8192

/* xorshift: never 0 when it was not. */
static uint32_t next_mask(uint32_t mask)
{
    mask ^= mask << 13;
    mask ^= mask >> 17;
    return mask ^ mask << 5;
}

size_t websocket_frame(char *to, enum opcode opcode, const char *payload, size_t length, uint32_t *mask)
{
    uint8_t *p = (uint8_t *)to;
    *p++ = (uint8_t)(FRAME_FIN | opcode);
    if (length < 126)
        *p++ = (uint8_t)(0x80 | length);
    else if (length < 65536) {
        *p++ = 0x80 | 126;
        *p++ = (uint8_t)(length >> 8);
        *p++ = (uint8_t)length;
    } else {
        *p++ = 0x80 | 127;
        for (int i = 7; i >= 0; i--)
            *p++ = (uint8_t)((uint64_t)length >> 8 * i);
    }
    *mask = next_mask(*mask);
    memcpy(p, mask, 4);
    p += 4;
    uint64_t key = (uint64_t)*mask << 32 | *mask, eight;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        memcpy(&eight, payload + i, 8);
        eight ^= key;
        memcpy(p + i, &eight, 8);
    }
    const uint8_t *bytes = (const uint8_t *)mask;
    for (; i < length; i++)
        p[i] = (uint8_t)payload[i] ^ bytes[i % 4];
    return (size_t)((char *)p + length - to);
}

size_t websocket_request(char *to, size_t room, const char *host, unsigned port, const char *target,
    bool deflate)
{
    static const char offer[] =
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n";
    int length = snprintf(to, room,
        "GET %s HTTP/1.1\r\nHost: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        target, host, port, deflate ? offer : "");
    return (size_t)length < room ? (size_t)length : room;
}

/* The value of a header, up to the end of its line; NULL when there is none. */
static const char *header(const char *text, const char *end, const char *name, size_t *length)
{
    size_t letters = strlen(name);
    for (const char *line = memchr(text, '\n', (size_t)(end - text)); line != NULL;
         line = memchr(line, '\n', (size_t)(end - line))) {
        line++;
        if ((size_t)(end - line) <= letters || line[letters] != ':' || strncasecmp(line, name, letters) != 0)
            continue;
        line += letters + 1;
        const char *stop = memchr(line, '\r', (size_t)(end - line));
        while (line < stop && *line == ' ')
            line++;
        *length = (size_t)(stop - line);
        return line;
    }
    return NULL;
}

enum answer websocket_answer(const char *text, size_t length, struct opening *opening)
{
    *opening = (struct opening){0};
    const char *end = memmem(text, length, "\r\n\r\n", 4);
    if (end == NULL)
        return length < LONGEST_ANSWER ? ANSWER_PARTIAL : ANSWER_REFUSED;
    opening->length = (size_t)(end + 4 - text);
    end += 2;
    if (end - text > 12 && memcmp(text, "HTTP/1.1 ", 9) == 0)
        opening->status = atoi(text + 9);
    size_t letters;
    const char *accept = header(text, end, "Sec-WebSocket-Accept", &letters);
    if (opening->status != 101 || accept == NULL || letters != strlen(ACCEPT)
        || memcmp(accept, ACCEPT, letters) != 0)
        return ANSWER_REFUSED;
    const char *extensions = header(text, end, "Sec-WebSocket-Extensions", &letters);
    if (extensions != NULL) {
        opening->deflates = memmem(extensions, letters, "permessage-deflate", 18) != NULL;
        opening->keeps_no_context = memmem(extensions, letters, "server_no_context_takeover", 26) != NULL;
    }
    return ANSWER_OPEN;
}
