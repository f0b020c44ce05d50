#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "fcgi/http/app.h"
#include "fcgi/server/worker.h"

static struct sockaddr_un address = {.sun_family = AF_UNIX};

static int make_listener(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    /* an abstract socket name leaves no file behind */
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "millrace-test-%d", (int)getpid());
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 16), 0);
    return fd;
}

static int connect_to_worker(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

Test(worker, sigterm_drains_the_backlog_and_exits, .timeout = 10)
{
    struct worker *w = worker_new(NULL, make_listener());
    for (int i = 0; i < 3; i++)
        connect_to_worker();
    raise(SIGTERM);
    for (int i = 0; i < 3; i++)
        cr_assert_geq(worker_accept(w), 0);
    cr_assert_eq(worker_accept(w), -1);
    cr_assert_eq(worker_accept(w), -1);
}

/* Of two connections: one may have woken it, and then no other worker was. */
static void assert_takes_one_and_quits(struct worker *w, int listener, int signal_number)
{
    connect_to_worker();
    connect_to_worker();
    raise(signal_number);
    cr_assert_geq(worker_accept(w), 0);
    cr_assert_eq(worker_accept(w), -1);
    cr_assert_geq(accept(listener, NULL, NULL), 0);
}

Test(worker, sigquit_leaves_the_backlog_unserved, .timeout = 10)
{
    int listener = make_listener();
    struct worker *w = worker_new(NULL, listener);
    assert_takes_one_and_quits(w, listener, SIGQUIT);
}

Test(worker, sigquit_without_a_connection_ends_it_at_once, .timeout = 10)
{
    struct worker *w = worker_new(NULL, make_listener());
    raise(SIGQUIT);
    cr_assert_eq(worker_accept(w), -1);
}

/* New connections would keep the worker until it is killed in the middle of a request. */
Test(worker, sigterm_leaves_the_backlog_of_a_socket_that_stays, .timeout = 10)
{
    int listener = make_listener();
    struct worker *w = worker_new(NULL, listener);
    worker_leave_backlog(w);
    assert_takes_one_and_quits(w, listener, SIGTERM);
}

Test(worker, handles_signals_under_load, .timeout = 10)
{
    struct worker *w = worker_new(NULL, make_listener());
    connect_to_worker();
    cr_assert_geq(worker_accept(w), 0);
    raise(SIGUSR1);
    connect_to_worker();
    cr_assert_geq(worker_accept(w), 0); /* SIGUSR1 reopens the log; the worker continues */
    raise(SIGQUIT);
    connect_to_worker();
    cr_assert_geq(worker_accept(w), 0);
    cr_assert_eq(worker_accept(w), -1);
}

Test(worker, accept_waits_for_a_connection, .timeout = 10)
{
    struct worker *w = worker_new(NULL, make_listener());
    pid_t child = fork();
    if (child == 0) {
        usleep(50000);
        connect_to_worker();
        _exit(0);
    }
    cr_assert_geq(worker_accept(w), 0);
    waitpid(child, NULL, 0);
}

/* --- a complete request as FastCGI 1.0 records (version, type, request id, length, padding) --- */

struct records {
    char bytes[1024];
    size_t size;
};

static void add_record(struct records *all, int type, const char *content, size_t size)
{
    unsigned char head[8] = {1, (unsigned char)type, 0, 1, (unsigned char)(size >> 8), (unsigned char)size, 0,
                             0};
    cr_assert_leq(all->size + 8 + size, sizeof all->bytes);
    memcpy(all->bytes + all->size, head, 8);
    if (size > 0)
        memcpy(all->bytes + all->size + 8, content, size);
    all->size += 8 + size;
}

static void send_records(int fd, struct records *all)
{
    cr_assert_eq(write(fd, all->bytes, all->size), (ssize_t)all->size);
    all->size = 0;
}

static size_t add_param(char *out, const char *name, const char *value)
{
    out[0] = (char)strlen(name);
    out[1] = (char)strlen(value);
    memcpy(out + 2, name, strlen(name));
    memcpy(out + 2 + strlen(name), value, strlen(value));
    return 2 + strlen(name) + strlen(value);
}

/* Reads the response and joins the content of its FCGI_STDOUT records. */
static void read_stdout_records(int fd, char *out, size_t room)
{
    unsigned char all[16384];
    size_t n = 0;
    for (ssize_t got; n < sizeof all && (got = read(fd, all + n, sizeof all - n)) > 0;)
        n += (size_t)got;
    size_t used = 0;
    for (size_t at = 0; at + 8 <= n;) {
        size_t size = (size_t)all[at + 4] << 8 | all[at + 5];
        if (all[at + 1] == 6 && used + size < room) {
            memcpy(out + used, all + at + 8, size);
            used += size;
        }
        at += 8 + size + all[at + 6];
    }
    out[used] = '\0';
}

/* Forks with all signals blocked, as the pool's master does: a signal that arrives before the worker reads
 * signals is kept for it. */
static pid_t fork_with_signals_blocked(void)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid > 0)
        sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static pid_t start_worker(void)
{
    int listener = make_listener();
    pid_t pid = fork_with_signals_blocked();
    if (pid > 0)
        return pid;
    struct worker *w = worker_new(NULL, listener);
    static struct config config;
    struct app app = {.config = &config};
    app.shared = mmap(NULL, sizeof *app.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    app.redis = redis_new(NULL, "/nowhere");
    app.db =
        db_new(NULL, &(struct db_settings){.socket = "/nowhere", .name = "", .user = "", .password = ""});
    worker_run(w, talloc_memdup(NULL, &app, sizeof app), 0);
    _exit(7);
}

static void get_healthz(pid_t worker, int signal)
{
    char params[256], answer[4096];
    char begin[8] = {0, 1};
    size_t n = add_param(params, "REQUEST_METHOD", "GET");
    n += add_param(params + n, "REQUEST_URI", "/healthz");
    n += add_param(params + n, "REQUEST_ID", "abc");
    int fd = connect_to_worker();
    struct records records = {.size = 0};
    add_record(&records, 1, begin, 8);
    add_record(&records, 4, params, n / 2);
    send_records(fd, &records);
    if (signal) {
        usleep(20000); /* the signal must arrive while the worker reads */
        kill(worker, signal);
        usleep(20000);
    }
    /* in one write, because the worker may reply and close as soon as the parameters are complete */
    add_record(&records, 4, params + n / 2, n - n / 2);
    add_record(&records, 4, NULL, 0);
    add_record(&records, 5, NULL, 0);
    send_records(fd, &records);
    read_stdout_records(fd, answer, sizeof answer);
    close(fd);
    cr_assert(strstr(answer, "Status: 200 OK\r\n") == answer, "%s", answer);
    cr_assert_not_null(strstr(answer, "X-Request-Id: abc\r\n"));
    cr_assert_not_null(strstr(answer, "\r\n\r\n{\"status\":\"ok\"}"));
}

Test(worker, a_signal_does_not_cut_a_request_short, .timeout = 20)
{
    pid_t worker = start_worker();
    get_healthz(worker, SIGUSR1);
    get_healthz(worker, 0);
    get_healthz(worker, SIGTERM); /* the worker finishes the current request first */
    int status;
    waitpid(worker, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

Test(worker, survives_invalid_connections, .timeout = 20)
{
    pid_t worker = start_worker();
    close(connect_to_worker());
    int fd = connect_to_worker();
    cr_assert_eq(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
    shutdown(fd, SHUT_WR);
    char rest[64];
    while (read(fd, rest, sizeof rest) > 0)
        ;
    get_healthz(worker, 0);
    kill(worker, SIGQUIT);
    int status;
    waitpid(worker, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x", status);
}
