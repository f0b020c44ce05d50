#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "service/main_init.h"

enum { RUN_STATUS = 7 };
static char settings_path[] = "/tmp/main-init-XXXXXX";
static char ran_with[64];
static bool ignored_broken_pipes;

static const char *log_file(const struct config *config)
{
    return config->api.log_file;
}

static int run(void *ctx, const char *config_path, struct config *config)
{
    struct sigaction action;
    snprintf(ran_with, sizeof ran_with, "%s", config_path);
    sigaction(SIGPIPE, NULL, &action);
    ignored_broken_pipes = action.sa_handler == SIG_IGN;
    return RUN_STATUS;
}

static int call(const char *first, const char *second)
{
    static const struct main_program program = {"millrace-test", "test", "Tests.", log_file, run};
    char *argv[] = {(char *)program.name, (char *)first, (char *)second, NULL};
    optind = 1;
    return main_init(&program, first ? second ? 3 : 2 : 1, argv);
}

static void write_settings(const char *text)
{
    int fd = mkstemp(settings_path);
    cr_assert_geq(write(fd, text, strlen(text)), 0);
    close(fd);
}

static void forget_settings(void)
{
    unlink(settings_path);
}

TestSuite(main_init, .init = cr_redirect_stderr, .fini = forget_settings);

Test(main_init, a_peer_that_has_gone_ends_nothing)
{
    write_settings("[api]\nworkers = 3\n");
    signal(SIGPIPE, SIG_DFL);
    cr_assert_eq(call("--config", settings_path), RUN_STATUS);
    cr_assert(ignored_broken_pipes);
}

Test(main_init, runs_with_the_settings)
{
    char equals[128];
    write_settings("[api]\nworkers = 3\n");
    cr_assert_eq(call("--config", settings_path), RUN_STATUS);
    cr_assert_str_eq(ran_with, settings_path);
    snprintf(equals, sizeof equals, "--config=%s", settings_path);
    cr_assert_eq(call(equals, NULL), RUN_STATUS);
    setenv("MILLRACE_CONFIG", settings_path, 1);
    cr_assert_eq(call(NULL, NULL), RUN_STATUS);
}

Test(main_init, forbids_core_dumps)
{
    struct rlimit limit;
    write_settings("");
    cr_assert_eq(call("--config", settings_path), RUN_STATUS);
    cr_assert_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    cr_expect_eq(limit.rlim_cur, 0);
    cr_expect_eq(limit.rlim_max, 0);
}

Test(main_init, usage_errors)
{
    write_settings("");
    cr_assert_eq(call("--config", NULL), MAIN_EXIT_USAGE);
    cr_assert_eq(call("--verbose", NULL), MAIN_EXIT_USAGE);
    cr_assert_eq(call("extra", NULL), MAIN_EXIT_USAGE);
    cr_assert_eq(*ran_with, '\0');
}

Test(main_init, help)
{
    cr_redirect_stdout();
    cr_assert_eq(call("--help", NULL), EXIT_SUCCESS);
    fflush(stdout);
    char text[64] = "";
    cr_assert(fgets(text, sizeof text, cr_get_redirected_stdout()));
    cr_assert_str_eq(text, "usage: millrace-test [--config FILE] [--check]\n");
}

Test(main_init, broken_settings)
{
    write_settings("[api]\nworkers = none\n");
    cr_assert_eq(call("--config", settings_path), MAIN_EXIT_CONFIG);
    cr_assert_eq(call("--config", "/nonexistent/millrace.ini"), MAIN_EXIT_CONFIG);
    cr_assert_eq(*ran_with, '\0');
}

Test(main_init, unusable_log_file)
{
    write_settings("[api]\nlog_file = /nonexistent/api.log\n");
    cr_assert_eq(call("--config", settings_path), MAIN_EXIT_CONFIG);
}

Test(main_init, check_reads_the_settings_and_runs_nothing)
{
    write_settings("[api]\nworkers = 3\n");
    static const struct main_program program = {"millrace-test", "test", "Tests.", log_file, run};
    char *argv[] = {(char *)program.name, (char *)"--config", settings_path, (char *)"--check", NULL};
    optind = 1;
    ran_with[0] = '\0';
    cr_assert_eq(main_init(&program, 4, argv), EXIT_SUCCESS);
    cr_assert_str_empty(ran_with);
    int fd = open(settings_path, O_WRONLY | O_TRUNC);
    cr_assert_eq(write(fd, "[api]\nworkers = x\n", 18), 18);
    close(fd);
    optind = 1;
    cr_assert_eq(main_init(&program, 4, argv), MAIN_EXIT_CONFIG);
}
