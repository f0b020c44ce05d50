/* suite DIR [--formats]: runs the official JSON Schema tests for draft 2020-12 found below DIR
 * (tests/draft2020-12, remotes/) and prints each difference and the counts. Exit 1 when fewer than 99 %
 * agree; with --formats it runs optional/format with formats asserted and only reports. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "schema/schema.h"

struct counts {
    unsigned passed, failed;
};

static char *read_file(void *ctx, const char *path, size_t *size_r)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *text = talloc_size(ctx, (size_t)size + 1);
    *size_r = fread(text, 1, (size_t)size, f);
    fclose(f);
    return text;
}

static void run_group(void *ctx, const char *file, json_object *group, const struct schema_options *opt,
                      struct counts *counts)
{
    struct schema *schema;
    struct schema_problems problems;
    const char *title = json_get_text(group, "description");
    enum err compiled = schema_compile(ctx, json_get(group, "schema"), opt, &schema, &problems);
    if (compiled != OK)
        printf("%s: %s: not compiled: %s\n", file, title, problems.count ? problems.items[0].message : "?");
    json_object *tests = json_get(group, "tests");
    for (size_t i = 0; i < json_object_array_length(tests); i++) {
        json_object *test = json_object_array_get_idx(tests, i);
        bool expected = json_object_get_boolean(json_get(test, "valid"));
        enum err e =
            compiled == OK ? schema_validate(ctx, schema, json_get(test, "data"), &problems) : compiled;
        bool agrees = compiled == OK && (e == (expected ? OK : ERR_INVALID));
        if (agrees)
            counts->passed++;
        else
            counts->failed++;
        if (!agrees && compiled == OK)
            printf("%s: %s: %s: expected %s, is %s\n", file, title, json_get_text(test, "description"),
                   expected ? "valid" : "invalid", err_name(e));
    }
}

static void run_file(const char *dir, const char *name, const struct schema_options *opt,
                     struct counts *counts)
{
    void *ctx = talloc_new(NULL);
    size_t size;
    const char *why = "cannot be read";
    json_object *groups = NULL;
    char *text = read_file(ctx, talloc_asprintf(ctx, "%s/%s", dir, name), &size);
    if (!text || json_parse(ctx, text, size, 128, &groups, &why) != OK) {
        printf("%s: %s\n", name, why);
        counts->failed++;
    } else {
        for (size_t i = 0; i < json_object_array_length(groups); i++)
            run_group(ctx, name, json_object_array_get_idx(groups, i), opt, counts);
    }
    talloc_free(ctx);
}

static int is_test_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".json") == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    bool formats = argc > 2 && strcmp(argv[2], "--formats") == 0;
    bool optional = argc > 2 && strcmp(argv[2], "--optional") == 0;
    void *ctx = talloc_new(NULL);
    struct schema_options opt = {.registry = schema_registry_new(ctx), .assert_formats = formats};
    schema_registry_add((struct schema_registry *)opt.registry, "http://localhost:1234/",
                        talloc_asprintf(ctx, "%s/remotes", argv[1]));
    const char *dir = talloc_asprintf(ctx, "%s/tests/draft2020-12%s", argv[1],
                                      formats    ? "/optional/format"
                                      : optional ? "/optional"
                                                 : "");
    struct dirent **entries;
    struct counts counts = {0, 0};
    int n = scandir(dir, &entries, is_test_file, alphasort);
    for (int i = 0; i < n; i++) {
        run_file(dir, entries[i]->d_name, &opt, &counts);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    unsigned total = counts.passed + counts.failed;
    printf("schema suite: draft2020-12%s: %u tests, %u passed, %u failed\n",
           formats    ? ", formats asserted"
           : optional ? ", optional"
                      : "",
           total, counts.passed, counts.failed);
    talloc_free(ctx);
    bool enough = n > 0 && total > (formats || optional ? 1 : 1000) && counts.passed * 100 >= total * 99;
    return formats || optional ? n <= 0 : !enough;
}
