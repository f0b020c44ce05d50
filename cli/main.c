/* millrace: the command of the operators. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "run/run_counts.h"
#include "service/main_init.h"

/* added to the signal's number, as shells do */
enum { SIGNAL_EXIT_BASE = 128 };

/* A reader that has gone ends the command, as with `| head`. A server that has closed its connection does
 * not: the write fails, and what was committed is said. */
static void on_broken_pipe(int number)
{
    static const int outputs[] = {STDOUT_FILENO, STDERR_FILENO};
    int saved = errno;
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        struct pollfd output = {.fd = outputs[i], .events = POLLOUT};
        if (poll(&output, 1, 0) == 1 && output.revents & (POLLERR | POLLHUP))
            _exit(SIGNAL_EXIT_BASE + number);
    }
    errno = saved;
}

static void watch_pipes(void)
{
    struct sigaction action = {.sa_handler = on_broken_pipe, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGPIPE, &action, NULL);
}

int main(int argc, char **argv)
{
    forbid_core_dumps();
    watch_pipes();
    if (log_open("millrace", NULL, LOG_LEVEL_WARN) != OK)
        return CLI_FAILED;
    struct cli cli = {.ctx = talloc_new(NULL)};
    int code = commands_run(&cli, argc - 1, argv + 1);
    if (cli.db)
        run_counts_flush(cli.db);
    talloc_free(cli.ctx);
    if (fflush(stdout) != 0)
        code = CLI_FAILED;
    return code;
}
