/* Memory, or the end of the process. */
#ifndef LOAD_MEMORY_H
#define LOAD_MEMORY_H

#include <stdio.h>
#include <stdlib.h>

/* Zeroed; never NULL. */
static inline void *need(size_t bytes)
{
    void *got = calloc(1, bytes);
    if (got == NULL) {
        fprintf(stderr, "load: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return got;
}

/* Grown, what is new is not zeroed; never NULL. */
static inline void *need_more(void *had, size_t bytes)
{
    void *got = realloc(had, bytes);
    if (got == NULL) {
        fprintf(stderr, "load: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return got;
}

#endif
