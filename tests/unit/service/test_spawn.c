#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/spawn.h"
#include "service/unix_listener.h"

static char folder[] = "/tmp/spawn-XXXXXX";
static char path[64];
static struct unix_listener listener;
static struct spawn_request request;

static void listen_there(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    cr_assert(unix_listener_open(&listener, path, 0600, 8));
}

static void remove_there(void)
{
    close(listener.fd);
    unlink(path);
    rmdir(folder);
}

TestSuite(spawn, .init = listen_there, .fini = remove_there);

static int accepted(void)
{
    int fd = accept(listener.fd, NULL, NULL);
    cr_assert_geq(fd, 0);
    return fd;
}

static bool received(void)
{
    int fd = accepted();
    bool ok = spawn_request_receive(fd, &request);
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Bytes and descriptors that no caller of spawn_request_send sends. */
static void send_raw(const char *bytes, size_t size, const int *fds, int n)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control = {0};
    struct iovec data = {(char *)bytes, size};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (n) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
    }
    if (size)
        cr_assert_eq(sendmsg(fd, &m, 0), (ssize_t)size);
    close(fd);
}

Test(spawn, a_request_arrives_with_its_descriptors)
{
    static const char *const args[] = {"--remove", "/a b\nc", "", NULL};
    int pipe_ends[2];
    char text[4] = "";
    cr_assert_eq(pipe(pipe_ends), 0);
    cr_assert(spawn_request_send(path, args, -1, pipe_ends[1]));
    cr_assert(received());
    cr_expect_str_eq(request.args[0], "--remove");
    cr_expect_str_eq(request.args[1], "/a b\nc");
    cr_expect_str_eq(request.args[2], "");
    cr_expect_null(request.args[3]);
    cr_expect_eq(request.in, -1);
    cr_expect(fcntl(request.out, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(write(request.out, "abc", 3), 3);
    cr_assert_eq(read(pipe_ends[0], text, 3), 3);
    cr_expect_str_eq(text, "abc");
}

Test(spawn, both_descriptors_and_no_argument)
{
    static const char *const none[] = {NULL};
    int in[2], out[2];
    cr_assert(pipe(in) == 0 && pipe(out) == 0);
    cr_assert(spawn_request_send(path, none, in[0], out[1]));
    cr_assert(received());
    cr_expect_null(request.args[0]);
    cr_assert_eq(write(in[1], "i", 1), 1);
    char c = 0;
    cr_assert_eq(read(request.in, &c, 1), 1);
    cr_assert_eq(write(request.out, "o", 1), 1);
    cr_assert_eq(read(out[0], &c, 1), 1);
    cr_expect_eq(c, 'o');
}

Test(spawn, bytes_that_are_no_request_are_refused_and_leave_no_descriptor)
{
    static const struct {
        const char *bytes;
        size_t size;
        int n, error;
    } bad[] = {
        {"", 0, 0, ENODATA},
        {"\n", 1, 0, EBADMSG},
        {"\0abc", 4, 2, EBADMSG},
        {"\0abc\n", 5, 1, EBADMSG},
        {"\3\n", 2, 1, EBADMSG},
        {"\1\n", 2, 0, EBADMSG},
        {"\0a\0\n\n", 5, 2, EBADMSG},
        {"\2x\0\n", 4, 0, EBADMSG},
        {"\0a\0a\0a\0a\0a\0a\0a\0a\0a\0\n", 20, 2, EBADMSG},
    };
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    int before = open_descriptors();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        send_raw(bad[i].bytes, bad[i].size, ends, bad[i].n);
        cr_expect_not(received(), "%zu", i);
        cr_expect_eq(errno, bad[i].error, "%zu: %s", i, strerror(errno));
        cr_expect_eq(open_descriptors(), before, "%zu", i);
    }
}

Test(spawn, more_descriptors_than_asked_for_are_closed)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    int before = open_descriptors(), fds[] = {ends[0], ends[1], ends[0], ends[1]};
    for (int n = 0; n <= 4; n++) {
        send_raw("\0a\0\n", 4, fds, n);
        (void)received();
        cr_expect_eq(request.in, -1);
        cr_expect_eq(request.out, -1);
        cr_expect_eq(open_descriptors(), before, "%d", n);
    }
}

Test(spawn, what_cannot_be_sent_is_an_error)
{
    static char long_text[SPAWN_BYTES_MAX];
    static const char *const none[] = {NULL}, *const many[] = {"", "", "", "", "", "", "", "", "", NULL};
    memset(long_text, 'a', sizeof long_text - 1);
    const char *const long_args[] = {long_text, NULL};
    cr_expect_not(spawn_request_send(path, long_args, -1, -1));
    cr_expect_not(spawn_request_send(path, many, -1, -1));
    cr_expect_not(spawn_request_send("/nowhere/socket", none, -1, -1));
    cr_expect_eq(errno, ENOENT);
    close(listener.fd);
    cr_expect_not(spawn_request_send(path, none, -1, -1));
    cr_expect_eq(errno, ECONNREFUSED);
}

Test(spawn, a_full_backlog_is_an_error_at_once)
{
    static const char *const none[] = {NULL};
    int sent = 0;
    while (sent < 1000 && spawn_request_send(path, none, -1, -1))
        sent++;
    cr_expect(sent > 0 && sent < 1000, "%d", sent);
    cr_expect_eq(errno, EAGAIN);
}

Test(spawn, a_program_has_its_arguments_and_descriptors_and_only_a_path)
{
    static const char *const args[] = {"-c", "cat; env; exit 7", NULL};
    int in[2], out[2], status;
    char text[256] = "";
    cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    setenv("SECRET", "value", 1);
    pid_t pid = spawn_program("/bin/sh", args, in[0], out[1]);
    cr_assert_gt(pid, 0);
    close(out[1]);
    cr_assert_eq(write(in[1], "hello\n", 6), 6);
    close(in[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(out[0], text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(WEXITSTATUS(status), 7);
    cr_expect(strncmp(text, "hello\n", 6) == 0 && strstr(text, "PATH=/usr/local/bin:/usr/bin:/bin\n"), "%s",
              text);
    cr_expect_null(strstr(text, "SECRET"));
}

Test(spawn, a_program_that_is_not_there_is_an_error)
{
    static const char *const none[] = {NULL};
    cr_expect_eq(spawn_program("/nowhere/program", none, -1, -1), -1);
    cr_expect_eq(errno, ENOENT);
}
