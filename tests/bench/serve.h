/* A prefork FastCGI pool of the simplest kind, for the programs that Millrace is measured against: no
 * signals, no limits, no care; workers accept, read the body, answer. */
#pragma once

#include <fcgiapp.h>
#include <stddef.h>

struct serve_request {
    FCGX_Request *fcgi;
    char body[65536];
    size_t body_size;
};

/* Called once in each worker; what it returns is handed to each `answer`. */
typedef void *serve_open(void);
/* Writes the whole answer, headers included, with one FCGX_PutStr. */
typedef void serve_answer(void *state, struct serve_request *r);

/* Listens on a Unix socket and never returns. */
void serve(const char *socket, int workers, serve_open *open, serve_answer *answer);
