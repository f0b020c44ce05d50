/* Starts a program with two descriptors as its standard input and output: as a child of this process, or by
 * a process that listens at a Unix socket for such requests. The second way puts the program into another
 * control group than that of the caller, who has no right to move a process there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    SPAWN_ARGS_MAX = 8,
    /* of all arguments of a request, with a byte after each */
    SPAWN_BYTES_MAX = 8192,
};

/* `args` are those after the program's name, NULL after the last. `in` -1: /dev/null; `out` -1: the caller's
 * own standard output. The program has no signal mask, the default actions of all signals and a PATH, and
 * nothing else of the environment; the caller closes its own copies of the descriptors. Returns the pid, or
 * -1 with errno. */
pid_t spawn_program(const char *program, const char *const args[], int in, int out);
/* Becomes that program, in a child of a process with one thread. Returns, with errno, only if that fails. */
void spawn_exec(const char *program, const char *const args[], int in, int out);

/* Asks the process that listens at `path` for it, and does not wait for an answer: if the program does not
 * start, the other end of `out` sees the end of file. The program is that of the listener. False with errno:
 * nobody listens there, its backlog is full, or the arguments are too long. Does not block. */
bool spawn_request_send(const char *path, const char *const args[], int in, int out);

struct spawn_request {
    /* owned by the receiver; -1: none */
    int in, out;
    /* SPAWN_ARGS_MAX at most, NULL after the last */
    const char *args[SPAWN_ARGS_MAX + 1];
    char bytes[SPAWN_BYTES_MAX];
};

/* Receives the request of a connection, for which it waits SPAWN_RECEIVE_MS at most. False with errno: then
 * no descriptor is left open. ENODATA: the peer has only looked whether somebody listens. */
bool spawn_request_receive(int connection, struct spawn_request *r);

/* Requests are sent at once: the next one must not wait for a sender that was stopped. */
enum { SPAWN_RECEIVE_MS = 100 };
