#define _GNU_SOURCE
#include "service/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static bool set_files(posix_spawn_file_actions_t *files, int in, int out)
{
    int failed = in >= 0 ? posix_spawn_file_actions_adddup2(files, in, STDIN_FILENO)
                         : posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed && out >= 0)
        failed = posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
    return !failed;
}

static void set_signals(posix_spawnattr_t *how)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(how, &none);
    posix_spawnattr_setsigdefault(how, &all);
    posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static char search[] = "PATH=/usr/local/bin:/usr/bin:/bin";
static char *const environment[] = {search, NULL};

/* False: there are too many. */
static bool set_argv(char *argv[SPAWN_ARGS_MAX + 2], const char *program, const char *const args[])
{
    size_t n = 0;
    argv[0] = (char *)program; /* not changed: POSIX keeps argv's type for old programs */
    for (; args[n]; n++) {
        if (n == SPAWN_ARGS_MAX) {
            errno = E2BIG;
            return false;
        }
        argv[n + 1] = (char *)args[n];
    }
    argv[n + 1] = NULL;
    return true;
}

pid_t spawn_program(const char *program, const char *const args[], int in, int out)
{
    char *argv[SPAWN_ARGS_MAX + 2];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    pid_t pid = -1;
    if (!set_argv(argv, program, args))
        return -1;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    set_signals(&how);
    int failed =
        set_files(&files, in, out) ? posix_spawn(&pid, program, &files, &how, argv, environment) : ENOMEM;
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    errno = failed;
    return failed ? -1 : pid;
}

void spawn_exec(const char *program, const char *const args[], int in, int out)
{
    char *argv[SPAWN_ARGS_MAX + 2];
    sigset_t none;
    int from = in >= 0 ? in : open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (set_argv(argv, program, args) && dup2(from, STDIN_FILENO) >= 0 &&
        (out < 0 || dup2(out, STDOUT_FILENO) >= 0))
        execve(program, argv, environment);
}

/* --- requests: each argument with a zero byte, then this mark; and with them the descriptors --- */

static const char end_mark = '\n';

/* The first byte tells which descriptors come with the request. */
enum { HAS_IN = 1, HAS_OUT = 2 };

union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
};

/* 0: they are too long. */
static size_t write_args(char *bytes, const char *const args[], int in, int out)
{
    size_t used = 0;
    bytes[used++] = (char)((in >= 0 ? HAS_IN : 0) | (out >= 0 ? HAS_OUT : 0));
    for (size_t i = 0; args[i]; i++) {
        size_t size = strlen(args[i]) + 1;
        if (i == SPAWN_ARGS_MAX || size > SPAWN_BYTES_MAX - used - 1)
            return 0;
        memcpy(bytes + used, args[i], size);
        used += size;
    }
    bytes[used++] = end_mark;
    return used;
}

static bool send_request(int fd, char *bytes, size_t size, int in, int out)
{
    union control control = {0};
    struct iovec data = {bytes, size};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1};
    int fds[2], n = 0;
    if (in >= 0)
        fds[n++] = in;
    if (out >= 0)
        fds[n++] = out;
    if (n) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
    }
    return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)size;
}

bool spawn_request_send(const char *path, const char *const args[], int in, int out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char bytes[SPAWN_BYTES_MAX];
    size_t size = write_args(bytes, args, in, out);
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (size == 0 || n < 0 || (size_t)n >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool sent = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
                send_request(fd, bytes, size, in, out);
    int error = errno;
    close(fd);
    errno = error;
    return sent;
}

static void take_descriptors(struct spawn_request *r, const struct msghdr *m, int flags)
{
    int fds[2] = {-1, -1}, n = 0;
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        size_t bytes = c->cmsg_len - CMSG_LEN(0);
        memcpy(fds, CMSG_DATA(c), bytes < sizeof fds ? bytes : sizeof fds);
    }
    if (flags & HAS_IN)
        r->in = fds[n++];
    if (flags & HAS_OUT)
        r->out = fds[n++];
    for (; n < 2; n++)
        if (fds[n] >= 0)
            close(fds[n]);
}

/* False: the bytes are no request. */
static bool find_args(struct spawn_request *r, size_t size)
{
    size_t n = 0;
    if (size < 2 || r->bytes[size - 1] != end_mark || (size > 2 && r->bytes[size - 2] != '\0'))
        return false;
    for (size_t at = 1; at < size - 1; at += strlen(r->bytes + at) + 1) {
        if (n == SPAWN_ARGS_MAX)
            return false;
        r->args[n++] = r->bytes + at;
    }
    return true;
}

bool spawn_request_receive(int connection, struct spawn_request *r)
{
    struct timeval most = {SPAWN_RECEIVE_MS / 1000, SPAWN_RECEIVE_MS % 1000 * 1000};
    union control control = {0};
    struct iovec data = {r->bytes, sizeof r->bytes};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    r->in = r->out = -1;
    memset(r->args, 0, sizeof r->args);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    ssize_t size = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);
    if (size == 0)
        errno = ENODATA;
    if (size <= 0)
        return false;
    int flags = (unsigned char)r->bytes[0];
    take_descriptors(r, &m, flags);
    if (find_args(r, (size_t)size) && !(flags & HAS_IN && r->in < 0) && !(flags & HAS_OUT && r->out < 0))
        return true;
    if (r->in >= 0)
        close(r->in);
    if (r->out >= 0)
        close(r->out);
    r->in = r->out = -1;
    errno = EBADMSG;
    return false;
}
