#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>

#include "memory.h"

#define SAID_IN_ALL (1u << 17)
#define MOST_SKIPPED 65536u

/* Numbers that a later one overtook: missing, if they do not come after all. */
static struct skipped {
    uint32_t member, publisher, sequence;
} *skipped;
static uint32_t skipped_count;

static uint8_t digits[256];

static void write_hex(char *to, uint64_t value, int count)
{
    while (count-- > 0) {
        to[count] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

static bool read_hex(const char *from, int count, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < count; i++) {
        if (digits[(uint8_t)from[i]] > 15)
            return false;
        *value = *value << 4 | digits[(uint8_t)from[i]];
    }
    return true;
}

/* Words, so that it packs about as well as what people say. */
static char *make_pattern(size_t length)
{
    static const char *const words[] = {"and", "the", "what", "do", "you", "think", "of", "this",
        "later", "tonight", "maybe", "server", "again", "because", "it", "was", "not", "there",
        "when", "we", "looked", "so", "who", "knows", "tomorrow", "morning", "is", "fine", "by", "me",
        "ok", "thanks"};
    char *pattern = need(length + 16);
    uint32_t chance = 12345;
    for (size_t at = 0; at < length;) {
        chance = chance * 1664525 + 1013904223;
        const char *word = words[chance >> 27];
        size_t letters = strlen(word);
        memcpy(pattern + at, word, letters);
        pattern[at + letters] = ' ';
        at += letters + 1;
    }
    return pattern;
}

void ledger_open(struct ledger *l, uint32_t publishers, uint32_t rooms, uint32_t members,
    uint32_t size, struct errors *errors)
{
    memset(digits, 0xff, sizeof digits);
    for (int i = 0; i < 16; i++)
        digits[(uint8_t)"0123456789abcdef"[i]] = (uint8_t)i;
    uint32_t kept = 4096;
    while (kept > 64 && (uint64_t)kept * publishers > SAID_IN_ALL)
        kept /= 2;
    *l = (struct ledger){.size = size, .said_mask = kept - 1, .publisher_count = publishers,
        .rooms = rooms, .stride = (publishers + rooms - 1) / rooms, .digits = digits, .errors = errors};
    l->pattern = make_pattern(size + PATTERN_TURNS);
    l->latencies = need(sizeof *l->latencies);
    l->publishers = need(publishers * sizeof *l->publishers);
    l->next = need((size_t)members * l->stride * sizeof *l->next);
    for (uint32_t i = 0; i < publishers; i++) {
        l->publishers[i].room = i % rooms;
        l->publishers[i].place = i / rooms;
        l->publishers[i].said = need(kept * sizeof(struct said));
    }
    skipped = need(MOST_SKIPPED * sizeof *skipped);
}

void ledger_say(struct ledger *l, uint32_t publisher, char *text, int64_t now)
{
    struct publisher *p = &l->publishers[publisher];
    struct said *said = &p->said[p->sent & l->said_mask];
    write_hex(said->head, publisher, 4);
    write_hex(said->head + 4, p->sent, 8);
    write_hex(said->head + 12, (uint64_t)now, 16);
    said->sequence = p->sent;
    said->sent_ns = now;
    memcpy(text, said->head, TEXT_HEAD);
    memcpy(text + TEXT_HEAD, ledger_padding(l, publisher, p->sent), l->size - TEXT_HEAD);
    p->sent++;
}

/* Whether a number that was overtaken comes now; it is no longer missing then. */
static bool was_skipped(uint32_t member, uint32_t publisher, uint32_t sequence)
{
    for (uint32_t i = 0; i < skipped_count; i++) {
        struct skipped *s = &skipped[i];
        if (s->member == member && s->publisher == publisher && s->sequence == sequence) {
            *s = skipped[--skipped_count];
            return true;
        }
    }
    return false;
}

void ledger_odd(struct ledger *l, uint32_t member, uint32_t room, const char *text, size_t length,
    int64_t now)
{
    uint64_t index, sequence, sent_ns;
    if (length < TEXT_HEAD || !read_hex(text, 4, &index) || !read_hex(text + 4, 8, &sequence)
        || !read_hex(text + 12, 16, &sent_ns) || index >= l->publisher_count
        || l->publishers[index].room != room || sequence >= l->publishers[index].sent) {
        l->errors->garbled++;
        return;
    }
    const struct publisher *p = &l->publishers[index];
    const struct said *said = &p->said[sequence & l->said_mask];
    if (length != l->size || (said->sequence == sequence && (uint64_t)said->sent_ns != sent_ns)
        || memcmp(text + TEXT_HEAD, ledger_padding(l, (uint32_t)index, (uint32_t)sequence),
               length - TEXT_HEAD) != 0)
        l->errors->garbled++;
    uint32_t *next = &l->next[(size_t)member * l->stride + p->place];
    if (sequence < *next) {
        if (!was_skipped(member, (uint32_t)index, (uint32_t)sequence)) {
            l->errors->doubled++;
            return;
        }
        l->errors->out_of_order++;
        l->errors->missing--;
    } else {
        while (*next < sequence) {
            l->errors->missing++;
            if (skipped_count < MOST_SKIPPED)
                skipped[skipped_count++] = (struct skipped){member, (uint32_t)index, *next};
            ++*next;
        }
        ++*next;
    }
    l->deliveries++;
    if (l->measuring)
        histogram_add(l->latencies, now - (int64_t)sent_ns);
}

void ledger_close(struct ledger *l, uint32_t member, uint32_t room)
{
    for (uint32_t i = room; i < l->publisher_count; i += l->rooms) {
        const struct publisher *p = &l->publishers[i];
        l->errors->missing += p->sent - l->next[(size_t)member * l->stride + p->place];
    }
}

bool ledger_is_complete(const struct ledger *l, uint32_t member, uint32_t room)
{
    for (uint32_t i = room; i < l->publisher_count; i += l->rooms) {
        const struct publisher *p = &l->publishers[i];
        if (l->next[(size_t)member * l->stride + p->place] != p->sent)
            return false;
    }
    return true;
}
