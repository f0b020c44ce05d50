/* millrace-executor [--config FILE]: claims queued runs and carries them out. */
#include <getopt.h>
#include <stdio.h>
#include <talloc.h>

#include "base/config.h"
#include "base/log.h"
#include "executor/process/master.h"

static int run_executor(void *ctx, const char *path)
{
    struct config *config;
    const char *why;
    if (config_load(ctx, path, &config, &why) != OK) {
        fprintf(stderr, "millrace-executor: %s\n", why);
        return 2;
    }
    if (log_open("executor", config->executor.log_file, log_level_of(config->log.level)) != OK) {
        fprintf(stderr, "millrace-executor: %s cannot be opened\n", config->executor.log_file);
        return 2;
    }
    return master_run(ctx, config);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
    const char *path = config_find();
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c != 'c') {
            fprintf(stderr, "usage: millrace-executor [--config FILE]\n");
            return 2;
        }
        path = optarg;
    }
    void *ctx = talloc_new(NULL);
    int status = run_executor(ctx, path);
    talloc_free(ctx);
    return status;
}
