#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/unix_listener.h"

static char folder[] = "/tmp/listener-XXXXXX";
static char path[64];

static void make_folder(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
}

static void remove_folder(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "nothing but the socket is left in the folder");
}

static int connect_to(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void mute_log(void)
{
    cr_assert(freopen("/dev/null", "w", stderr));
}

TestSuite(unix_listener, .init = make_folder, .fini = remove_folder);

Test(unix_listener, accepts_with_the_mode_and_flags)
{
    struct unix_listener l;
    struct stat s;
    cr_assert(unix_listener_open(&l, path, 0660, 8));
    cr_assert_eq(stat(path, &s), 0);
    cr_assert(S_ISSOCK(s.st_mode));
    cr_assert_eq(s.st_mode & 0777, 0660);
    cr_assert(fcntl(l.fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(l.fd, F_GETFD) & FD_CLOEXEC);
    int client = connect_to(path), server = accept(l.fd, NULL, NULL);
    cr_assert_geq(client, 0);
    cr_assert_geq(server, 0);
    unix_listener_unlink(&l);
    cr_assert_lt(connect_to(path), 0);
    close(client), close(server), close(l.fd);
}

Test(unix_listener, a_successor_takes_over_the_path)
{
    struct unix_listener first, second;
    cr_assert(unix_listener_open(&first, path, 0660, 8));
    int early = connect_to(path);
    cr_assert(unix_listener_open(&second, path, 0660, 8));
    int late = connect_to(path), served_first = accept(first.fd, NULL, NULL);
    cr_assert_geq(served_first, 0, "the first socket keeps its backlog");
    cr_assert_geq(accept(second.fd, NULL, NULL), 0);
    unix_listener_unlink(&first);
    cr_assert_eq(access(path, F_OK), 0, "the path belongs to the successor");
    unix_listener_unlink(&second);
    cr_assert_neq(access(path, F_OK), 0);
    close(early), close(late);
}

Test(unix_listener, a_failure_leaves_the_old_socket)
{
    struct unix_listener l, failed;
    char long_path[256] = "/tmp/";
    mute_log();
    cr_assert(unix_listener_open(&l, path, 0660, 8));
    memset(long_path + 5, 'x', sizeof long_path - 6);
    cr_assert_not(unix_listener_open(&failed, long_path, 0660, 8));
    cr_assert_not(unix_listener_open(&failed, "/nonexistent/s", 0660, 8));
    unix_listener_unlink(&failed);
    int client = connect_to(path);
    cr_assert_geq(client, 0);
    close(client);
    unix_listener_unlink(&l);
}

Test(unix_listener, the_next_program_of_the_process_takes_the_socket)
{
    struct unix_listener before, after, other;
    struct stat s;
    cr_assert(unix_listener_open(&before, path, 0660, 8));
    cr_assert(unix_listener_pass(&before, 1));
    close(before.fd); /* as exec does */
    int client = connect_to(path);
    cr_assert_geq(client, 0, "the socket is still open");
    cr_assert(unix_listener_open(&after, path, 0660, 8));
    cr_assert_eq(stat(path, &s), 0);
    cr_assert_eq(s.st_ino, before.ino, "no socket was made");
    cr_assert(fcntl(after.fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(after.fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_geq(accept(after.fd, NULL, NULL), 0, "the connection has waited");
    cr_assert_not(unix_listener_is_kept(&after));
    cr_assert(unix_listener_open(&other, path, 0660, 8), "a socket is passed once");
    cr_assert_neq(other.ino, before.ino);
    close(client), close(after.fd), close(other.fd);
    unsetenv("MILLRACE_LISTENERS");
    unix_listener_unlink(&after);
    cr_assert_eq(access(path, F_OK), 0);
    unix_listener_unlink(&other);
}

Test(unix_listener, sockets_that_were_passed_in_vain_are_closed)
{
    struct unix_listener l;
    cr_assert(unix_listener_open(&l, path, 0660, 8));
    int next = dup(l.fd);
    close(next);
    cr_assert(unix_listener_pass(&l, 1));
    cr_assert_neq(fcntl(next, F_GETFD), -1);
    unix_listener_unpass();
    cr_assert_eq(fcntl(next, F_GETFD), -1);
    cr_assert_null(getenv("MILLRACE_LISTENERS"));
    unix_listener_unlink(&l);
    close(l.fd);
}

enum { UNIT_FD = 40 };

/* As systemd does for a socket unit. */
static void make_unit_socket(int pid)
{
    char text[32];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(dup2(fd, UNIT_FD), UNIT_FD);
    close(fd);
    snprintf(text, sizeof text, "%d", pid);
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDS", "40", 1);
}

Test(unix_listener, a_socket_unit_keeps_its_name_and_its_backlog)
{
    struct unix_listener l, next;
    make_unit_socket((int)getpid());
    cr_assert(unix_listener_open(&l, path, 0660, 8));
    cr_assert_eq(l.fd, UNIT_FD);
    cr_assert(unix_listener_is_kept(&l));
    int client = connect_to(path);
    unix_listener_unlink(&l);
    cr_assert_eq(access(path, F_OK), 0, "the name is systemd's");
    cr_assert(unix_listener_pass(&l, 1));
    close(l.fd);
    cr_assert(unix_listener_open(&next, path, 0660, 8), "passed on to the next program");
    cr_assert(unix_listener_is_kept(&next));
    cr_assert_geq(accept(next.fd, NULL, NULL), 0);
    close(client), close(next.fd);
}

Test(unix_listener, a_socket_unit_of_another_process_or_path_is_left_alone)
{
    struct unix_listener l;
    char other[80];
    make_unit_socket((int)getpid() + 1);
    cr_assert(unix_listener_open(&l, path, 0660, 8));
    cr_assert_neq(l.fd, UNIT_FD);
    unix_listener_unlink(&l);
    close(l.fd);
    make_unit_socket((int)getpid());
    snprintf(other, sizeof other, "%s2", path);
    cr_assert(unix_listener_open(&l, other, 0660, 8));
    cr_assert_neq(l.fd, UNIT_FD);
    unix_listener_unlink(&l);
    close(l.fd), close(UNIT_FD);
}
