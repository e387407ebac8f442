/* chatd's load generator: it puts a WebSocket chat server under load and checks each delivery.
 *
 * `load --help` tells the options. One JSON object on stdout; status 0: all well, 1: deliveries wrong or
 * the server broke, 2: usage, 3: built without what was asked for. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "inflater.h"
#include "report.h"
#include "scenarios.h"
#include "tls.h"

static const struct {
    const char *name;
    bool (*run)(struct load *load);
} scenarios[] = {{"fanout", fanout_run}, {"slow", fanout_run}, {"idle", idle_run}, {"storm", storm_run},
    {"resume", resume_run}, {"history", history_run}};

static int impossible(const char *words)
{
    fprintf(stderr, "load: %s\n", words);
    return 3;
}

int main(int argc, char **argv)
{
    static struct options options;
    static struct load load;
    options_read(&options, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (options.tls && !tls_is_here())
        return impossible("wss:// needs OpenSSL, which was not there when this was built");
    if (options.deflate && !inflater_is_here())
        return impossible("--deflate needs zlib, which was not there when this was built");
    load.options = &options;
    load.dialect = raw;
    if (strcmp(options.dialect, "centrifuge") == 0)
        load.dialect = centrifuge;
    if (strcmp(options.dialect, "socketio") == 0)
        load.dialect = socketio;
    load.subscribes = options.subscribe;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (strcmp(options.scenario, scenarios[i].name) == 0)
            return scenarios[i].run(&load) ? 0 : 1;
    return 2;
}
