/* millrace-api: the API behind nginx. See fcgi/server/pool.h for what signals do. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/config.h"
#include "base/log.h"
#include "fcgi/server/pool.h"

static int run_api(void *ctx, const char *path)
{
    struct config *config;
    const char *why;
    if (config_load(ctx, path, &config, &why) != OK) {
        fprintf(stderr, "millrace-api: %s\n", why);
        return 1;
    }
    const char *log_file = *config->api.log_file ? config->api.log_file : NULL;
    if (sodium_init() < 0 || log_open("api", log_file, log_level_of(config->log.level)) != OK) {
        fprintf(stderr, "millrace-api: cannot open its log %s\n", log_file ? log_file : "");
        return 1;
    }
    return pool_run(ctx, path, config);
}

int main(int argc, char **argv)
{
    const char *path = argc == 3 && strcmp(argv[1], "--config") == 0 ? argv[2] : config_find();
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: millrace-api [--config FILE]\n");
        return 2;
    }
    void *ctx = talloc_new(NULL);
    int status = run_api(ctx, path);
    talloc_free(ctx);
    return status;
}
