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
