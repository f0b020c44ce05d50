/* The start-up that the daemons' main() functions share: options, core dumps, settings, libsodium and the
 * log.
 *
 *   --config FILE  the settings file; default: config_find()
 *   --check        reads the settings, and exits with 0 if they are valid
 *   --help         prints the usage and exits with 0 */
#pragma once

#include "base/config.h"

enum {
    /* unknown option, missing value or extra argument; the usage is printed on stderr */
    MAIN_EXIT_USAGE = 2,
    /* the settings are invalid or the log file cannot be opened (EX_CONFIG of sysexits.h); the reason is
     * printed on stderr */
    MAIN_EXIT_CONFIG = 78
};

struct main_program {
    /* "millrace-api": begins messages on stderr */
    const char *name;
    /* "api": in each log line */
    const char *log_name;
    /* one sentence for --help */
    const char *summary;
    /* the log file's path; "" for stderr */
    const char *(*log_file)(const struct config *config);
    /* Runs the daemon and returns its exit status. `ctx` owns `config` and is freed afterwards. `config_path`
     * is the file that `config` was read from, for a reload. */
    int (*run)(void *ctx, const char *config_path, struct config *config);
};

/* Sets the limit of core files to 0, here and in everything that is started from here: the memory of this
 * process may hold the key of the secrets. A core_pattern that names a program is not bound by the limit, but
 * learns it (%c); systemd-coredump stores nothing then. */
void forbid_core_dumps(void);

/* Returns main()'s exit status. Core dumps are forbidden from the start, and SIGPIPE is ignored, here and in
 * all children: a peer that has closed its connection is an error of the write (EPIPE). */
int main_init(const struct main_program *program, int argc, char **argv);
