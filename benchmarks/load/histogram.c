#include "histogram.h"

double histogram_ns(const struct histogram *h, double part)
{
    double wanted = part * (double)h->total;
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += h->counts[bucket];
        if (h->counts[bucket] == 0 || (double)seen < wanted)
            continue;
        if (bucket < (1u << HISTOGRAM_BITS))
            return bucket;
        uint32_t shift = (bucket >> HISTOGRAM_BITS) - 1;
        uint64_t low = (uint64_t)(bucket % (1u << HISTOGRAM_BITS) + (1u << HISTOGRAM_BITS)) << shift;
        double middle = (double)low + (double)(1ULL << shift) / 2;
        return middle < (double)h->largest ? middle : (double)h->largest;
    }
    return (double)h->largest;
}
