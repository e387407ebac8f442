/* Counts of durations in log-linear buckets: 128 to each power of two, so off by less than 0.5 %. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 7
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t largest;
};

static inline uint32_t histogram_bucket(uint64_t ns)
{
    if (ns < (1u << HISTOGRAM_BITS))
        return (uint32_t)ns;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(ns) - HISTOGRAM_BITS;
    return ((shift + 1) << HISTOGRAM_BITS) + (uint32_t)((ns >> shift) - (1u << HISTOGRAM_BITS));
}

static inline void histogram_add(struct histogram *h, int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    h->counts[histogram_bucket(value)]++;
    h->total++;
    if (value > h->largest)
        h->largest = value;
}

/* The value below which `part` (0 to 1) of what was added lies; 0 when nothing was. */
double histogram_ns(const struct histogram *h, double part);

#endif
