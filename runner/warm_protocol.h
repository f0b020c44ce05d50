/* The protocol between the runner and the process of a warm skill (docs/skills.md): one line for a job, one
 * line for its answer, both with the job's token. The token is new for each job, so that no output of an
 * earlier job can be taken for the answer to this one. The bytes of the answers are hostile. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* letters of a token */
enum { WARM_TOKEN_LENGTH = 16 };

struct warm_exchange {
    /* the job's line; `sent` bytes of it are written */
    char *request;
    size_t request_bytes, sent;
    char token[WARM_TOKEN_LENGTH + 1];
    /* what follows the token in its word: ";", the traceparent, and if there is one ";" and the tracestate;
     * "" without a trace */
    char *trace;
    /* the answer as far as it was received, without its newline */
    char *line;
    size_t line_bytes;
    /* outputs (or the message of an error) that are longer break the limit */
    uint64_t answer_max;
    /* output followed the answer */
    bool extra_output;
};

enum warm_answer {
    /* not complete */
    WARM_NONE,
    WARM_OK,
    WARM_ERROR,
    /* longer than answer_max */
    WARM_TOO_LONG,
    /* a line that is no answer to this job */
    WARM_BROKEN,
};

/* The trace of a job, as the headers of these names; both may be NULL. Any bytes: what is not a letter, a
 * digit or a mark, and % and ;, is written as % and two hexadecimal digits. */
struct warm_trace {
    const char *traceparent, *tracestate;
};

/* A new exchange with a random token, which `ctx` owns. `inputs` is one JSON text; the line breaks between
 * its tokens become blanks. NULL: the system has no random numbers. */
struct warm_exchange *warm_exchange_new(void *ctx, const char *inputs, size_t size,
                                        const struct warm_trace *trace, uint64_t answer_max);
/* Takes output of the command. With WARM_OK and WARM_ERROR, *text_r is the outputs or the message; with
 * WARM_BROKEN, the line. It is owned by the exchange. Call it no more after anything but WARM_NONE: set
 * extra_output instead. */
enum warm_answer warm_exchange_feed(struct warm_exchange *x, const char *data, size_t size,
                                    const char **text_r, size_t *size_r);
