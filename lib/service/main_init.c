#include "service/main_init.h"

#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <talloc.h>

#include "base/log.h"
#include "base/version.h"
#include "service/reexec.h"

void forbid_core_dumps(void)
{
    static const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none); /* lowering a limit of its own is always allowed */
}

static void print_usage(FILE *out, const struct main_program *program)
{
    fprintf(out, "usage: %s [--config FILE] [--check]\n", program->name);
}

static void print_help(const struct main_program *program)
{
    print_usage(stdout, program);
    printf("\n%s\n\n"
           "  --config FILE  settings file (default: $MILLRACE_CONFIG, else run/millrace.ini,\n"
           "                 else /etc/millrace/millrace.ini)\n"
           "  --check        read the settings, and end\n"
           "  --version      print the version\n"
           "  --help         print this text\n\n"
           "Exit codes: %d usage error, %d invalid settings or unusable log file.\n",
           program->summary, MAIN_EXIT_USAGE, MAIN_EXIT_CONFIG);
}

static int configure_and_run(void *ctx, const struct main_program *program, const char *path, bool only_check)
{
    struct config *config;
    const char *why;
    if (config_load(ctx, path, &config, &why) != OK) {
        fprintf(stderr, "%s: %s\n", program->name, why);
        return MAIN_EXIT_CONFIG;
    }
    if (only_check)
        return EXIT_SUCCESS;
    const char *log_file = program->log_file(config);
    log_set_format(config->log.format);
    if (log_open(program->log_name, log_file, log_level_of(config->log.level)) != OK) {
        fprintf(stderr, "%s: cannot open the log file %s\n", program->name, log_file);
        return MAIN_EXIT_CONFIG;
    }
    if (sodium_init() < 0) {
        fprintf(stderr, "%s: cannot initialize libsodium\n", program->name);
        return EXIT_FAILURE;
    }
    return program->run(ctx, path, config);
}

int main_init(const struct main_program *program, int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {0}};
    const char *path = config_find();
    bool only_check = false;
    reexec_note();
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            print_help(program);
            return EXIT_SUCCESS;
        }
        if (c == 'v') {
            printf("%s " MILLRACE_VERSION "\n", program->name);
            return EXIT_SUCCESS;
        }
        if (c != 'c' && c != 'k') {
            print_usage(stderr, program);
            return MAIN_EXIT_USAGE;
        }
        if (c == 'c')
            path = optarg;
        only_check = only_check || c == 'k';
    }
    if (optind != argc) {
        print_usage(stderr, program);
        return MAIN_EXIT_USAGE;
    }
    forbid_core_dumps();
    signal(SIGPIPE, SIG_IGN); /* also in the master, which writes to Redis: it would die without a line */
    void *ctx = talloc_new(NULL);
    int status = configure_and_run(ctx, program, path, only_check);
    talloc_free(ctx);
    return status;
}
