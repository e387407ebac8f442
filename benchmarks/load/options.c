#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: load SCENARIO --url ws://HOST:PORT/PATH [options]\n"
    "  scenarios: fanout idle storm slow resume history\n"
    "  --dialect raw|centrifuge|socketio (raw)\n"
    "  --connections N (200)  --publishers P (8)  --in-flight K (64, in all)\n"
    "  --size BYTES (64, at least 40)  --rooms R (1)  --room NAME (bench)\n"
    "  --seconds S (3)  --warmup W (1)  --rate M (messages/s in all, instead of in-flight)\n"
    "  --patience S (10): how long to wait for what is missing\n"
    "  --pids A,B,...: of the server, to say what it used\n"
    "  --deflate: offer permessage-deflate\n"
    "  --connect-rate-limit: always on, at most 128 handshakes under way\n"
    "  storm: --subscribe 0|1 (1)   slow: --slow-bytes B (10240)\n"
    "  resume: --missed M (1000)    history: --requests Q (200) --limit L (100)\n";

static _Noreturn void refuse(const char *words, ...)
{
    va_list rest;
    va_start(rest, words);
    fputs("load: ", stderr);
    vfprintf(stderr, words, rest);
    fputs("; see load --help\n", stderr);
    va_end(rest);
    exit(2);
}

static double number(const char *name, const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (*text == 0 || *end != 0 || !(value >= least && value <= most))
        refuse("%s must be %g to %g, not %s", name, least, most, text);
    return value;
}

static uint32_t whole(const char *name, const char *text, double least, double most)
{
    double value = number(name, text, least, most);
    if (value != (double)(uint32_t)value)
        refuse("%s must be whole, not %s", name, text);
    return (uint32_t)value;
}

static void read_url(struct options *o, const char *url)
{
    const char *at = url;
    if (strncmp(at, "ws://", 5) == 0)
        at += 5;
    else if (strncmp(at, "wss://", 6) == 0) {
        at += 6;
        o->tls = true;
    } else
        refuse("--url must begin with ws:// or wss://, not %s", url);
    const char *slash = strchr(at, '/');
    const char *end = slash != NULL ? slash : at + strlen(at);
    const char *colon = memchr(at, ':', (size_t)(end - at));
    size_t host = (size_t)((colon != NULL ? colon : end) - at);
    if (host == 0 || host >= sizeof o->host || strlen(end) >= sizeof o->path - 128)
        refuse("no such --url: %s", url);
    memcpy(o->host, at, host);
    char port[8] = "";
    if (colon != NULL && end - colon - 1 < (long)sizeof port)
        memcpy(port, colon + 1, (size_t)(end - colon - 1));
    o->port = colon != NULL ? (uint16_t)whole("port", port, 1, 65535) : o->tls ? 443 : 80;
    strcpy(o->path, slash != NULL ? slash : "/");
}

static void read_pids(struct options *o, const char *text)
{
    char *end;
    for (const char *at = text; *at != 0; at = *end == ',' ? end + 1 : end) {
        long pid = strtol(at, &end, 10);
        if (end == at || pid <= 0 || (*end != ',' && *end != 0) || o->pid_count == MOST_PIDS)
            refuse("--pids must be at most %d numbers with commas, not %s", MOST_PIDS, text);
        o->pids[o->pid_count++] = (int)pid;
    }
}

static void read_option(struct options *o, const char *name, const char *text)
{
    if (strcmp(name, "--url") == 0)
        read_url(o, text);
    else if (strcmp(name, "--dialect") == 0)
        o->dialect = text;
    else if (strcmp(name, "--connections") == 0)
        o->connections = whole(name, text, 1, MOST_CONNECTIONS);
    else if (strcmp(name, "--publishers") == 0)
        o->publishers = whole(name, text, 1, MOST_PUBLISHERS);
    else if (strcmp(name, "--in-flight") == 0)
        o->in_flight = whole(name, text, 1, 1e6);
    else if (strcmp(name, "--size") == 0)
        o->size = whole(name, text, LEAST_SIZE, LARGEST_SIZE);
    else if (strcmp(name, "--rooms") == 0)
        o->rooms = whole(name, text, 1, MOST_PUBLISHERS);
    else if (strcmp(name, "--room") == 0)
        o->room = text;
    else if (strcmp(name, "--seconds") == 0)
        o->seconds = number(name, text, 0.01, 86400);
    else if (strcmp(name, "--warmup") == 0)
        o->warmup = number(name, text, 0, 3600);
    else if (strcmp(name, "--rate") == 0)
        o->rate = number(name, text, 0.001, 1e7);
    else if (strcmp(name, "--patience") == 0)
        o->patience_s = number(name, text, 0.01, 3600);
    else if (strcmp(name, "--pids") == 0)
        read_pids(o, text);
    else if (strcmp(name, "--subscribe") == 0)
        o->subscribe = whole(name, text, 0, 1) != 0;
    else if (strcmp(name, "--slow-bytes") == 0)
        o->slow_bytes = whole(name, text, 1, 1e9);
    else if (strcmp(name, "--missed") == 0)
        o->missed = whole(name, text, 1, 1e7);
    else if (strcmp(name, "--requests") == 0)
        o->requests = whole(name, text, 1, 1e7);
    else if (strcmp(name, "--limit") == 0)
        o->limit = whole(name, text, 1, 1e6);
    else
        refuse("there is no %s", name);
}

static bool is_one_of(const char *text, const char *const *all)
{
    for (; *all != NULL; all++)
        if (strcmp(text, *all) == 0)
            return true;
    return false;
}

void options_read(struct options *o, int argc, char **argv)
{
    static const char *const scenarios[] = {"fanout", "idle", "storm", "slow", "resume", "history", NULL};
    static const char *const dialects[] = {"raw", "centrifuge", "socketio", NULL};
    *o = (struct options){.dialect = "raw", .connections = 200, .publishers = 8, .in_flight = 64,
        .size = 64, .rooms = 1, .seconds = 3, .warmup = 1, .patience_s = 10, .subscribe = true,
        .slow_bytes = 10240, .missed = 1000, .requests = 200, .limit = 100};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(USAGE, stdout);
        exit(0);
    }
    if (argc < 2 || !is_one_of(argv[1], scenarios))
        refuse("which scenario?");
    o->scenario = argv[1];
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--deflate") == 0)
            o->deflate = true;
        else if (strcmp(argv[i], "--connect-rate-limit") == 0)
            continue;
        else if (i + 1 == argc)
            refuse("%s needs a value, or there is no such option", argv[i]);
        else {
            read_option(o, argv[i], argv[i + 1]);
            i++;
        }
    }
    if (o->port == 0)
        refuse("--url is missing");
    if (!is_one_of(o->dialect, dialects))
        refuse("there is no dialect %s", o->dialect);
    bool is_silent = strcmp(o->scenario, "idle") == 0 || strcmp(o->scenario, "storm") == 0;
    bool stored = strcmp(o->scenario, "resume") == 0 || strcmp(o->scenario, "history") == 0;
    if (stored && strcmp(o->dialect, "centrifuge") != 0)
        refuse("%s needs --dialect centrifuge", o->scenario);
    if (stored)
        o->rooms = 1;
    if (strcmp(o->scenario, "slow") == 0 && o->rate == 0)
        refuse("slow needs --rate");
    if (o->rooms > o->connections)
        refuse("%u rooms need as many connections", o->rooms);
    if (o->publishers < o->rooms)
        o->publishers = o->rooms;
    /* A publisher is one of the members, in the emptiest room too. */
    if (!stored && !is_silent
        && (o->publishers + o->rooms - 1) / o->rooms > o->connections / o->rooms)
        refuse("%u publishers are more than the members of their rooms", o->publishers);
    if (o->publishers > MOST_PUBLISHERS)
        refuse("at most %d publishers", MOST_PUBLISHERS);
}
