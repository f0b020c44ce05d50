/* Waits for the ends of child executions. Redis announces an end (a hint, which may be lost). Independently,
 * the watched children are polled in MariaDB: every second up to 512 of them, in turn, with one statement.
 * Loop thread only. */
#pragma once

#include "executor/context/executor.h"
#include "run/states.h"

struct child_end {
    enum run_state state;
    enum failure_reason reason;
    /* JSON; NULL: none */
    const char *output;
    /* a sentence; NULL: none */
    const char *error;
};
/* `end` is valid until the function returns. */
typedef void child_ended(void *arg, const struct child_end *end);

struct child_watch;
struct child_watch *child_watch_new(void *ctx, struct executor *exec);

/* Watches a child. `ended` is called once, later, unless the child is forgotten before. The child is looked
 * up at once, as it may have ended already. */
void child_watch_add(struct child_watch *w, const id *child, child_ended *ended, void *arg);
void child_watch_forget(struct child_watch *w, const id *child);
/* Redis announced its end: looks it up now. Ignored if the child is not watched. */
void child_watch_notify(struct child_watch *w, const id *child);
/* Children that are watched. */
size_t child_watch_count(const struct child_watch *w);
