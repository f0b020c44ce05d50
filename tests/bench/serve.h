/* The simplest prefork FastCGI pool, for the baseline programs: its workers accept, read the body and
 * respond. No signal handling, no limits, no recovery. */
#pragma once

#include <fcgiapp.h>
#include <stddef.h>

struct serve_request {
    FCGX_Request *fcgi;
    char body[65536];
    size_t body_size;
};

/* Called once in each worker; its result is passed to each call of `answer`. */
typedef void *serve_open(void);
/* Writes the complete response with its headers in one FCGX_PutStr. */
typedef void serve_answer(void *state, struct serve_request *r);

/* Listens on a Unix socket and never returns. */
void serve(const char *socket, int workers, serve_open *open, serve_answer *answer);
