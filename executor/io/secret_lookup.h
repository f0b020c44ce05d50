/* A job of the database thread: looks up and decrypts the secrets that a request needs, and those that must
 * not appear in its response. */
#pragma once

#include "executor/context/executor.h"
#include "secret/redact.h"

struct secret_lookup {
    /* first; e: OK, ERR_NOT_FOUND, ERR_DENIED (no key, or the wrong one) or the error of the query */
    struct job job;
    id workspace;
    /* NULL: this executor has no key */
    const uint8_t *key;
    /* copies: the caller may be freed before the job */
    const char **names;
    size_t n;
    /* the first ones, without which the lookup fails; of the others, those that do not exist have no value */
    size_t needed_n;
    /* values[i] belongs to names[i] */
    struct secret_value *values;
    /* if e is not OK: a sentence */
    const char *why;
};

/* The caller sets job.done and job.arg, submits the job to the database thread, and frees it,
 * which wipes the secrets. */
struct secret_lookup *secret_lookup_new(struct executor *exec, const id *workspace, const char **names,
                                        size_t n, size_t needed_n);
