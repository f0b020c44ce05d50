/* The pages behind the URL of a ticket: plain HTML without a script, and headers that keep the URL and the
 * answer out of caches, frames, search engines and the Referer of other sites. Every text that a tenant
 * controls is escaped. */
#pragma once

#include "fcgi/forms/answer_form.h"

struct request;

/* A page that says one thing. */
int answer_page_message(struct request *r, int status, const char *title, const char *text);
/* The page with the form. `problems`: of the answer that was sent, or NULL. `until_ms`: until when it may be
 * answered (wall time). */
int answer_page_form(struct request *r, int status, const char *question, const struct answer_form *form,
                     const struct json_problems *problems, int64_t until_ms);
