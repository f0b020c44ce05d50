#include "command/reference.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/version.h"

/* Returns the options that a command's usage line names, separated by spaces. */
static const char *options_of(void *ctx, const struct command_text *c)
{
    char *out = talloc_strdup(ctx, "");
    for (const char *at = strstr(c->arguments, "--"); at; at = strstr(at, "--")) {
        size_t n = 2;
        while (isalnum((unsigned char)at[n]) || (at[n] == '-' && at[n - 1] != '-'))
            n++;
        out = talloc_asprintf_append_buffer(out, "%s%.*s", *out ? " " : "", (int)n, at);
        at += n;
    }
    return out;
}

/* True if no earlier row has this noun. */
static bool is_first_of_noun(const struct command_reference *r, size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (strcmp(r->commands[i].noun, r->commands[row].noun) == 0)
            return false;
    }
    return true;
}

static const char *nouns(void *ctx, const struct command_reference *r)
{
    char *out = talloc_strdup(ctx, "");
    for (size_t i = 0; i < r->n; i++) {
        if (is_first_of_noun(r, i))
            out = talloc_asprintf_append_buffer(out, "%s%s", *out ? " " : "", r->commands[i].noun);
    }
    return out;
}

static const char *verbs(void *ctx, const struct command_reference *r, const char *noun)
{
    char *out = talloc_strdup(ctx, "");
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->commands[i].noun, noun) == 0 && r->commands[i].verb)
            out = talloc_asprintf_append_buffer(out, "%s%s", *out ? " " : "", r->commands[i].verb);
    }
    return out;
}

/* --- the table --- */

static void add_text(json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text ? json_object_new_string(text) : NULL);
}

json_object *reference_table(void *ctx, const struct command_reference *r)
{
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct command_text *c = &r->commands[i];
        json_object *o = json_object_new_object(), *options = json_object_new_array();
        char *rest = talloc_strdup(ctx, options_of(ctx, c));
        for (char *one; (one = strsep(&rest, " ")) != NULL;) {
            if (*one)
                json_object_array_add(options, json_object_new_string(one));
        }
        add_text(o, "noun", c->noun);
        add_text(o, "verb", c->verb);
        add_text(o, "arguments", c->arguments);
        json_object_object_add(o, "options", options);
        add_text(o, "help", c->help);
        add_text(o, "deed", c->deed);
        json_object_array_add(list, o);
    }
    return list;
}

/* --- completion --- */

/* The name of the shell function: the program's, with _ for each hyphen. */
static const char *function_name(void *ctx, const struct command_reference *r)
{
    char *name = talloc_strdup(ctx, r->name);
    for (char *p = name; *p; p++) {
        if (*p == '-')
            *p = '_';
    }
    return name;
}

/* The words after a noun: its verbs, or files for a noun that is a command by itself. */
static void print_bash_nouns(void *ctx, const struct command_reference *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const char *noun = r->commands[i].noun;
        if (r->commands[i].verb && is_first_of_noun(r, i))
            printf("        %s) list='%s' ;;\n", noun, verbs(ctx, r, noun));
        else if (!r->commands[i].verb)
            printf("        %s) files=1 ;;\n", noun);
    }
}

static void print_bash_options(void *ctx, const struct command_reference *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct command_text *c = &r->commands[i];
        const char *space = c->verb ? " " : "", *verb = c->verb ? c->verb : "";
        printf("        '%s%s%s' | '%s%s%s '*) list='%s' ;;\n", c->noun, space, verb, c->noun, space, verb,
               options_of(ctx, c));
    }
}

static void print_bash(void *ctx, const struct command_reference *r)
{
    const char *function = function_name(ctx, r);
    printf("# completion of %s for bash: . <(%s completion bash)\n"
           "_%s() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words=() w list files=0\n"
           "    for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do [[ $w == -* ]] || words+=(\"$w\"); done\n"
           "    case ${#words[@]} in\n"
           "    0) list='%s' ;;\n"
           "    *)\n"
           "        case ${words[0]} in\n",
           r->name, r->name, function, nouns(ctx, r));
    print_bash_nouns(ctx, r);
    printf("        esac\n"
           "        [ ${#words[@]} = 1 ] || list= files=1\n"
           "        ;;\n"
           "    esac\n"
           "    if [[ $word == -* ]]; then\n"
           "        case \"${words[*]:0:2}\" in\n");
    print_bash_options(ctx, r);
    printf("        esac\n"
           "        list=\"$list %s\" files=0\n"
           "    fi\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$list\" -- \"$word\"; [ $files = 0 ] || compgen -f -- "
           "\"$word\")\n"
           "}\n"
           "complete -o filenames -F _%s %s\n",
           r->global_options, function, r->name);
}

static void print_zsh(void *ctx, const struct command_reference *r)
{
    printf("#compdef %s\nautoload -U +X bashcompinit && bashcompinit\n", r->name);
    print_bash(ctx, r);
}

static void print_fish(void *ctx, const struct command_reference *r)
{
    const char *name = r->name;
    printf("# completion of %s for fish: %s completion fish | source\n"
           "complete -c %s -n __fish_use_subcommand -f -a '%s'\n",
           name, name, name, nouns(ctx, r));
    for (size_t i = 0; i < r->n; i++) {
        const struct command_text *c = &r->commands[i];
        if (c->verb)
            printf("complete -c %s -n '__fish_seen_subcommand_from %s; and not "
                   "__fish_seen_subcommand_from %s' -f -a %s\n",
                   name, c->noun, verbs(ctx, r, c->noun), c->verb);
        char *list = talloc_strdup(ctx, options_of(ctx, c));
        for (char *one; (one = strsep(&list, " ")) != NULL;) {
            if (*one)
                printf("complete -c %s -n '__fish_seen_subcommand_from %s%s%s' -l %s\n", name, c->noun,
                       c->verb ? "; and __fish_seen_subcommand_from " : "", c->verb ? c->verb : "", one + 2);
        }
    }
}

bool reference_print_completion(void *ctx, const struct command_reference *r, const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        print_bash(ctx, r);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(ctx, r);
    else if (strcmp(shell, "fish") == 0)
        print_fish(ctx, r);
    else
        return false;
    return true;
}

/* --- manual pages --- */

void reference_print_troff(const char *text)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
        at_start = *text == '\n';
    }
}

void reference_print_section(const char *heading, const char *text)
{
    printf(".SH %s\n", heading);
    reference_print_troff(text);
    putchar('\n');
}

static void print_man_command(const struct command_reference *r, const struct command_text *c)
{
    printf(".TP\n.B %s %s%s%s\n.br\n", r->name, c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
    reference_print_troff(c->arguments);
    fputs(*c->arguments ? "\n.br\n" : "", stdout);
    reference_print_troff(c->help);
    puts(".");
}

static bool has_noun(const struct command_reference *r, const char *noun)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->commands[i].noun, noun) == 0)
            return true;
    }
    return false;
}

bool reference_print_man(const struct command_reference *r, const char *noun)
{
    if (noun && !has_noun(r, noun))
        return false;
    printf(".TH ");
    for (const char *p = r->name; *p; p++)
        putchar(toupper((unsigned char)*p));
    printf("%s%s 1 \"\" \"Millrace %s\" \"Millrace\"\n", noun ? "-" : "", noun ? noun : "", MILLRACE_VERSION);
    printf(".SH NAME\n%s%s%s \\- %s\n", r->name, noun ? "-" : "", noun ? noun : "", r->purpose);
    reference_print_section("SYNOPSIS", r->synopsis);
    puts(".SH COMMANDS");
    for (size_t i = 0; i < r->n; i++) {
        if (!noun || strcmp(noun, r->commands[i].noun) == 0)
            print_man_command(r, &r->commands[i]);
    }
    reference_print_section("NOTES", r->notes);
    return true;
}
