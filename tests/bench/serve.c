#define _GNU_SOURCE
#include "tests/bench/serve.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void worker(int listener, serve_open *open, serve_answer *answer)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    FCGX_Request fcgi;
    struct serve_request *r = malloc(sizeof *r);
    FCGX_Init();
    FCGX_InitRequest(&fcgi, listener, 0);
    void *state = open ? open() : NULL;
    while (r && FCGX_Accept_r(&fcgi) == 0) {
        r->fcgi = &fcgi;
        r->body_size = 0;
        int got;
        while (r->body_size < sizeof r->body &&
               (got = FCGX_GetStr(r->body + r->body_size, (int)(sizeof r->body - r->body_size), fcgi.in)) > 0)
            r->body_size += (size_t)got;
        answer(state, r);
        FCGX_Finish_r(&fcgi);
    }
    _exit(1);
}

void serve(const char *socket, int workers, serve_open *open, serve_answer *answer)
{
    unlink(socket);
    int listener = FCGX_OpenSocket(socket, 1024);
    if (listener < 0 || chmod(socket, 0666) != 0)
        exit(1);
    for (int i = 0; i < workers; i++) {
        if (fork() == 0)
            worker(listener, open, answer);
    }
    while (wait(NULL) > 0) {
    }
    exit(1);
}
