/* The secrets that a request needs, looked up and opened by the database thread. */
#pragma once

#include "executor/context/executor.h"
#include "secret/redact.h"

struct secret_lookup {
    struct job
        job; /* first; e: OK, ERR_NOT_FOUND, ERR_DENIED (no key, or another), ERR_UNAVAILABLE, ERR_RETRY */
    id workspace;
    const uint8_t *key; /* NULL: this executor has none */
    const char **names; /* of the asker, who outlives neither the job nor its answer: copied */
    size_t n;
    struct secret_value *values; /* by name's place */
    const char *why;             /* a sentence, where e is not OK */
};

/* To be submitted. Its memory held secrets: it is wiped when it goes. */
struct secret_lookup *secret_lookup_new(struct executor *exec, const id *workspace, const char **names,
                                        size_t n);
