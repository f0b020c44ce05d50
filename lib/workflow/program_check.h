/* What program.c and program_step.c share while a program is being checked; nobody else includes it. Every
 * reader below takes a member of an object, adds a problem when it is wrong, and says with `false` that there
 * is nothing to use; an absent optional member is fine and leaves the default. */
#pragma once

#include "workflow/program_compile.h"

struct program_checker {
    struct program *program; /* owns what is compiled */
    struct json_problems *problems;
    const struct program_hooks *hooks;
    void *scratch;
    const char **names; /* of the steps; NULL where a step has no good name */
    size_t step_count;
};

/* Where a template stands, which decides what it may refer to. */
struct template_place {
    struct program_checker *check;
    size_t step; /* steps before this one may be referred to */
    bool in_loop;
    bool in_request;
};

/* The rules for templates at `place`, which must live as long as they. */
struct template_rules program_check_rules(struct template_place *place);
/* Compiles a template that stands at `place`, at the pointer `at`; NULL: a problem. */
struct json_template *program_check_template(struct template_place *place, json_object *value,
                                             enum template_form form, const char *at);

/* "pointer/name", of the scratch context. */
const char *program_check_at(struct program_checker *c, const char *pointer, const char *name);
/* A problem for each member that is in neither of the NULL-terminated lists (the second may be NULL). */
void program_check_fields(struct program_checker *c, json_object *object, const char *pointer,
                          const char *const *known, const char *const *also);
/* The member and its place; false when there is none. A required one that is missing is a problem. */
bool program_check_member(struct program_checker *c, json_object *object, const char *pointer,
                          const char *name, bool required, json_object **value_r, const char **at_r);
/* A number of seconds as milliseconds, rounded up. */
bool program_check_seconds(struct program_checker *c, json_object *object, const char *pointer,
                           const char *name, double least, double most, int64_t *ms_r);
bool program_check_integer(struct program_checker *c, json_object *object, const char *pointer,
                           const char *name, int least, int most, int *value_r);
/* A required string that is not empty; its text belongs to the document. */
bool program_check_text(struct program_checker *c, json_object *object, const char *pointer, const char *name,
                        const char **text_r);

/* Fills in step `index` from its JSON. */
void program_check_step(struct program_checker *c, size_t index, json_object *document);
/* The http step's own fields. */
void program_check_request(struct template_place *place, json_object *document, const char *pointer,
                           struct program_step *step);
