/* Compiled programs of one executor process. The database thread looks them up and compiles them, the loop
 * thread runs them (compiled_cache.h). */
#pragma once

#include "executor/cache/compiled_cache.h"
#include "executor/cache/current_rows.h"
#include "mariadb/db.h"
#include "workflow/program_compile.h"

struct compiled_programs;
struct cached_program;

/* `compute` and `memory` as in compiled_cache_new. */
struct compiled_programs *compiled_programs_new(void *ctx, struct compute_thread *compute,
                                                struct memory_budget *memory);
/* Database thread only: admits a holder of `bytes`, for which programs that no run uses make room. False:
 * there is no room; memory->on_room will be called. */
bool compiled_programs_admit(struct compiled_programs *all, size_t bytes) WARN_UNUSED;

/* Database thread only, inside a transaction or outside. *program_r is a reference to the program of a
 * workflow's version, which is loaded if it is not in the cache. ERR_NOT_FOUND: no such version; ERR_INVALID:
 * it does not compile (logged); or the error of the query. */
enum err compiled_programs_get(struct compiled_programs *all, struct db *db, const id *workflow, int version,
                               struct cached_program **program_r) WARN_UNUSED;
/* The same within a transaction that must be short: a program of more than *bytes_left bytes is not compiled;
 * then ERR_LIMIT, and its text is of ctx, or NULL if it has more than text_max bytes. What is compiled is
 * subtracted from *bytes_left. */
enum err compiled_programs_get_within(struct compiled_programs *all, struct db *db, void *ctx,
                                      const id *workflow, int version, size_t text_max, size_t *bytes_left,
                                      struct cached_program **program_r, const char **text_r,
                                      size_t *size_r) WARN_UNUSED;
/* The thread that owns the cache only, outside transactions: the current version of a workflow that is not
 * archived, by the workflow's id, which is read in any case and kept in compiled_programs_rows.
 * ERR_NOT_FOUND: the workspace has no such workflow; or the error of the query. */
enum err compiled_programs_find_current(struct compiled_programs *all, struct db *db, const id *workspace,
                                        const id *workflow, struct current_row *row_r) WARN_UNUSED;
/* The same thread only: what was found last. */
struct current_rows *compiled_programs_rows(struct compiled_programs *all);
/* Bytes of memory that a program takes while it is compiled from a text, and afterwards less; by estimate. */
size_t cached_program_estimate(const char *text, size_t size);
/* Any thread: a program for compiled_programs_add. NULL: it does not compile (logged). */
struct cached_program *cached_program_compile(const id *workflow, int version, const char *text, size_t size);
/* Takes over the program. NULL: the version is remembered as one that does not compile. */
void compiled_programs_add(struct compiled_programs *all, const id *workflow, int version,
                           struct cached_program *program);
/* Any thread. */
struct compiled_cache_counts compiled_programs_count(const struct compiled_programs *all);

const struct program *cached_program_compiled(const struct cached_program *p);
struct cached_program *cached_program_ref(struct cached_program *p);
void cached_program_unref(struct cached_program *p); /* any thread; NULL-safe */
