#include <criterion/criterion.h>

#include "runner/artifacts.h"

Test(artifacts, matches_globs)
{
    const char *globs[] = {"*.svg", "outputs/report/*", "**/data.csv", NULL};
    cr_expect(runner_artifacts_match(NULL, "anything"));
    cr_expect(runner_artifacts_match(globs, "a.svg"));
    cr_expect(runner_artifacts_match(globs, "deep/er/a.svg"));
    cr_expect(runner_artifacts_match(globs, "report/x"));
    cr_expect(runner_artifacts_match(globs, "data.csv"));
    cr_expect(runner_artifacts_match(globs, "a/data.csv"));
    cr_expect_not(runner_artifacts_match(globs, "a.txt"));
    cr_expect_not(runner_artifacts_match(globs + 3, "a.svg"));
}
