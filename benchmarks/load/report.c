#include "report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static void quoted(const char *text)
{
    putchar('"');
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
            putchar('?');
        else
            putchar(*text);
    }
    putchar('"');
}

void load_fail(struct load *load, const char *words, ...)
{
    va_list rest;
    if (load->why[0] != 0)
        return;
    va_start(rest, words);
    vsnprintf(load->why, sizeof load->why, words, rest);
    va_end(rest);
}

bool report_verdict(struct load *load)
{
    const struct errors *e = &load->errors;
    if (e->missing + e->doubled + e->out_of_order + e->garbled + e->offsets + e->refused + e->closed > 0)
        load_fail(load,
            "deliveries: %llu missing, %llu doubled, %llu out of order, %llu garbled, %llu with a wrong offset",
            (unsigned long long)e->missing, (unsigned long long)e->doubled,
            (unsigned long long)e->out_of_order, (unsigned long long)e->garbled,
            (unsigned long long)e->offsets);
    return load->why[0] == 0;
}

void report_begin(const struct load *load, bool ok)
{
    printf("{\"ok\":%s", ok ? "true" : "false");
    if (!ok)
        report_word("why", load->why);
    report_word("scenario", load->options->scenario);
    report_word("dialect", load->dialect.name);
}

void report_number(const char *name, double value)
{
    if (isfinite(value)) /* nothing was measured: absent */
        printf(",\"%s\":%.9g", name, value);
}

void report_whole(const char *name, uint64_t value)
{
    printf(",\"%s\":%llu", name, (unsigned long long)value);
}

void report_truth(const char *name, bool value)
{
    printf(",\"%s\":%s", name, value ? "true" : "false");
}

void report_word(const char *name, const char *value)
{
    printf(",\"%s\":", name);
    quoted(value);
}

void report_latencies(const struct histogram *h)
{
    printf(",\"latency_ms\":{\"p50\":%.6g,\"p90\":%.6g,\"p99\":%.6g,\"p999\":%.6g,\"max\":%.6g}",
        histogram_ns(h, 0.5) / 1e6, histogram_ns(h, 0.9) / 1e6, histogram_ns(h, 0.99) / 1e6,
        histogram_ns(h, 0.999) / 1e6, (double)h->largest / 1e6);
}

void report_errors(const struct errors *e)
{
    printf(",\"errors\":{\"missing\":%llu,\"doubled\":%llu,\"out_of_order\":%llu,\"garbled\":%llu,"
           "\"offsets\":%llu,\"refused\":%llu,\"closed\":%llu}",
        (unsigned long long)e->missing, (unsigned long long)e->doubled,
        (unsigned long long)e->out_of_order, (unsigned long long)e->garbled,
        (unsigned long long)e->offsets, (unsigned long long)e->refused, (unsigned long long)e->closed);
}

void report_end(void)
{
    puts("}");
    fflush(stdout);
}
