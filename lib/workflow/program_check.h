/* Helpers to check a program, shared by program_compile.c, program_step.c and program_request.c. Private to
 * lib/workflow.
 *
 * Each reader below reads one member of an object and adds a problem if the member is invalid. It returns
 * false if there is no value to use; an absent optional member is no problem and leaves the default
 * unchanged. */
#pragma once

#include "workflow/program.h"

struct program_checker {
    /* owns what is compiled */
    struct program *program;
    struct json_problems *problems;
    const struct program_hooks *hooks;
    void *scratch;
    /* the names of all steps; NULL for a step without a valid name */
    const char **names;
    size_t step_count;
};

/* The place of a template, which decides what the template may refer to. */
struct template_place {
    struct program_checker *check;
    /* steps with a lower index may be referred to */
    size_t step;
    bool in_loop;
    bool in_request;
    /* a step of on_failure */
    bool in_failure;
};

/* The rules for templates at `place`. The rules refer to `place`, which must outlive them. */
struct template_rules program_check_rules(struct template_place *place);
/* Compiles a template at `place`; `at` is its JSON pointer in the document. NULL: a problem was added. */
struct json_template *program_check_template(struct template_place *place, json_object *value,
                                             enum template_form form, const char *at);

/* The JSON pointer of the member `name`; a string of the scratch context. */
const char *program_check_at(struct program_checker *c, const char *pointer, const char *name);
/* Adds a problem for each member that is in neither of the two NULL-terminated lists; the second list may be
 * NULL. */
void program_check_fields(struct program_checker *c, json_object *object, const char *pointer,
                          const char *const *known, const char *const *also);
/* Finds a member and its JSON pointer. Returns false if the member is absent, and adds a problem if it is
 * required. */
bool program_check_member(struct program_checker *c, json_object *object, const char *pointer,
                          const char *name, bool required, json_object **value_r, const char **at_r);
/* Reads a number of seconds as milliseconds, rounded up. */
bool program_check_seconds(struct program_checker *c, json_object *object, const char *pointer,
                           const char *name, double least, double most, int64_t *ms_r);
bool program_check_integer(struct program_checker *c, json_object *object, const char *pointer,
                           const char *name, int least, int most, int *value_r);
/* Reads a required string that is not empty; *text_r belongs to the document. */
bool program_check_text(struct program_checker *c, json_object *object, const char *pointer, const char *name,
                        const char **text_r);
