/* The one JSON object on stdout. */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include "load.h"

void report_begin(const struct load *load, bool ok);
void report_number(const char *name, double value);
void report_whole(const char *name, uint64_t value);
void report_truth(const char *name, bool value);
void report_word(const char *name, const char *value);
void report_latencies(const struct histogram *h);
void report_errors(const struct errors *errors);
void report_end(void);

/* Whether nothing went wrong; if something did and no reason was told yet, the counts become the reason. */
bool report_verdict(struct load *load);

#endif
