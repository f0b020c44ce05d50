/* The options of a command line: "--name TEXT", "--name=TEXT" or "--name", in any order, among other
 * arguments. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

/* An option that may be repeated: its values, in order. */
struct option_values {
    const char **list;
    size_t n;
};

struct cli_option { /* a list of options ends with {0} */
    const char *name;
    /* --name TEXT; NULL: see below */
    const char **text_r;
    /* set if the option is given; it has no value */
    bool *flag_r;
    bool required;
    /* --name TEXT, any number of times; the list is of ctx */
    struct option_values *values_r;
    /* a short form without a value, such as 'f' for -f; 0: none */
    char letter;
};

/* Parses options and from `rest_least` to `rest_most` other arguments, whose number is stored in *rest_n_r.
 * Returns NULL, or why the arguments are not accepted (of ctx). */
const char *command_parse(void *ctx, int argc, char **argv, const struct cli_option *options,
                          const char **rest_r, size_t rest_least, size_t rest_most, size_t *rest_n_r);
