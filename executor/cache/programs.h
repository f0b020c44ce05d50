/* Compiled programs of one executor process: the database thread looks them up and compiles them, the loop
 * thread runs them. A version of a workflow never changes, so what is compiled stays right; the least used
 * ones make room. References are counted, across the two threads. */
#pragma once

#include "base/ids.h"
#include "mariadb/db.h"
#include "workflow/program_compile.h"

enum { COMPILED_PROGRAMS_MAX = 256 };

struct compiled_programs;
struct cached_program;
struct compiled_skills;

struct compiled_programs *compiled_programs_new(void *ctx);
/* What it knows of skills. */
struct compiled_skills *compiled_programs_skills(struct compiled_programs *all);

/* In a transaction or by itself, database thread only: the program of a workflow's version, loaded where it
 * is not known. *program_r is a reference. ERR_NOT_FOUND where there is no such version, ERR_INVALID where it
 * does not compile. */
enum err compiled_programs_get(struct compiled_programs *all, struct db *db, const id *workflow, int version,
                               struct cached_program **program_r) WARN_UNUSED;

const struct program *cached_program_compiled(const struct cached_program *p);
struct cached_program *cached_program_ref(struct cached_program *p);
void cached_program_unref(struct cached_program *p); /* any thread; NULL-safe */
