/* What was said and who has heard it.
 *
 * Every text tells its publisher, its number and when it was sent; a member's next number of each
 * publisher of its room is kept, so that each delivery is known to be the one that was due, or what
 * is wrong with it. A text that is as expected is only compared, never parsed.
 *
 *     0001 0000002a 000004d2a7b3c1f0 padding...
 *     publisher, sequence, nanoseconds (hexadecimal, no spaces), then a piece of a fixed pattern
 */
#ifndef LOAD_LEDGER_H
#define LOAD_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "histogram.h"

#define TEXT_HEAD 28
#define PATTERN_TURNS 61

struct errors {
    uint64_t missing, doubled, out_of_order, garbled, offsets, refused, closed;
};

/* The last messages of a publisher are kept, to be compared with. */
struct said {
    int64_t sent_ns;
    uint32_t sequence;
    char head[TEXT_HEAD];
};

struct publisher {
    uint32_t room;
    uint32_t place; /* among the publishers of its room */
    uint32_t sent;
    struct said *said;
};

struct ledger {
    uint32_t size;
    uint32_t said_mask;
    uint32_t stride; /* publishers of the fullest room */
    struct publisher *publishers;
    uint32_t publisher_count, rooms;
    uint32_t *next; /* a member's row: the number due from each publisher of its room */
    const char *pattern;
    const uint8_t *digits; /* of hexadecimal; 16 and more: none */
    uint64_t deliveries;
    bool measuring;
    struct histogram *latencies;
    struct errors *errors;
};

/* Raises nothing; ends the process when there is no memory. `members` is how many rows there are. */
void ledger_open(struct ledger *l, uint32_t publishers, uint32_t rooms, uint32_t members,
    uint32_t size, struct errors *errors);

/* Write the next text of a publisher, `size` bytes, as sent at `now`. */
void ledger_say(struct ledger *l, uint32_t publisher, char *text, int64_t now);

/* What is not as it was due: count what is wrong with it, or the delivery if nothing is. */
void ledger_odd(struct ledger *l, uint32_t member, uint32_t room, const char *text, size_t length,
    int64_t now);

/* Count as missing what a member was due and has not got. */
void ledger_close(struct ledger *l, uint32_t member, uint32_t room);

/* Whether a member has got everything that was said in its room. */
bool ledger_is_complete(const struct ledger *l, uint32_t member, uint32_t room);

static inline uint32_t ledger_publisher(const struct ledger *l, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    uint32_t a = l->digits[at[0]], b = l->digits[at[1]], c = l->digits[at[2]], d = l->digits[at[3]];
    return (a | b | c | d) < 16 ? a << 12 | b << 8 | c << 4 | d : UINT32_MAX;
}

static inline const char *ledger_padding(const struct ledger *l, uint32_t publisher, uint32_t sequence)
{
    return l->pattern + (publisher * 7u + sequence) % PATTERN_TURNS;
}

/* Whether a text may be one of ours at all. */
static inline bool ledger_is_ours(const struct ledger *l, const char *text, size_t length)
{
    return length == l->size && ledger_publisher(l, text) < l->publisher_count;
}

/* A member of a room has got a text. */
static inline void ledger_take(struct ledger *l, uint32_t member, uint32_t room, const char *text,
    size_t length, int64_t now)
{
    if (length == l->size) {
        uint32_t index = ledger_publisher(l, text);
        if (index < l->publisher_count && l->publishers[index].room == room) {
            const struct publisher *p = &l->publishers[index];
            uint32_t *next = &l->next[(size_t)member * l->stride + p->place];
            const struct said *said = &p->said[*next & l->said_mask];
            if (*next < p->sent && said->sequence == *next
                && memcmp(text, said->head, TEXT_HEAD) == 0
                && memcmp(text + TEXT_HEAD, ledger_padding(l, index, *next), length - TEXT_HEAD) == 0) {
                if (l->measuring)
                    histogram_add(l->latencies, now - said->sent_ns);
                l->deliveries++;
                ++*next;
                return;
            }
        }
    }
    ledger_odd(l, member, room, text, length, now);
}

#endif
