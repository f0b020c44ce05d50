/* Compiled programs of one executor process: the database thread looks them up and compiles them, the loop
 * thread runs them. A version of a workflow never changes, so what is compiled stays right; the least used
 * ones make room. References are counted, across the two threads. */
#pragma once

#include "base/ids.h"
#include "mariadb/db.h"
#include "workflow/program_compile.h"

enum { PROGRAMS_MAX = 256 };

struct programs;
struct cached_program;
struct skills;

struct programs *programs_new(void *ctx);
/* What it knows of skills. */
struct skills *programs_skills(struct programs *all);

/* In a transaction or by itself, database thread only: the program of a workflow's version, loaded where it
 * is not known. *program_r is a reference. ERR_NOT_FOUND where there is no such version, ERR_INVALID where it
 * does not compile. */
enum err programs_get(struct programs *all, struct db *db, const id *workflow, int version,
                      struct cached_program **program_r) WARN_UNUSED;

const struct program *programs_of(const struct cached_program *p);
struct cached_program *programs_ref(struct cached_program *p);
void programs_unref(struct cached_program *p); /* any thread; NULL-safe */
