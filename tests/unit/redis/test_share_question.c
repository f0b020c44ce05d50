#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "redis/share_question.h"

Test(share_question, parses_what_is_published)
{
    struct share_question q;
    id workspace = id_new(), reply = id_new();
    char text[2 * ID_LENGTH + 3];
    snprintf(text, sizeof text, "%s %s", workspace.text, reply.text);
    cr_assert(share_question_parse(text, strlen(text), &q));
    cr_expect(id_equal(&q.workspace, &workspace) && id_equal(&q.reply, &reply));
    cr_expect_not(share_question_parse(text, strlen(text) - 1, &q));
    cr_expect_not(share_question_parse("", 0, &q));
    text[ID_LENGTH] = '-';
    cr_expect_not(share_question_parse(text, strlen(text), &q));
}

Test(share_question, adds_up_what_daemons_hold)
{
    const char *list[] = {"http_requests=3 sandboxes=0", "streams=7", "http_requests=4 sandboxes=1"};
    const struct share_answers answers = {.list = list, .n = 3};
    int64_t n;
    cr_expect(share_answers_sum(&answers, "http_requests", &n) && n == 7);
    cr_expect(share_answers_sum(&answers, "sandboxes", &n) && n == 1);
    cr_expect(share_answers_sum(&answers, "streams", &n) && n == 7);
    cr_expect_not(share_answers_sum(&answers, "uploads", &n));
    cr_expect_not(share_answers_sum(&answers, "http", &n), "a name is not a part of one");
}
