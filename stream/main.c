/* millrace-stream: the event daemon. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "stream/server.h"

static int run_stream(void *ctx, const char *path)
{
    struct config *config;
    const char *why;
    if (config_load(ctx, path, &config, &why) != OK) {
        fprintf(stderr, "millrace-stream: %s\n", why);
        return EXIT_FAILURE;
    }
    if (sodium_init() < 0 ||
        log_open("stream", config->stream.log_file, log_level_of(config->log.level)) != OK) {
        fprintf(stderr, "millrace-stream: cannot open its log %s\n", config->stream.log_file);
        return EXIT_FAILURE;
    }
    return server_run(ctx, config);
}

int main(int argc, char **argv)
{
    const char *path = argc == 3 && strcmp(argv[1], "--config") == 0 ? argv[2] : config_find();
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: millrace-stream [--config FILE]\n");
        return 2;
    }
    void *ctx = talloc_new(NULL);
    int status = run_stream(ctx, path);
    talloc_free(ctx);
    return status;
}
