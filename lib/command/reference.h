/* What is made from a program's table of commands: completion of shells, manual pages, and the table itself
 * as JSON. Everything is printed on standard output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "json/json.h"

/* A command: "noun verb", or only a noun (verb NULL). */
struct command_text {
    const char *noun, *verb;
    /* as the usage line shows them */
    const char *arguments;
    const char *help;
    /* what it records in the audit log, or NULL */
    const char *deed;
};

struct command_reference {
    /* of the program */
    const char *name;
    /* one line for NAME of the manual page */
    const char *purpose;
    /* the synopsis, and what is true of all commands, as lines of text */
    const char *synopsis, *notes;
    /* options of all commands, separated by spaces */
    const char *global_options;
    const struct command_text *commands;
    size_t n;
};

/* A completion script. False: the shell is not bash, zsh or fish. */
bool reference_print_completion(void *ctx, const struct command_reference *r, const char *shell);
/* A manual page as troff, of all commands or of those of a noun. False: there is no such noun. */
bool reference_print_man(const struct command_reference *r, const char *noun);
/* Parts of a manual page. Text as troff: no line is a request, and a hyphen is a hyphen that can be copied.
 */
void reference_print_troff(const char *text);
void reference_print_section(const char *heading, const char *text);
/* Each command with its arguments, options, help and deed. The caller owns the reference. */
json_object *reference_table(void *ctx, const struct command_reference *r);
